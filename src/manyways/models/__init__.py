"""Models: networks of backbones and a head, what they can do, and their files."""

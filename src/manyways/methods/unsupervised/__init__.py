"""Finding structure without labels."""

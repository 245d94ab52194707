"""A package that brings one thing of each kind that a file or a command may name."""

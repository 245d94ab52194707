"""Ways to learn: a folder per paradigm, a file per method. Files are found, not listed."""

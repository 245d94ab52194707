"""Search for the fields of other methods."""

"""Learning from a stream, row by row."""

"""Learning several labels of a row at once."""

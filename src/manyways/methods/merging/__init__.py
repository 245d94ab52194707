"""Making one model of several, without data."""

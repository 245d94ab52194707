"""Learning to tell new classes apart from a few examples of each."""

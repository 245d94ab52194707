"""Learning from a few labels and many unlabelled rows."""

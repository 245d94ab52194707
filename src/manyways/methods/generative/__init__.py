"""Learning to draw rows like those of the data, or how probable they are."""

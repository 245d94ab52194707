"""Learning which rows are alike: sentence encoders from pairs of texts."""

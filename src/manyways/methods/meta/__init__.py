"""Learning to learn: weights from which a few steps lead far."""

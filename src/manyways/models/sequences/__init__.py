"""Sequences of tokens: the layers of encoders and decoders, teacher forcing, and search."""

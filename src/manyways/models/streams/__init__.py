"""Heads of streams: what a learner holds between two rows, as arrays."""

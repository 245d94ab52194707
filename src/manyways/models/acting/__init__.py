"""Policies in environments: the networks, and playing with them."""

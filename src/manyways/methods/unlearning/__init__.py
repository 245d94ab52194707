"""Forgetting rows: exactly, by training in shards, or approximately."""

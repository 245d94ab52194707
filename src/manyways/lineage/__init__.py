"""Lineage: the rows that shaped each model; the store that keeps it, forgetting, and audits."""

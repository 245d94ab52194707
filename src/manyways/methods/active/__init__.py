"""Choosing which rows are worth a label."""

"""Exact forgetting: plans, retraining without the rows, receipts, and their verification."""

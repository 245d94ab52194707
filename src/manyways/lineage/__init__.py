"""Which rows shaped which weights: the store, family trees, forgetting, and receipts of it."""

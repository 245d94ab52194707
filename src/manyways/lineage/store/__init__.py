"""The store: models with their lineage, and the rows that reached each of them."""

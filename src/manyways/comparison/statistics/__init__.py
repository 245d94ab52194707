"""Statistics of a comparison: what its scores could have been with other seeds and other test rows."""

"""The way from what a source holds to columns: types of values, kinds, roles, notes, and rows that are bad."""

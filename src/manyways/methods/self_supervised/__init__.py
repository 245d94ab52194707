"""Learning features from rows without labels."""

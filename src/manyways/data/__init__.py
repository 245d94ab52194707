"""What there is to learn from: data with roles, its readers, encoders, views and splits."""

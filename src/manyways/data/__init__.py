"""Data to learn from: tables with roles, its readers, encoders, views and splits."""

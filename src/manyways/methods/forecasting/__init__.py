"""Forecasting series without learning anything: the lines that whatever learns must beat."""

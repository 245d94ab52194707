"""Networks that draw rows."""

"""Learning tasks one after the other without forgetting those before."""

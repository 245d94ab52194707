"""Learning a new task from a model that knows another."""

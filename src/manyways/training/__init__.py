"""Training: the loop, budgets, checkpoints and the events that others follow."""

"""How a step is taken: the loop, budgets, checkpoints and the events that others follow."""

"""Learned optimizers: the rule that makes a step of a gradient, and the tasks that it is learned and scored on."""

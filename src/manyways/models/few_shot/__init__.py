"""What few-shot models share: episodes, prototypes, gradient steps."""

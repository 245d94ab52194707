"""Parts of few-shot models: episodes, prototypes, gradient steps."""

"""Language modelling: next tokens, hidden tokens, answers."""

"""Learning across clients that may not share their rows."""

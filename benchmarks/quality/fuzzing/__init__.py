"""Files that somebody damaged or made with bad intent: small valid ones, what is done to them, how they are judged."""

"""Methods that learn by acting in an environment."""

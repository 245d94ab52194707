"""What acts in environments: the networks, and how they are played."""

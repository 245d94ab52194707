"""What learns: Model, its network of backbones and a head, and how both are saved."""

"""Learning to ground: the Lightning module, its data, and what accompanies them."""

"""Ways to say how much of a ranking is worth keeping; each keeps a prefix and says why it ends there."""

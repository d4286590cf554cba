"""How well checkpoints segment a data set, what the metadata bring them, and how sure that is."""

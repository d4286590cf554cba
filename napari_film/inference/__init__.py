"""The engine: a checkpoint, volumes and conditions in; probabilities on the source grid out, slice by slice."""

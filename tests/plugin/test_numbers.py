"""The table below the picture, wired: its numbers are those of the masks that `Predictor` makes."""

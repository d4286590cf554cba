"""A slice as a person sees it: the reference channel in grey, or a picture in its colours.

Axes: C channels, (h, w) a slice.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .recipe import Recipe

_COLOURS = ["red", "green", "blue"]
_RANGE = (0.5, 99.5)  # percentiles that are black and white


def seen_channels(recipe: Recipe) -> tuple[int, ...]:
    """Numbers of the channels that are shown: red, green and blue where those are all that there are, else the first."""
    return (0, 1, 2) if [channel.name for channel in recipe.channels] == _COLOURS else (0,)


def as_seen(channels: Sequence[NDArray[Any]] | NDArray[Any]) -> NDArray[np.float32]:
    """Bring one channel (1, h, w) to grey (h, w), or three (3, h, w) to colours (h, w, 3): 0 is black, 1 white."""
    values = np.asarray(channels, dtype=np.float32)
    low, high = np.percentile(values, _RANGE)
    shown = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    return np.moveaxis(shown, 0, -1) if len(shown) > 1 else shown[0]

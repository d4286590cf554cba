"""Slices too large for one piece are run as tiles whose overlap is blended.

Along each side the tiles' weights rise and fall linearly over the overlap and are divided by their sum, so that a
constant stays that constant and no seam shows.

Axes: C channels or classes, H height, W width.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def run_tiled(image: NDArray[np.float32], run: Run, *, tile: int, overlap: int) -> NDArray[np.float32]:
    """Apply ``run``, (C, h, w) -> (classes, h, w), to tiles of ``image`` (C, H, W) and blend: (classes, H, W).

    No tile's side is longer than ``tile``; neighbours share at least ``overlap`` pixels.
    """
    height, width = image.shape[1:]
    blended: NDArray[np.float32] | None = None
    weights = np.zeros((height, width), dtype=np.float32)
    for top in _starts(height, tile, overlap):
        for left in _starts(width, tile, overlap):
            window = (slice(top, min(top + tile, height)), slice(left, min(left + tile, width)))
            result = run(np.ascontiguousarray(image[:, window[0], window[1]]))
            if blended is None:
                blended = np.zeros((result.shape[0], height, width), dtype=np.float32)
            weight = np.outer(_ramp(result.shape[1], overlap), _ramp(result.shape[2], overlap))
            blended[:, window[0], window[1]] += weight * result
            weights[window] += weight
    if blended is None:
        raise ValueError(f"an image of {height} x {width} has no tiles")
    return blended / weights


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(number * (length - tile) / (count - 1)) for number in range(count)]


def _ramp(length: int, overlap: int) -> NDArray[np.float32]:
    distance = np.arange(1, length + 1, dtype=np.float32)
    return np.minimum(np.minimum(distance, distance[::-1]) / np.float32(overlap + 1), np.float32(1))

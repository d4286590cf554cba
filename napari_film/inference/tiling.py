"""Slices too large for one piece are run as tiles whose overlap is blended.

Where tiles overlap, each loses its outer quarter, which lacks its surroundings; between the quarters the weights rise and
fall linearly and are divided by their sum, so that a constant stays that constant and no seam shows. An operation that
looks no farther than a quarter of the overlap gives what it gives untiled.

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
    for rows, row_weight in _tiles(height, tile, overlap):
        for columns, column_weight in _tiles(width, tile, overlap):
            window = (rows, columns)
            result = run(np.ascontiguousarray(image[:, window[0], window[1]]))
            if blended is None:
                blended = np.zeros((result.shape[0], height, width), dtype=np.float32)
            weight = np.outer(row_weight, column_weight)
            blended[:, window[0], window[1]] += weight * result
            weights[window] += weight
    if blended is None:
        raise ValueError(f"an image of {height} x {width} has no tiles")
    return blended / weights


def _tiles(length: int, tile: int, overlap: int) -> list[tuple[slice, NDArray[np.float32]]]:
    """Give where the tiles of a side lie, and the weights of their pixels."""
    if length <= tile:
        return [(slice(0, length), np.ones(length, dtype=np.float32))]
    last = -(-(length - tile) // (tile - overlap))
    starts = [round(number * (length - tile) / last) for number in range(last + 1)]
    margin = overlap // 4
    rise = np.clip((np.arange(1, tile + 1, dtype=np.float32) - margin) / np.float32(overlap - 2 * margin + 1), 0, 1)
    flat = np.ones(tile, dtype=np.float32)  # an end of the image has all the surroundings there are
    return [
        (slice(start, start + tile), np.minimum(flat if start == 0 else rise, flat if start == starts[-1] else rise[::-1]))
        for start in starts
    ]

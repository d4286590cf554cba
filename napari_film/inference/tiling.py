"""Slices too large for one piece are run as tiles whose overlap is blended.

Where tiles overlap, each loses its outer quarter, which lacks its surroundings; between the quarters the weights rise and
fall linearly. The weights of all tiles sum to one in every pixel, so that a constant stays that constant and no seam shows:

    blended(y, x) = sum over tiles of u(y) v(x) tile(y, x),      u = weight / sum of the weights along its axis, v likewise

An operation that looks no farther than a quarter of the overlap gives what it gives untiled; a network too, where tiles
begin at multiples of its divisor, since its pools then halve a tile as they halve the whole.

Axes: C channels or classes, H height, W width.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Run = Callable[[NDArray[np.float32], int, int], NDArray[np.float32]]
"""A tile (C, h, w), and the row and column that it begins at, to (classes, h, w)."""


def run_tiled(image: NDArray[np.float32], run: Run, *, tile: int, overlap: int, divisor: int = 1) -> NDArray[np.float32]:
    """Apply ``run`` to tiles of ``image`` (C, H, W), one at a time, and blend: (classes, H, W).

    No tile's side is longer than ``tile``; neighbours share at least ``overlap`` pixels. Tiles begin at multiples of
    ``divisor``, so that a network which halves its images so often meets the same pairs of pixels in each.

    Raises
    ------
    ValueError
        If tiles that share so much cannot begin at multiples of ``divisor``.
    """
    height, width = image.shape[1:]
    if max(height, width) <= tile:
        return run(image, 0, 0)
    if tile - overlap < divisor:
        raise ValueError(f"tiles of {tile} that share {overlap} cannot begin at multiples of {divisor}; make them longer")
    across = _tiles(width, tile, overlap, divisor)
    blended: NDArray[np.float32] | None = None
    for rows, row_weight in _tiles(height, tile, overlap, divisor):
        for columns, column_weight in across:
            result = run(np.ascontiguousarray(image[:, rows, columns]), rows.start, columns.start)
            if blended is None:
                blended = np.zeros((len(result), height, width), dtype=np.float32)
            blended[:, rows, columns] += row_weight[:, None] * column_weight * result
    if blended is None:
        raise ValueError(f"an image of {height} x {width} has no tiles")
    return blended


def _tiles(length: int, tile: int, overlap: int, divisor: int) -> list[tuple[slice, NDArray[np.float32]]]:
    """Give where the tiles of a side lie, and the weights of their pixels, which sum to one over the tiles."""
    if length <= tile:
        return [(slice(0, length), np.ones(length, dtype=np.float32))]
    # In steps of the divisor; the last tile ends with the image, so it may be the shorter one.
    last = -(-(length - tile) // divisor)
    count = -(-last // ((tile - overlap) // divisor))
    starts = [number * last // count * divisor for number in range(count + 1)]
    spans = [slice(start, min(start + tile, length)) for start in starts]
    margin = overlap // 4
    rise = np.clip((np.arange(1, tile + 1, dtype=np.float32) - margin) / np.float32(overlap - 2 * margin + 1), 0, 1)
    weights = []
    total = np.zeros(length, dtype=np.float32)
    for span in spans:
        weight = np.ones(span.stop - span.start, dtype=np.float32)  # an end of the image has all the surroundings there are
        if span.start > 0:
            weight = np.minimum(weight, rise[: len(weight)])
        if span.stop < length:
            weight = np.minimum(weight, rise[: len(weight)][::-1])
        total[span] += weight
        weights.append(weight)
    return [(span, weight / total[span]) for span, weight in zip(spans, weights, strict=True)]

"""Bilinear upsampling to the double size, some rows at a time, of a whole slice or of a tile of it.

With align_corners, output sample r of 2n lies at r (n - 1) / (2n - 1) of the input, always between samples (r - 1) // 2
and the next one: so the samples of one parity are a blend of two shifted views, and no index is needed. A tile that begins
at an even sample blends the same pairs; its fractions are those of its place in the whole.

Axes: B batch, C channels, H height, W width; memory is laid out (B, H, W, C).
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional


@lru_cache(maxsize=256)
def fractions(length: int, start: int, whole: int, dtype: torch.dtype) -> Tensor:
    """How far each of the 2 ``length`` output samples lies from the lower to the upper one of its pair, on the CPU.

    The ``length`` input samples begin at ``start`` of ``whole``.
    """
    index = torch.arange(2 * start, 2 * (start + length))
    position = index.to(torch.float64) * ((whole - 1) / (2 * whole - 1))
    return (position - torch.div(index - 1, 2, rounding_mode="floor")).to(dtype)


def doubled(features: Tensor, rows: slice, row_fractions: Tensor, column_fractions: Tensor) -> Tensor:
    """``rows`` of ``features`` (B, C, H, W) at the double size: (B, C, rows, 2W).

    The fractions are (2H,) and (2W,), as `fractions` gives them. A first sample that lacks its lower neighbour, and a last
    one that lacks its upper, are the nearest input sample.
    """
    upper = _doubled(features.permute(0, 2, 3, 1), 1, rows.start, rows.stop, row_fractions)
    return _doubled(upper, 2, 0, 2 * features.shape[3], column_fractions).permute(0, 3, 1, 2)


def upsampled(features: Tensor, size: tuple[int, int]) -> Tensor:
    """``features`` (B, C, h, w) at any ``size`` (H, W)."""
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=True)


def _doubled(samples: Tensor, axis: int, start: int, stop: int, fraction: Tensor) -> Tensor:
    count = samples.shape[axis]
    out = samples.new_empty([*samples.shape[:axis], stop - start, *samples.shape[axis + 1 :]])
    if start == 0:
        out.select(axis, 0).copy_(samples.select(axis, 0))
    if stop == 2 * count:
        out.select(axis, -1).copy_(samples.select(axis, -1))
    trailing = [1] * (samples.ndim - 1 - axis)
    for first in (max(start, 1), max(start, 1) + 1):
        last = min(stop, 2 * count - 1)
        pairs = len(range(first, last, 2))
        if pairs:
            below = (first - 1) // 2
            torch.lerp(
                samples.narrow(axis, below, pairs),
                samples.narrow(axis, below + 1, pairs),
                fraction[first:last:2].reshape(-1, *trailing),
                out=out[(slice(None),) * axis + (slice(first - start, last - start, 2),)],
            )
    return out

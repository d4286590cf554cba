"""Bilinear upsampling to the double size, some rows at a time.

With align_corners, output sample r of 2n lies at r (n - 1) / (2n - 1) of the input, always between samples (r - 1) // 2
and the next one: so the samples of one parity are a blend of two shifted views, and no index is needed.

Axes: B batch, C channels, H height, W width; memory is laid out (B, H, W, C).
"""

import torch
from torch import Tensor
from torch.nn import functional


def doubled(features: Tensor, rows: slice) -> Tensor:
    """``rows`` of ``features`` (B, C, H, W) at the double size: (B, C, rows, 2W)."""
    upper = _doubled(features.permute(0, 2, 3, 1), 1, rows.start, rows.stop)
    return _doubled(upper, 2, 0, 2 * features.shape[3]).permute(0, 3, 1, 2)


def upsampled(features: Tensor, size: tuple[int, int]) -> Tensor:
    """``features`` (B, C, h, w) at any ``size`` (H, W)."""
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=True)


def _doubled(samples: Tensor, axis: int, start: int, stop: int) -> Tensor:
    count = samples.shape[axis]
    out = samples.new_empty([*samples.shape[:axis], stop - start, *samples.shape[axis + 1 :]])
    if start == 0:
        out.select(axis, 0).copy_(samples.select(axis, 0))
    if stop == 2 * count:
        out.select(axis, -1).copy_(samples.select(axis, -1))
    for parity in (0, 1):
        first = max(start, 1)
        first += (parity - first) % 2
        wanted = range(first, min(stop, 2 * count - 1), 2)
        if not wanted:
            continue
        below = (first - 1) // 2
        position = torch.tensor(wanted, dtype=torch.float64) * ((count - 1) / (2 * count - 1))
        fraction = position - (below + torch.arange(len(wanted)))
        torch.lerp(
            samples.narrow(axis, below, len(wanted)),
            samples.narrow(axis, below + 1, len(wanted)),
            fraction.to(samples.dtype).reshape(-1, *[1] * (samples.ndim - 1 - axis)),
            out=out[(slice(None),) * axis + (slice(first - start, None, 2),)].narrow(axis, 0, len(wanted)),
        )
    return out

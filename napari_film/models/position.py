"""Where pixels lie in the whole image.

    u(i) = 2 · (start + pitch · factor · (i + ½)) / length - 1

u runs from -1 to 1 over the whole image as it was acquired and respaced, without padding: pixels of the padding have |u| > 1,
and those of a tile or patch have the u that they have in the whole. A feature map's pixel spans ``factor`` = 2**level pixels
of what the network is given. So a window that is placed in u stays where it is, however an image is padded, cut or resampled.

Axes: B batch, H height, W width, n pixels along one axis.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Axis(NamedTuple):
    """Pixels along one axis of feature maps, in relative coordinates of the whole image.

    ``at`` (1 or B, n) are their centres, ``step`` (1 or B, 1) is the distance of neighbours; both float32. 2 / step is the length of
    the whole image in pixels of the feature map.
    """

    at: Tensor
    step: Tensor


Coordinates = Sequence[Axis]
"""One `Axis` for each spatial axis of feature maps (B, C, *S), in their order: y, x in two dimensions."""


class Position(NamedTuple):
    """Where images that a network is given lie in the whole image; each a number, or (B,), one per image.

    Parameters
    ----------
    top, left
        Where the first pixel's outer edge lies, in pixels of the whole image.
    height, width
        Of the whole image, without padding, in its pixels.
    pitch
        Pixels of the whole image per pixel of what is given: not 1 for a patch that was scaled.
    """

    top: float | Tensor
    left: float | Tensor
    height: float | Tensor
    width: float | Tensor
    pitch: float | Tensor = 1.0

    def axes(self, sides: Sequence[int], *, factor: int = 1, device: torch.device | None = None) -> tuple[Axis, Axis]:
        """Coordinates of feature maps whose ``sides`` are (h, w) pixels, each ``factor`` pixels of what is given wide."""
        return (
            axis(sides[0], start=self.top, length=self.height, pitch=self.pitch, factor=factor, device=device),
            axis(sides[1], start=self.left, length=self.width, pitch=self.pitch, factor=factor, device=device),
        )


def axis(
    count: int,
    *,
    start: float | Tensor = 0.0,
    length: float | Tensor | None = None,
    pitch: float | Tensor = 1.0,
    factor: int = 1,
    device: torch.device | None = None,
) -> Axis:
    """Coordinates of ``count`` pixels; ``length`` None: they are the whole. The others are as in `Position`, along one axis."""
    first, whole, apart = (
        torch.as_tensor(value, dtype=torch.float32, device=device).reshape(-1, 1)
        for value in (start, count * factor if length is None else length, pitch)
    )
    middles = torch.arange(count, dtype=torch.float32, device=device) + 0.5
    step = 2 * apart * factor / whole
    return Axis(2 * first / whole + step * middles - 1, step)

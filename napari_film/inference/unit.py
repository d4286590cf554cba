"""One unit of a U-Net rewritten for inference, and the strips that it runs in.

    y = A · relu(W2' * x1 + b2') + B        x1 = relu(W1 * x + b1)
    W2' = W2 · s1,  b2' = b2 + sum of W2 · t1                      s, t: scale and shift of BatchNorm (running statistics)
    A = γ · s2,  B = γ · t2 + β                                    with FiLM; s2 and t2 without

The first BatchNorm is folded into the convolution behind it. Its shift does not reach the zeros around the image: there
x1 is set to -t1 / s1, which W2' and b2' turn into nothing. For this the first convolution gives one row and column more on
every side, which are then overwritten.

Axes: B batch, C feature maps, H height, W width.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_film.inference.convolution import Convolution
from napari_film.models.blocks import ConvUnit
from napari_film.models.film import FiLMParameters

_LEAST = 1e-12  # of a scale against its shift: a smaller one would put the border's stand-in beyond what floats can hold


class Affine(NamedTuple):
    """Scale and shift of each feature map, both (1, C, 1, 1)."""

    scale: Tensor
    shift: Tensor

    def modulated(self, film: FiLMParameters | None) -> "Affine":
        """The same followed by FiLM, whose γ and β are (1, C)."""
        if film is None:
            return self
        gamma, beta = (parameter[:, :, None, None] for parameter in film)
        return Affine(self.scale * gamma, self.shift * gamma + beta)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Affine":
        """The same elsewhere, or in another precision."""
        return Affine(self.scale.to(device, dtype), self.shift.to(device, dtype))


class Span(NamedTuple):
    """The output ``rows`` of a strip, the input rows that they are made of, and the zeros that the first convolution adds."""

    rows: slice
    source: slice
    padding: tuple[int, int]

    @property
    def first(self) -> int:
        """Which row the first convolution's result begins with."""
        return int(self.source.start) + 1 - self.padding[0]

    def used(self, features: Tensor) -> Tensor:
        """Of the first convolution's result (B, C, H, W) the ``rows`` and one more on both sides; others lack their surroundings."""
        return features.narrow(2, self.rows.start - 1 - self.first, self.rows.stop - self.rows.start + 2)


First = Callable[[Span], Tensor]
"""The first convolution over one strip, ReLU included, with a column more on both sides, and at least a row."""


def spans(height: int, strip: int) -> Iterator[Span]:
    """Cut ``height`` rows into strips of about ``strip`` rows; each begins at an even row and has two at least, for the pool."""
    count = -(-height // max(strip, 2))
    step = -(-height // (2 * count)) * 2
    starts = range(0, max(height - 1, 1), step)
    for start in starts:
        stop = height if start == starts[-1] else start + step
        inside = start >= 2 and stop + 2 <= height
        yield Span(slice(start, stop), slice(max(start - 2, 0), min(stop + 2, height)), (0 if inside else 2, 2))


class SpecialisedUnit:
    """Weights of one unit on its device.

    Parameters
    ----------
    unit
        In evaluation mode, float32, on the CPU.
    below
        In the decoder, how many feature maps come up from the level below; the skip's follow them.
    """

    def __init__(self, unit: ConvUnit, *, below: int | None = None, device: torch.device, dtype: torch.dtype) -> None:
        scale, shift = _scale_and_shift(unit.norm1)
        least = _LEAST * (1 + shift.abs())
        scale = torch.where(scale.abs() < least, least, scale)
        self.affine = Affine(*(part[None, :, None, None] for part in _scale_and_shift(unit.norm2)))
        self.channels = len(scale)
        self._border = (-shift / scale).to(device, dtype)[None, :, None]
        second = unit.conv2
        folded = second.weight.sum(dim=(2, 3)) @ shift
        bias = folded if second.bias is None else second.bias + folded
        self._second = Convolution(second.weight * scale[None, :, None, None], bias, device=device, dtype=dtype)
        weight = unit.conv1.weight
        self._entry = Convolution(weight[:, below or 0 :], unit.conv1.bias, device=device, dtype=dtype)
        self._upper = None if below is None else Convolution(weight[:, :below], None, device=device, dtype=dtype)

    def enter(self, features: Tensor) -> First:
        """Begin with ``features`` (B, C, H, W)."""
        return lambda span: self._entry(features[:, :, span.source], span.padding, relu=True)

    def join(self, upper: Callable[[slice], Tensor], beside: First) -> First:
        """Begin with the rows that ``upper`` gives of the upsampled features, and the share of the skip."""
        convolution = self._upper
        if convolution is None:
            raise ValueError("a unit of the encoder has no skip to join")
        return lambda span: convolution.add_to(beside(span), upper(span.source), span.padding)

    def share(self, skip: Tensor) -> First:
        """Convolve the skip (B, C, H, W) alone, without ReLU."""
        return lambda span: self._entry(skip[:, :, span.source], span.padding)

    def run(self, first: First, height: int, strip: int) -> Iterator[tuple[slice, Tensor]]:
        """Compute the unit before its last BatchNorm: rows and their feature maps (B, C, rows, W), strip by strip."""
        for span in spans(height, strip):
            features = span.used(first(span))
            features[..., 0] = self._border
            features[..., -1] = self._border
            if span.rows.start == 0:
                features[:, :, 0] = self._border
            if span.rows.stop == height:
                features[:, :, -1] = self._border
            yield span.rows, self._second(features, (0, 0), relu=True)


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("BatchNorm without running statistics cannot be merged")
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    return scale, norm.bias - mean * scale

"""A trained FiLMed U-Net rewritten for inference: the same function, in fewer passes over memory.

FiLM and BatchNorm are one affine step per condition (see `unit`). The decoder's convolution over [upsampled, skip] is the
sum of one over each. On a CPU large units run in strips of rows, so that what passes from one step to the next stays in the
cache.

What no condition changes is computed once, the *front*: everything before the first place with FiLM, and the share of the
skips in the decoder's convolutions where no skip has FiLM. Under each condition the rest follows.

Axes: B batch, C channels or feature maps, H height, W width.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

from napari_film.inference.convolution import Convolution
from napari_film.inference.unit import Affine, Span, SpecialisedUnit, spans
from napari_film.inference.upsampling import doubled, fractions, upsampled
from napari_film.models.blocks import ConvUnit
from napari_film.models.film import FiLMParameters
from napari_film.models.position import Position
from napari_film.models.unet import ConditionedUNet

_STRIP = 8 << 20  # bytes of one unit's feature maps in a strip
_SCRATCH = 64 << 20  # bytes that oneDNN may want beside feature maps
_LEAST_ROWS = 8  # fewer would mostly compute what strips share
_CONDITIONS = 256  # whose affine steps are kept
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Of the feature maps, by a plan's precision."""


class Window(NamedTuple):
    """Where a tile lies in its slice, whose sides are ``height`` and ``width``; all multiples of 2**depth."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Front:
    """What no condition changes, for one batch of images; good until the next one is computed.

    ``features`` are what the first place with FiLM gives before BatchNorm and FiLM; where no unit has FiLM, what the head
    takes. ``skips`` and ``shares`` (what the decoder's convolutions make of the skips) are by the decoder's places.
    """

    features: Tensor
    skips: Mapping[int, Tensor]
    shares: Mapping[int, Tensor]


class SpecialisedUNet:
    """A network on its device, in one precision.

    Belongs to one thread. Its buffers are used again for every batch of the same shape.

    Parameters
    ----------
    network
        In evaluation mode, in float32 and on the CPU; it is not changed.
    device
        As torch names it.
    precision
        Arithmetic of the feature maps; the generator of FiLM and the sigmoid are float32 always.
    """

    def __init__(self, network: ConditionedUNet, *, device: str = "cpu", precision: Literal["float32", "bfloat16"] = "float32") -> None:
        architecture = network.architecture
        self._device, self._dtype = torch.device(device), DTYPES[precision]
        self._depth, self._background = architecture.depth, architecture.background
        self._modulations = network.modulations
        with torch.inference_mode():
            place = partial(SpecialisedUnit, device=self._device, dtype=self._dtype)
            below = architecture.place_channels[self._depth :]
            self._units = [place(cast(ConvUnit, unit)) for unit in (*network.encoder, network.bottom)]
            self._units += [place(cast(ConvUnit, unit), below=channels) for unit, channels in zip(network.decoder, below, strict=False)]
            self._head = Convolution(network.head.weight, network.head.bias, device=self._device, dtype=self._dtype)
        self._plain = [unit.affine.to(self._device, self._dtype) for unit in self._units]  # without FiLM
        self._first = [*(place != "none" for place in architecture.places), True].index(True)
        self._affines: dict[tuple[float, ...], list[Affine]] = {}
        self._buffers: dict[tuple[str, int], Tensor] = {}
        self._shape: tuple[int, ...] = ()
        self._window: Window | None = None
        self._images = torch.empty(0)
        self._front: Front | None = None

    @torch.inference_mode()
    def front(self, images: Tensor, window: Window | None = None, position: Position | None = None) -> Front:
        """Compute what no condition changes of ``images`` (B, C, H, W), float32.

        ``window`` says which part of a slice they are: as far as they have its surroundings, the result is that of the whole.
        Where a pixel lies in the image, ``position``, is nothing to this network.
        """
        self._window = window
        if tuple(images.shape) != self._shape:
            self.rest()
            self._shape = tuple(images.shape)
        self._images = self._brought(images)
        self._front = self._compute_front()
        return self._front

    @torch.inference_mode()
    def probabilities(self, front: Front, condition: tuple[float, ...]) -> Tensor:
        """Probabilities (B, classes, H, W) under ``condition`` (M,), float32 on the device.

        Raises
        ------
        ValueError
            If another front was computed since.
        """
        if front is not self._front:
            raise ValueError("this front is gone: another one was computed since, in the same memory")
        return self._compute(front, self._affines_under(condition))

    def rest(self) -> None:
        """Let the buffers go, and with them the last front."""
        self._front = None
        self._buffers.clear()
        self._shape = ()

    def _brought(self, images: Tensor) -> Tensor:
        """``images`` on the device, in its precision and layout."""
        return images.to(self._device, self._dtype).contiguous(memory_format=torch.channels_last)

    def _compute_front(self) -> Front:
        features = self._images
        skips: dict[int, Tensor] = {}
        for place in range(min(self._first, len(self._units))):
            features = self._modulate(place, self._strips(place, features, skips, {}), skips, self._plain[place])
        if self._first < len(self._units):
            features = self._store("front", self._first, self._strips(self._first, features, skips, {}))
        late = [place for place in skips if place > self._first >= self._depth]
        return Front(features, skips, {place: self._share(place, skips[place]) for place in late})

    def _compute(self, front: Front, affines: Sequence[Affine]) -> Tensor:
        features, skips = front.features, dict(front.skips)
        for place in range(self._first, len(self._units)):
            known = place == self._first
            strips = self._cut(place, features) if known else self._strips(place, features, skips, front.shares)
            features = self._modulate(place, strips, skips, affines[place])
        logits = torch.addcmul(affines[-1].shift, self._head(features, (1, 1)).float(), affines[-1].scale)
        return torch.sigmoid(logits[:, 1:] if self._background else logits)

    def _affines_under(self, condition: tuple[float, ...]) -> list[Affine]:
        """The last step of each unit, and that of the head."""
        if condition not in self._affines:
            if len(self._affines) >= _CONDITIONS:  # of a continuous field there is no end
                self._affines.clear()
            modulations = self._modulations(torch.tensor([condition], dtype=torch.float32))
            film = [place if isinstance(place, FiLMParameters) else None for place in modulations]
            units = [unit.affine.modulated(place).to(self._device, self._dtype) for unit, place in zip(self._units, film, strict=False)]
            unchanged = Affine(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))
            self._affines[condition] = [*units, unchanged.modulated(film[-1]).to(self._device, torch.float32)]
        return self._affines[condition]

    def _strips(self, place: int, features: Tensor, skips: Mapping[int, Tensor], shares: Mapping[int, Tensor]) -> "_Strips":
        """Compute a unit before its last BatchNorm, strip by strip."""
        unit = self._units[place]
        if place > self._depth:
            size = skips[place].shape[2:]
            beside = partial(_rows_of, shares[place]) if place in shares else unit.share(skips[place])
            first = unit.join(self._upper(place, features, size), beside)
        else:
            size = features.shape[2:]
            first = unit.enter(features)
        strip = self._strip(place, size)
        if self._device.type == "cpu":  # oneDNN crashes where it finds no room; torch says so
            maps = 4 * self._shape[0] * unit.channels * min(strip + 4, size[0] + 4) * (size[1] + 2) * self._dtype.itemsize
            torch.empty(maps + _SCRATCH, dtype=torch.uint8)
        return _Strips(size, unit.run(first, size[0], strip))

    def _cut(self, place: int, features: Tensor) -> "_Strips":
        """Give computed features strip by strip."""
        size = features.shape[2:]
        cuts = spans(size[0], self._strip(place, size))
        return _Strips(size, ((span.rows, features[:, :, span.rows]) for span in cuts))

    def _modulate(self, place: int, strips: "_Strips", skips: dict[int, Tensor], affine: Affine) -> Tensor:
        """Apply the last step of a unit; puts the skip of an encoder's unit up, and gives what the next place takes."""
        out = self._buffer("out", place, strips.size)
        pooled = self._buffer("pooled", place, [side // 2 for side in strips.size]) if place < self._depth else None
        for rows, features in strips.parts:
            modulated = torch.addcmul(affine.shift, features, affine.scale, out=out[:, :, rows])
            if pooled is not None:
                pooled[:, :, rows.start // 2 : rows.stop // 2] = functional.max_pool2d(modulated, 2)
        if pooled is None:
            return out
        skips[2 * self._depth - place] = out
        return pooled

    def _store(self, name: str, place: int, strips: "_Strips") -> Tensor:
        out = self._buffer(name, place, strips.size)
        for rows, features in strips.parts:
            out[:, :, rows] = features
        return out

    def _share(self, place: int, skip: Tensor) -> Tensor:
        """The skip's share of a decoder's convolution, (B, C, H + 2, W + 2): one row and column more on every side."""
        height, width = skip.shape[2:]
        out = self._buffer("share", place, (height + 2, width + 2))
        convolve = self._units[place].share(skip)
        for span in spans(height, self._strip(place, skip.shape[2:])):
            out[:, :, span.rows.start : span.rows.stop + 2] = span.used(convolve(span))
        return out

    def _upper(self, place: int, features: Tensor, size: Sequence[int]) -> Callable[[slice], Tensor]:
        """Rows of ``features`` (B, C, h, w) at the skip's size."""
        height, width = features.shape[2:]
        doubles = tuple(size) == (2 * height, 2 * width)
        if self._window is not None and doubles:
            level = 2 * self._depth - place + 1
            top, left, whole_height, whole_width = (length >> level for length in self._window)
        elif self._device.type == "cpu" and doubles and self._strip(place, size) < size[0]:
            top, left, whole_height, whole_width = 0, 0, height, width
        else:
            whole = upsampled(features, (size[0], size[1]))
            return lambda rows: whole[:, :, rows]
        down = fractions(height, top, whole_height, self._dtype).to(self._device)
        across = fractions(width, left, whole_width, self._dtype).to(self._device)
        return lambda rows: doubled(features, rows, down, across)

    def _strip(self, place: int, size: Sequence[int]) -> int:
        """How many rows run in one strip: all but on a CPU, whose cache is small, and of batches, whose rows lie apart."""
        if self._device.type != "cpu" or self._shape[0] > 1:
            return size[0]
        return max(_STRIP // (size[1] * self._units[place].channels * self._dtype.itemsize), _LEAST_ROWS)

    def _buffer(self, name: str, place: int, size: Sequence[int]) -> Tensor:
        """Memory for feature maps of a place, (B, C, *size)."""
        if (name, place) not in self._buffers:
            shape = (self._shape[0], self._units[place].channels, *size)
            self._buffers[name, place] = torch.empty(shape, dtype=self._dtype, device=self._device, memory_format=torch.channels_last)
        return self._buffers[name, place]


class _Strips(NamedTuple):
    """Feature maps (B, C, H, W), rows by rows; ``size`` is (H, W)."""

    size: Sequence[int]
    parts: Iterable[tuple[slice, Tensor]]


def _rows_of(share: Tensor, span: Span) -> Tensor:
    """What a strip's first convolution would have given of the skip; a copy, since the rest is added to it."""
    count = span.source.stop - span.source.start + 2 * span.padding[0] - 2
    return share[:, :, span.first + 1 : span.first + 1 + count].clone()

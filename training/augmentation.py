"""Patches of slices, mildly distorted: what a patient's position and a scanner's settings vary.

A patch reads the slice at    x = c + s R(a) (p - p0)    p a voxel of the patch, p0 its middle; c, s, a are drawn.

Where places count, the patch is upright (a = 0) and says where it lies: see `Patch.position`.
No flip belongs to it: left and right are not alike (liver and spleen), nor front and back; `flips` has them, for who asks.
Axes: C channels, K classes, (h, w).
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_film.models.position import Position

ROTATION = math.radians(10)
SCALE = 0.12  # natural log
SHIFT = 0.06  # of the slice's side
GAMMA = 0.3  # natural log
CONTRAST = 0.15
BRIGHTNESS = 0.15  # of the channel's standard deviation
NOISE = 0.12  # of the channel's standard deviation
NOISY = 0.5  # part of the samples


@dataclass(frozen=True)
class Intensity:
    """What is done to one channel: gamma over its range, then x · gain + offset · sd, then noise · sd."""

    gamma: float
    gain: float
    offset: float
    noise: float
    seed: int

    def apply(self, image: Tensor) -> Tensor:
        """Change ``image`` (h, w)."""
        low, high = image.min(), image.max()
        spread = image.std().clamp_min(1e-6)
        span = (high - low).clamp_min(1e-6)
        changed = ((image - low) / span).pow(self.gamma) * span + low
        changed = changed * self.gain + self.offset * spread
        if self.noise:
            field = np.random.default_rng(self.seed).standard_normal(image.shape, dtype=np.float32)
            changed = changed + torch.from_numpy(field) * (self.noise * spread)
        return changed


@dataclass(frozen=True)
class Patch:
    """Where a patch of ``size`` lies in a slice, and how its intensities change (None: not at all)."""

    size: tuple[int, int]
    centre: tuple[float, float]
    angle: float = 0.0
    scale: float = 1.0
    intensity: tuple[Intensity, ...] | None = None

    @classmethod
    def centred(cls, shape: tuple[int, int], size: tuple[int, int]) -> Self:
        """Give the patch in the middle of a slice of ``shape``, on its voxels."""
        return cls(size, tuple((side - 1) / 2 + ((side - length) % 2) / 2 for side, length in zip(shape, size, strict=True)))  # type: ignore[arg-type]

    def position(self, whole: tuple[int, int]) -> Position:
        """Say where the patch lies in an image whose ``whole`` is (h, w); it must be upright.

        Pixel i of it was read at c + s (i - p0), and the middle of pixel x of the whole is x + 0.5 from its edge.

        Raises
        ------
        ValueError
            If it is rotated.
        """
        if self.angle:
            raise ValueError(f"a patch rotated by {self.angle} has no position")
        top, left = (c + 0.5 - self.scale * side / 2 for c, side in zip(self.centre, self.size, strict=True))
        return Position(top, left, float(whole[0]), float(whole[1]), self.scale)

    def apply(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Cut the patch out of ``image`` (C, h, w) and ``mask`` (K, h, w), together; outside the slice its edge goes on."""
        height, width = image.shape[1:]
        channels = image.shape[0]
        if replace(self, intensity=None) == Patch.centred((height, width), (height, width)):
            return self._recoloured(image), mask.to(image.dtype)  # the slice as it is: nothing to interpolate
        rows = torch.arange(self.size[0], dtype=torch.float32) - (self.size[0] - 1) / 2
        columns = torch.arange(self.size[1], dtype=torch.float32) - (self.size[1] - 1) / 2
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        cosine, sine = self.scale * math.cos(self.angle), self.scale * math.sin(self.angle)
        source_y = self.centre[0] + cosine * y - sine * x
        source_x = self.centre[1] + sine * y + cosine * x
        grid = torch.stack([source_x / max(width - 1, 1), source_y / max(height - 1, 1)], dim=-1) * 2 - 1
        both = torch.cat([image, mask.to(image.dtype)])[None]
        cut = functional.grid_sample(both, grid[None], mode="bilinear", padding_mode="border", align_corners=True)[0]
        return self._recoloured(cut[:channels]), (cut[channels:] >= 0.5).to(image.dtype)

    def _recoloured(self, image: Tensor) -> Tensor:
        if self.intensity is None:
            return image
        return torch.stack([step.apply(channel) for step, channel in zip(self.intensity, image, strict=True)])


def draw_patch(
    rng: np.random.Generator, shape: tuple[int, int], size: tuple[int, int], *, channels: int = 1, upright: bool = False
) -> Patch:
    """Draw a patch of ``size`` from slices of ``shape`` with ``channels`` channels; an ``upright`` one is not rotated."""
    centre = []
    for side, length in zip(shape, size, strict=True):
        room = max(side - length, 0) / 2 + SHIFT * side
        centre.append((side - 1) / 2 + rng.uniform(-room, room))
    intensity = draw_intensity(rng, channels)
    angle, scale = rng.uniform(-ROTATION, ROTATION), math.exp(rng.uniform(-SCALE, SCALE))
    return Patch(size, (centre[0], centre[1]), 0.0 if upright else angle, scale, intensity)


def draw_intensity(rng: np.random.Generator, channels: int) -> tuple[Intensity, ...]:
    """Draw what is done to each of ``channels`` channels."""
    return tuple(
        Intensity(
            gamma=math.exp(rng.uniform(-GAMMA, GAMMA)),
            gain=1 + rng.uniform(-CONTRAST, CONTRAST),
            offset=rng.uniform(-BRIGHTNESS, BRIGHTNESS),
            noise=rng.uniform(0, NOISE) if rng.random() < NOISY else 0.0,
            seed=int(rng.integers(2**63)),
        )
        for _ in range(channels)
    )

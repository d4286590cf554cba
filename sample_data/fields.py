"""Smooth random fields, soft surfaces, bias fields and noise: what every phantom is made of.

A structure is a signed distance d in mm (positive inside). Its membership on a voxel of width w is

    m(d) = clip(1/2 + d / w, 0, 1)                     the share of a voxel of width w that lies inside a plane border

in the plane of the slice, and is averaged over sub-slices through the slice, so borders carry partial volume in all
three directions. Axes: I, J the plane of acquisition, K the slices; x, y, z are RAS+ mm.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.floating[Any]]


def generator(kind: str, seed: int, *keys: int) -> np.random.Generator:
    """Return the random generator of one subject (or block), the same whatever the number of subjects."""
    return np.random.default_rng(np.random.SeedSequence([zlib.crc32(kind.encode()), seed, *keys]))


def balanced_choice(kind: str, seed: int, index: int, choices: tuple[str, ...], stream: int) -> str:
    """Return the choice of subject ``index``: every run of ``len(choices)`` subjects holds each once, in a shuffled order."""
    block, place = divmod(index, len(choices))
    return choices[int(generator(kind, seed, block, stream).permutation(len(choices))[place])]


@dataclass(frozen=True)
class SmoothField:
    """A random function of position, mean 0 and standard deviation 1, correlated over ``scale`` mm.

    It lives on a coarse lattice in world coordinates, so every channel that samples it sees the same anatomy.
    """

    values: NDArray[np.float32]
    origin: tuple[float, float, float]
    step: float

    @classmethod
    def draw(cls, rng: np.random.Generator, low: tuple[float, float, float], high: tuple[float, float, float], scale: float) -> SmoothField:
        """Draw a field over the box from ``low`` to ``high`` (RAS+ mm); outside it the border's values go on."""
        step = scale / 2
        shape = tuple(int(np.ceil((b - a) / step)) + 4 for a, b in zip(low, high, strict=True))
        values = ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), 1.0, mode="wrap")
        origin = (low[0] - 1.5 * step, low[1] - 1.5 * step, low[2] - 1.5 * step)
        return cls(((values - values.mean()) / values.std()).astype(np.float32), origin, step)

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        """Sample the field at points of any one shape (RAS+ mm)."""
        lattice = np.stack([(p - o) / self.step for p, o in zip((x, y, z), self.origin, strict=True)])
        sampled: Array = ndimage.map_coordinates(self.values, lattice, order=1, mode="nearest", output=np.float32)
        return sampled


def soft(distance: Array, width: float) -> Array:
    """Return the membership of a signed ``distance`` (mm, positive inside) over a border ``width`` (mm)."""
    membership: Array = np.clip(0.5 + distance / np.float32(width), 0, 1)
    return membership


def ellipsoid(
    x: Array,
    y: Array,
    z: Array,
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
) -> Array:
    """Return the signed distance (mm, positive inside, first order) to an ellipsoid aligned with the coordinates given."""
    a, b, c = ((p - np.float32(o)) / np.float32(r) for p, o, r in zip((x, y, z), centre, radii, strict=True))
    a2, b2, c2 = a * a, b * b, c * c
    square = a2 + b2 + c2
    slope = np.sqrt(a2 / np.float32(radii[0] ** 2) + b2 / np.float32(radii[1] ** 2) + c2 / np.float32(radii[2] ** 2))
    # near the centre the first-order form divides by zero; the smallest radius bounds the distance there
    inside: Array = np.minimum((np.sqrt(square) - square) / np.maximum(slope, np.float32(1e-6)), np.float32(min(radii)))
    return np.where(square < 1e-4, np.float32(min(radii)), inside)


def paint(canvas: Array, membership: Array, value: Array | float) -> Array:
    """Cover ``canvas`` with ``value`` where ``membership`` is 1, and mix where it lies between."""
    return canvas + membership * (value - canvas)


def sub_slices(shape: tuple[int, int, int], affine: NDArray[np.float64], count: int) -> Iterator[tuple[Array, Array, Array]]:
    """Yield, ``count`` times, world coordinates (x, y, z) in mm of all voxels, at ``count`` even places through the slice."""
    i, j, k = (np.arange(n, dtype=np.float32).reshape([-1 if d == a else 1 for d in range(3)]) for a, n in enumerate(shape))
    m = affine.astype(np.float32)
    for part in range(count):
        at = k + np.float32((part + 0.5) / count - 0.5)
        x, y, z = (m[r, 0] * i + m[r, 1] * j + m[r, 2] * at + m[r, 3] for r in range(3))
        yield x, y, z


def bias_field(rng: np.random.Generator, shape: tuple[int, int, int], strength: float) -> Array:
    """Return a smooth multiplicative field (I, J, K), log-normal about 1: a random quadratic of position."""
    i, j, k = (np.linspace(-1, 1, n).reshape([-1 if d == a else 1 for d in range(3)]) for a, n in enumerate(shape))
    terms = (i, j, k, i * j, i * k, j * k, i * i - 1 / 3, j * j - 1 / 3, k * k - 1 / 3)
    log = sum(float(rng.normal(0, strength)) * term / (1.0 if n < 3 else 2.0) for n, term in enumerate(terms))
    return np.asarray(np.exp(log), dtype=np.float32)


def rician(rng: np.random.Generator, signal: Array, sigma: float) -> Array:
    """Return the magnitude of ``signal`` with complex Gaussian noise of ``sigma`` in each part (MR)."""
    real = signal + rng.standard_normal(signal.shape, dtype=np.float32) * np.float32(sigma)
    imaginary = rng.standard_normal(signal.shape, dtype=np.float32) * np.float32(sigma)
    magnitude: Array = np.hypot(real, imaginary)
    return magnitude


def correlated_noise(rng: np.random.Generator, shape: tuple[int, int, int], sigma: float, width: float) -> Array:
    """Return Gaussian noise of standard deviation ``sigma``, smooth over ``width`` voxels in the plane (a CT kernel)."""
    noise: NDArray[np.float32] = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), (width, width, 0.0))
    noise *= np.float32(sigma / float(noise.std()))
    return noise

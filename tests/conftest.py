"""Factories of synthetic volumes: permuted, flipped, oblique and anisotropic, so that no test needs a download."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_film.volume import Volume

Affine = NDArray[np.float64]


def affine_of(
    axes: Sequence[int] = (0, 1, 2),
    flips: Sequence[bool] = (False, False, False),
    *,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    angles: Sequence[float] = (0.0, 0.0, 0.0),
    origin: Sequence[float] = (0.0, 0.0, 0.0),
) -> Affine:
    """Make an affine whose voxel axis d points along world axis ``axes[d]`` (against it if flipped), then tilted by ``angles`` degrees."""
    affine = np.eye(4)
    for axis, (world, flip, size) in enumerate(zip(axes, flips, spacing, strict=True)):
        affine[:3, axis] = 0
        affine[world, axis] = -size if flip else size
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 3] = origin
    return affine


def world_of(affine: Affine, shape: Sequence[int]) -> NDArray[np.float64]:
    """RAS+ mm of every voxel: (*shape, 3)."""
    return np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]


@pytest.fixture(scope="session")
def make_affine() -> Callable[..., Affine]:
    """Give :func:`affine_of`: affines in any orientation."""
    return affine_of


@pytest.fixture(scope="session")
def make_world() -> Callable[..., NDArray[np.float64]]:
    """Give :func:`world_of`: where each voxel is."""
    return world_of


@pytest.fixture(scope="session")
def make_volume() -> Callable[..., Volume]:
    """Give a maker of int16 volumes of noise: ``make_volume(shape, affine=None, seed=0)``."""

    def make(shape: Sequence[int], affine: Affine | None = None, *, seed: int = 0, dtype: Any = np.int16) -> Volume:
        values = np.random.default_rng(seed).integers(0, 1000, size=shape)
        return Volume(np.asfortranarray(values.astype(dtype)), np.eye(4) if affine is None else affine, "noise.nii")

    return make

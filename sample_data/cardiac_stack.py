"""Where the slices of the phantom `cardiac` lie: a double-oblique stack planned along the left ventricle, a breath-hold a slice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cardiac_anatomy import Heart
from .cardiac_patient import Patient
from .fields import Array, sub_slices

SUB_SLICES = 4
SLICES = (6, 12)
SHORT = 0.15  # share of stacks that were not finished: 6 to 8 slices, from the valves' plane down


@dataclass(frozen=True)
class Protocol:
    """How a scanner acquires: voxels along I and J, their size, thickness of a slice and the smallest gap between slices, mm."""

    shape: tuple[int, int]
    spacing: float
    thickness: float
    gap: float


PROTOCOLS = (
    Protocol((160, 144), 1.5625, 8.0, 0.0),
    Protocol((192, 176), 1.25, 8.0, 1.6),
    Protocol((144, 128), 1.75, 8.0, 2.0),
    Protocol((176, 160), 1.40625, 5.0, 3.5),
    Protocol((160, 128), 1.6796875, 6.0, 4.0),
)


@dataclass(frozen=True)
class Stack:
    """Where the slices lie."""

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]  # voxel -> RAS+ mm
    heart: NDArray[np.float64]  # voxel -> the heart's u, v, s in mm, without the breath-holds' shifts
    thickness: float
    shifts: NDArray[np.float64]  # (K, 2) mm along I and J by which the heart is elsewhere in each slice

    @property
    def pitch(self) -> float:
        """Size of a voxel in the plane, mm."""
        return float(np.linalg.norm(self.affine[:3, 0]))

    def through(self) -> Iterator[tuple[Array, Array, Array]]:
        """Yield the heart's u, v, s of all voxels, `SUB_SLICES` times at even places through the thickness, shifts in them."""
        share = self.thickness / np.linalg.norm(self.heart[:3, 2])
        shifts = self.shifts.astype(np.float32)[None, None]
        for part in range(SUB_SLICES):
            moved = self.heart.copy()
            moved[:3, 3] += moved[:3, 2] * share * ((part + 0.5) / SUB_SLICES - 0.5)
            u, v, s = next(sub_slices(self.shape, moved, 1))
            yield u - shifts[..., 0], v - shifts[..., 1], s


def heart_axes(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the heart's axes u, v, s as columns in RAS: the apex points to the left, the front and down."""
    left, down = np.deg2rad(np.clip(rng.normal(48, 6), 34, 62)), np.deg2rad(np.clip(rng.normal(32, 6), 18, 46))
    s = np.array([-np.sin(left) * np.cos(down), np.cos(left) * np.cos(down), -np.sin(down)])
    v = -(np.array([0, 0, 1.0]) - s[2] * s)
    v /= np.linalg.norm(v)
    return np.stack([np.cross(s, v), v, s], axis=1)


def plan_stack(rng: np.random.Generator, protocol: Protocol, patient: Patient, hearts: tuple[Heart, Heart]) -> Stack:
    """Plan the stack as a person does: the second or third slice a few mm below the mitral ring of end-diastole."""
    axes = heart_axes(rng)
    origin = np.array([-12.0, 4.0, 0.0]) + rng.normal(0, (3, 3, 3))
    tilt_u, tilt_v, turn = np.deg2rad(rng.normal(0, (2.5, 2.5, 8)).clip((-6, -6, -20), (6, 6, 20)))
    # slices stand not quite square to the long axis, and the picture is turned
    (cu, su), (cv, sv), (ct, st) = ((np.cos(a), np.sin(a)) for a in (tilt_u, tilt_v, turn))
    rotation = np.array([[1, 0, 0], [0, cu, -su], [0, su, cu]]) @ np.array([[cv, 0, sv], [0, 1, 0], [-sv, 0, cv]])
    rotation = rotation @ np.array([[ct, -st, 0], [st, ct, 0], [0, 0, 1]])
    left = hearts[0].left
    first = float(rng.uniform(0.35, 0.65)) * patient.descent  # between the mitral ring's two places
    above, end = hearts[0].outflow_base - 3, left.length + left.tip + float(rng.uniform(-1, 2))
    distance = max(protocol.thickness + protocol.gap, (end - above) / (SLICES[1] - 2))
    distance = min(float(np.ceil(2 * distance) / 2), 10.0)
    before, behind = int(np.ceil((first - above) / distance)), int(np.ceil((end - first) / distance))
    if rng.random() < SHORT:
        before, behind = 0, min(int(rng.integers(SLICES[0], SLICES[0] + 3)) - 1, behind)
    before = max(min(before, SLICES[1] - 1 - behind), 0)
    count = before + behind + 1
    shape = (*protocol.shape, count)
    scaled = rotation @ np.diag([protocol.spacing, protocol.spacing, distance])
    centre = np.array([-22.0, 2.0]) + rng.normal(0, 5, 2)  # the middle of the picture, between the ventricles
    heart = np.eye(4)
    heart[:3, :3] = scaled
    at = np.array([(shape[0] - 1) / 2, (shape[1] - 1) / 2, before])
    heart[:3, 3] = np.array([*centre, first]) - scaled @ at
    affine = np.eye(4)
    affine[:3, :3] = axes @ scaled
    affine[:3, 3] = origin + axes @ heart[:3, 3]
    shifts = rng.normal(0, 1.2, (count, 2)) + (rng.random((count, 1)) < 0.12) * rng.normal(0, 3.0, (count, 2))
    return Stack((shape[0], shape[1], shape[2]), np.round(affine, 6), heart, protocol.thickness, shifts.clip(-6, 6))

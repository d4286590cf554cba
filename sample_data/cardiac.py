"""Phantom `cardiac`: short-axis cine stacks of a beating heart, laid out as ACDC is (Bernard et al. 2018).

Each patient has the frames of end-diastole (ED) and end-systole (ES) on one double-oblique grid: I runs to the left and back, J towards the
inferior wall, K from the base to the apex. Slices are 8.5 to 10 mm apart and each is a breath-hold of its own, so the heart is not quite in
the same place in all of them. Labels: 1 right ventricle, 2 myocardium, 3 left ventricle.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from . import bids_tree
from .cardiac_anatomy import Heart
from .cardiac_appearance import Look, degrade, paint_heart
from .cardiac_chest import Chest
from .cardiac_motion import PHASES, beat, draw_form
from .cardiac_patient import KIND, draw_patient
from .cardiac_stack import PROTOCOLS, SUB_SLICES, Stack, plan_stack
from .fields import Array, generator, sub_slices

ABOUT = """Short-axis cine stacks of a beating heart at end-diastole and end-systole, drawn from formulas and laid out as ACDC is.
What is modelled and what is not: docs/phantoms.md. Slices are stored from the base to the apex. cases.tsv names the images, their masks
(1 right ventricle, 2 myocardium, 3 left ventricle) and the phase."""


def write(directory: Path, *, subjects: int, seed: int, progress: Callable[[int, int], None] | None) -> Path:
    """Write ``subjects`` patients into the empty folder ``directory``; see `napari_film.sample_data.write_phantom`."""
    bids_tree.describe(directory, KIND, ABOUT, {"kind": KIND, "seed": seed})
    rows: list[dict[str, object]] = []
    for index in range(subjects):
        rows += write_subject(directory, seed, index)
        if progress is not None:
            progress(index + 1, subjects)
    bids_tree.write_table(directory / "cases.tsv", rows)
    return directory


def acquire(
    rng: np.random.Generator, stack: Stack, hearts: tuple[Heart, Heart], chest: Chest, look: Look
) -> list[tuple[NDArray[np.int16], NDArray[np.uint8]]]:
    """Scan both phases: for each the image (I, J, K), and its truth on the same voxels."""
    width = stack.pitch
    world = next(sub_slices(stack.shape, stack.affine, 1))
    around = chest.signal(*world, 1.5 * stack.shifts[None, None, :, 1].astype(np.float32), width)
    across, along, through = (np.linspace(-1, 1, n).reshape([-1 if d == a else 1 for d in range(3)]) for a, n in enumerate(stack.shape))
    slopes = rng.normal(0, (0.3, 0.3, 0.15))
    bends = rng.normal(0, (0.25, 0.25))
    field = slopes[0] * across + slopes[1] * along + slopes[2] * through + bends[0] * across**2 + bends[1] * along**2
    frames = []
    for phase, heart in zip(PHASES, hearts, strict=True):
        image, shares = np.zeros(stack.shape, np.float32), np.zeros((3, *stack.shape), np.float32)
        for points in stack.through():
            box, inside = _box(points)
            part, tissue = paint_heart(around[box], heart, look, inside, width, systole=phase == "ES")
            whole = around.copy()
            whole[box] = part
            image += (whole / SUB_SLICES).astype(np.float32)
            shares[(slice(None), *box)] += (tissue / SUB_SLICES).astype(np.float32)
        truth = np.where(shares.sum(axis=0) > 0.5, shares.argmax(axis=0) + 1, 0).astype(np.uint8)
        image = ndimage.gaussian_filter(image, (0.45, 0.45, 0.0))  # the sequence's point spread in the plane
        image = degrade(rng, image, look, field, chest.half_depth - world[1])
        frames.append((np.clip(np.rint(image * look.gain), 0, 32767).astype(np.int16), truth))
    return frames


def write_subject(directory: Path, seed: int, index: int) -> list[dict[str, object]]:
    """Write one patient's folder and return its two rows of cases.tsv."""
    patient = draw_patient(seed, index)
    rng = generator(KIND, seed, index, 3)
    hearts = beat(patient, draw_form(rng, patient))
    chest = Chest.draw(rng, patient.weight / (patient.height / 100) ** 2)
    look = Look.draw(rng)
    stack = plan_stack(rng, PROTOCOLS[int(rng.integers(len(PROTOCOLS)))], patient, hearts)
    name = f"patient{index + 1:03d}"
    folder = directory / "training" / name
    rows: list[dict[str, object]] = []
    for phase, number, (image, truth) in zip(
        PHASES, (1, patient.systole), acquire(generator(KIND, seed, index, 4), stack, hearts, chest, look), strict=True
    ):
        stem = f"{name}_frame{number:02d}"
        bids_tree.write_image(folder / f"{stem}.nii.gz", image, stack.affine)
        bids_tree.write_image(folder / f"{stem}_gt.nii.gz", truth, stack.affine)
        rows.append(
            {
                "subject": name,
                "session": phase,
                "image": f"training/{name}/{stem}.nii.gz",
                "mask": f"training/{name}/{stem}_gt.nii.gz",
                "phase": phase,
                "group": patient.group,
            }
        )
    info = {
        "ED": 1,
        "ES": patient.systole,
        "Group": patient.group,
        "Height": patient.height,
        "NbFrame": patient.frames,
        "Weight": patient.weight,
    }
    bids_tree.write_text(folder / "Info.cfg", "".join(f"{key}: {value}\n" for key, value in info.items()))
    return rows


def _box(points: tuple[Array, Array, Array]) -> tuple[tuple[slice, slice], tuple[Array, Array, Array]]:
    """Give the part of the plane where the heart can be, and the points there."""
    u, v, _ = points
    near = (np.abs(u + 25) < 105) & (np.abs(v) < 78)
    rows, columns = (np.flatnonzero(near.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    return box, (points[0][box], points[1][box], points[2][box])

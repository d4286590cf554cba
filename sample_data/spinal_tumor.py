"""Phantom `spinal_tumor`: sagittal Gd-e T1w and T2w of a spine with an intramedullary tumour of one of three types.

Both channels sample the same continuous anatomy, each on an oblique grid of its own. Signals are in units of the scanner, about
0 to 2000; truth is the majority tissue of each voxel: 1 core, 2 oedema, 3 cavity.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from . import bids_tree
from .fields import balanced_choice, bias_field, generator, rician, sub_slices
from .scene import Scene
from .spine import LEVELS, Spine
from .tumor import TYPES, Tumor

KIND = "spinal_tumor"
SITES = ("north", "south", "west")
SUB_SLICES = 3


@dataclass(frozen=True)
class Sequence:
    """How one site acquires one contrast. Spacing in mm: along the spine and to the front, and between slices."""

    shape: tuple[int, int, int]  # along the spine, to the front, slices
    spacing: tuple[float, float, float]
    codes: str  # how it is stored
    noise: float  # as a share of the cord's signal: 1 / SNR
    repetition_time: float  # s
    echo_time: float  # s


@dataclass(frozen=True)
class Site:
    """One imaging centre: both sequences and what its coil does."""

    field_strength: float
    t1w: Sequence
    t2w: Sequence
    shading: float  # standard deviation of the log bias field's terms
    coil_depth: float  # mm over which the spine coil's signal falls to 1/e towards the front
    saturation: float  # what the anterior saturation band leaves of the signal


PROTOCOLS = {
    "north": Site(1.5, Sequence((192, 96, 13), (1.15, 1.15, 3.6), "PSR", 0.045, 0.52, 0.011),
                  Sequence((224, 112, 13), (1.02, 1.02, 3.3), "PSR", 0.04, 3.2, 0.105), 0.07, 150.0, 0.35),
    "south": Site(3.0, Sequence((192, 96, 14), (1.1, 1.1, 3.3), "PSL", 0.03, 0.65, 0.009),
                  Sequence((208, 104, 15), (1.05, 1.05, 3.3), "PIR", 0.028, 3.8, 0.098), 0.12, 120.0, 0.45),
    "west": Site(1.5, Sequence((192, 96, 12), (1.2, 1.2, 4.0), "ASR", 0.055, 0.48, 0.012),
                 Sequence((200, 100, 12), (1.25, 1.25, 3.6), "PSR", 0.05, 2.9, 0.11), 0.08, 170.0, 0.3),
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """Who is scanned, and where."""

    site: str
    age: int
    sex: str
    scene: Scene


def draw_subject(seed: int, index: int) -> Subject:
    """Draw subject ``index``. Site, level, age and sex come from streams that have never heard of the type."""
    person = generator(KIND, seed, index, 2)
    site, level = balanced_choice(KIND, seed, index, SITES, 7), balanced_choice(KIND, seed, index, LEVELS, 8)
    age, sex = int(np.clip(person.normal(42, 14), 18, 80)), "FM"[int(person.integers(2))]
    spine = Spine.draw(person, level)
    tumor = Tumor.draw(generator(KIND, seed, index, 3), spine, balanced_choice(KIND, seed, index, TYPES, 1))
    return Subject(site, age, sex, Scene.draw(person, spine, tumor))


def draw_grid(rng: np.random.Generator, sequence: Sequence, spine: Spine) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return the shape and affine (voxel -> RAS+ mm) of a sagittal stack, turned by a few degrees, in its stored order."""
    turn_z, turn_y, turn_x = np.deg2rad(rng.normal(0, (2.0, 1.5, 2.5)).clip(-4, 4))
    cz, sz, cy, sy, cx, sx = (f(a) for a in (turn_z, turn_y, turn_x) for f in (np.cos, np.sin))
    rotation = (
        np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    )
    up, front, slices = sequence.shape
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([sequence.spacing[2], sequence.spacing[1], sequence.spacing[0]])
    shape = (slices, front, up)  # R, A, S
    # the canal lies behind the middle of the picture
    centre = np.array(spine.to_world(0.0, float(rng.normal(6.0, 2.0)), float(rng.normal(0.0, 2.0))))
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    stored = np.eye(4)
    axes = ["RLAPSI".index(code) // 2 for code in sequence.codes]
    signs = [1 - 2 * ("RLAPSI".index(code) % 2) for code in sequence.codes]
    first = [0 if sign > 0 else shape[axis] - 1 for axis, sign in zip(axes, signs, strict=True)]
    stored[:3, :3] = affine[:3, axes] * signs
    stored[:3, 3] = affine[:3, 3] + affine[:3, axes] @ first
    return (shape[axes[0]], shape[axes[1]], shape[axes[2]]), stored


def acquire(rng: np.random.Generator, subject: Subject, contrast: int) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.float64]]:
    """Scan ``subject``: the image (I, J, K), its truth on the same voxels, and their affine."""
    site = PROTOCOLS[subject.site]
    sequence = (site.t1w, site.t2w)[contrast]
    shape, affine = draw_grid(rng, sequence, subject.scene.spine)
    image, shares = np.zeros(shape, np.float32), np.zeros((3, *shape), np.float32)
    for world in sub_slices(shape, affine, SUB_SLICES):
        part, tissue = subject.scene.signal(world, contrast, sequence.spacing[0])
        image += (part / SUB_SLICES).astype(np.float32)
        shares += (tissue / SUB_SLICES).astype(np.float32)
    truth = np.where(shares.sum(axis=0) > 0.5, shares.argmax(axis=0) + 1, 0).astype(np.uint8)
    image = ndimage.gaussian_filter(image, (0.4, 0.4, 0.0))  # the sequence's point spread in the plane
    depth = np.linspace(0, sequence.shape[1] * sequence.spacing[1], sequence.shape[1])
    band = 1 - (1 - site.saturation) / (1 + np.exp(-(depth - depth[-1] * rng.uniform(0.78, 0.88)) / 4))
    coil = np.exp(-depth / site.coil_depth) * band
    if sequence.codes[0] == "P":
        coil = coil[::-1]
    image = image * coil[:, None, None] / np.exp(-0.45 * depth[-1] / site.coil_depth) * bias_field(rng, shape, site.shading)
    image = rician(rng, image, sequence.noise)
    gain = rng.uniform(300, 480)
    return np.clip(np.rint(image * gain), 0, 32767).astype(np.int16), truth, affine


def write_subject(directory: Path, seed: int, index: int) -> dict[str, object]:
    """Write one subject and return its row of participants.tsv."""
    subject = draw_subject(seed, index)
    name = f"sub-{index + 1:03d}"
    site = PROTOCOLS[subject.site]
    for contrast, suffix in enumerate(("ce-gadolinium_T1w", "T2w")):
        sequence = (site.t1w, site.t2w)[contrast]
        image, truth, affine = acquire(generator(KIND, seed, index, 4 + contrast), subject, contrast)
        bids_tree.write_image(directory / name / "anat" / f"{name}_{suffix}.nii.gz", image, affine)
        sidecar: dict[str, object] = {
            "Modality": "MR",
            "MagneticFieldStrength": site.field_strength,
            "Manufacturer": "phantom",
            "InstitutionName": subject.site,
            "BodyPartExamined": "SPINE",
            "RepetitionTime": sequence.repetition_time,
            "EchoTime": sequence.echo_time,
            "SliceThickness": sequence.spacing[2],
            "SeriesDescription": f"PHANTOM sagittal {suffix}",
        }
        if contrast == 0:
            sidecar["ContrastBolusIngredient"] = "GADOLINIUM"
        bids_tree.write_json(directory / name / "anat" / f"{name}_{suffix}.json", sidecar)
        tree = "labels" if contrast == 0 else "truth"
        path = directory / "derivatives" / tree / name / "anat" / f"{name}_{suffix}_dseg.nii.gz"
        bids_tree.write_image(path, truth, affine)
    return {
        "participant_id": name,
        "age": subject.age,
        "sex": subject.sex,
        "site": subject.site,
        "level": subject.scene.spine.level,
        "tumor_type": subject.scene.tumor.tumor_type,
    }


COLUMNS = {
    "age": {"Description": "Age at the scan", "Units": "year"},
    "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
    "site": {"Description": "Imaging centre; it decides scanner and protocol", "Levels": {name: f"centre {name}" for name in SITES}},
    "level": {"Description": "Part of the spine in the middle of the picture", "Levels": {name: f"{name} spine" for name in LEVELS}},
    "tumor_type": {"Description": "Type of the intramedullary tumour", "Levels": {name: name for name in TYPES}},
}
ABOUT = """Sagittal Gd-e T1w and T2w of a spinal cord tumour, drawn from formulas. What is modelled and what is not: docs/phantoms.md.
derivatives/labels holds the truth on the T1w's voxels (the reference channel), derivatives/truth the same on the T2w's."""

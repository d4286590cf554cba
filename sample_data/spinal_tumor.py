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
from .fields import Array, SmoothField, balanced_choice, bias_field, generator, paint, rician, soft, sub_slices
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

# Signals as shares of the normal cord's, read off usual spin-echo pictures: T1w with gadolinium, T2w.
SIGNAL = {
    "cord": (1.0, 1.0), "csf": (0.42, 2.7), "fat": (2.1, 1.9), "muscle": (0.8, 0.5), "marrow": (1.15, 0.95), "cortex": (0.15, 0.12),
    "disc": (0.8, 1.5), "dark_disc": (0.7, 0.4), "ligament": (0.3, 0.2), "vein": (1.9, 0.25), "plexus": (1.6, 1.1), "air": (0.02, 0.02),
    "cavity": (0.45, 2.55), "oedema": (0.93, 1.5), "region": (0.88, 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """What is drawn once and seen by both channels."""

    site: str
    age: int
    sex: str
    spine: Spine
    tumor: Tumor
    streaks: SmoothField
    marrow: float
    muscle: float
    airway: float


def draw_subject(seed: int, index: int) -> Subject:
    """Draw subject ``index``. Site, level, age and sex come from streams that have never heard of the type."""
    person = generator(KIND, seed, index, 2)
    site, level = balanced_choice(KIND, seed, index, SITES, 7), balanced_choice(KIND, seed, index, LEVELS, 8)
    age = int(np.clip(person.normal(42, 14), 18, 80))
    sex = "FM"[int(person.integers(2))]
    spine = Spine.draw(person, level)
    streaks = SmoothField.draw(person, (-40, -80, -130), (40, 80, 130), 5.0)
    marrow, muscle, airway = float(person.normal(1, 0.12)), float(person.normal(1, 0.08)), float(person.uniform(0, 1))
    tumor = Tumor.draw(generator(KIND, seed, index, 3), spine, balanced_choice(KIND, seed, index, TYPES, 1))
    return Subject(site, age, sex, spine, tumor, streaks, marrow, muscle, airway)


def signal(subject: Subject, world: tuple[Array, Array, Array], contrast: int, width: float) -> tuple[Array, Array]:
    """Return the signal (cord = 1) at world points, and the shares (3, ...) of core, oedema and cavity.

    ``contrast`` is 0 for Gd-e T1w and 1 for T2w, ``width`` the voxel's width in the plane in mm.
    """
    spine, tumor = subject.spine, subject.tumor
    u, v, s = spine.cord_coordinates(*world)
    level = {name: value[contrast] for name, value in SIGNAL.items()}
    texture, streaks = spine.texture(*world), subject.streaks(*world)

    image = level["muscle"] * subject.muscle * (1 + 0.06 * texture)
    image = paint(image, 0.55 * soft(streaks - 1.1, 1.2), level["fat"])
    image = paint(image, soft(-(spine.size.skin - spine.fat) - v + 1.5 * texture, width), level["fat"] * (1 + 0.03 * streaks))
    front = spine.size.canal[1] + 1.5 + spine.size.body_depth
    if spine.level == "cervical":
        image = paint(image, soft(3.5 - np.abs(v - front - 14 - 4 * subject.airway), width) * soft(9 - np.abs(u), 2), level["air"])
        image = paint(image, soft(v - front - 34, 6), level["fat"])
        image = paint(image, soft(v - front - 44 - 0.25 * np.abs(s), width), level["air"])
    else:
        vessel = np.hypot(u + 10, v - front - 12) if spine.level == "thoracolumbar" else np.hypot(u + 16, v - front - 4)
        image = paint(image, soft(v - front - 1.5 + texture, 4), 0.6 * level["fat"])
        if spine.level == "thoracic":
            image = paint(image, soft(np.maximum(np.abs(u) - 17, v - front - 26) + 2 * texture, 4), 3 * level["air"])
        image = paint(image, soft(10.5 - vessel, width), level["cortex"])

    bones = spine.bones(u, v, s)
    to_disc, _, index = spine.place(s)
    wear = spine.degeneration.astype(np.float32)[index]
    image = paint(image, soft(5.5 - np.hypot(np.abs(u) - spine.size.canal[0] - 3.5, v - 1), 3), level["fat"])  # foramina
    between = np.minimum(6.5 - np.abs(u), np.minimum(-spine.size.canal[1] - v, v + spine.size.skin * 0.6))
    image = paint(image, soft(between, 2), level["ligament"])  # between the spinous processes
    for name in ("body", "pedicle", "process"):
        image = paint(image, soft(bones[name] + 0.7, width), level["cortex"])
        image = paint(image, soft(bones[name] - 0.4, width), level["marrow"] * subject.marrow * (1 + 0.07 * texture + 0.05 * streaks))
    middle = spine.size.canal[1] + 1.5
    basivertebral = np.minimum(np.minimum(1.3 - 0.12 * (v - middle), 9 - (v - middle)), 6 - np.abs(u)) - np.maximum(
        spine.size.body_height / 2 - to_disc, 0
    )
    image = paint(image, 0.7 * soft(basivertebral, 1.5), level["plexus"] * 1.05)
    nucleus = paint(np.full_like(image, level["dark_disc"]), soft(bones["disc"] - 1.2, 2.0) * (1 - wear), level["disc"])
    image = paint(image, soft(bones["disc"], width), nucleus)
    image = paint(image, soft(1.4 - np.abs(v - front), 1.4) * soft(8 - np.abs(u), 3), level["ligament"])

    # canal: fat and veins outside the dura, then CSF, then the cord
    image = paint(image, soft(bones["canal"] + 1.4, width), level["ligament"])
    epidural = np.where(v < 0, level["fat"], level["plexus"] if contrast == 0 else level["ligament"] * 2)
    image = paint(image, soft(bones["canal"] + 0.8, width), epidural)
    image = paint(image, soft(bones["canal"], width), level["csf"] * (1 + (0.08 * streaks if contrast == 1 else 0.02 * streaks)))
    radii = spine.cord_radii(s, tumor.expansion)
    safe = np.maximum(radii[0], 0.3), np.maximum(radii[1], 0.3)
    shift = 0.35 * (spine.size.canal[1] - radii[1]) * np.clip(-spine.size.curvature * 500, -1, 1)  # the cord keeps to the inside of a bend
    rho = np.sqrt((u / safe[0]) ** 2 + ((v - shift) / safe[1]) ** 2)
    to_cord = (1 - rho) * safe[1]
    if spine.conus is not None:
        roots = soft(0.9 - np.abs(v + 3.2 - 1.2 * np.sin(0.05 * s) + 0.4 * texture), width)
        roots = np.maximum(roots, soft(0.7 - np.abs(v + 5 + 0.3 * texture), width))
        image = paint(image, 0.75 * roots * soft(spine.conus + 12 - s, 15) * soft(6 - np.abs(u), 3), level["cord"])
    image = paint(image, soft(to_cord, width) * (radii[1] > 0.5), 1 + 0.03 * texture)
    v = v - shift

    near = tumor.distances(u, v, s, to_cord)
    speckle = np.clip(tumor.speckle(u, v, s), -2, 2)
    t2 = 1 + tumor.t2_region
    swelling = soft(near["oedema"], 4.0) * soft(to_cord, width)
    image = paint(image, swelling, level["oedema"] if contrast else level["oedema"] + 0.02 * speckle)
    share = soft(near["region"] - 0.25 * tumor.border, tumor.border) * soft(to_cord, width)
    if contrast == 0:
        patches = np.clip(1 + 1.4 * tumor.patchy * speckle, 0, 2.2)
        image = paint(image, share, level["region"] + tumor.enhancement * patches)
        image = paint(image, soft(near["nodule"], tumor.nodule_border), 1 + tumor.nodule_enhancement * (1 + 0.2 * tumor.patchy * speckle))
    else:
        image = paint(image, share, t2 + 0.35 * tumor.patchy * tumor.t2_region * speckle)
        image = paint(image, soft(near["nodule"], tumor.nodule_border), 1 + tumor.t2_nodule + 0.1 * tumor.patchy * speckle)
        ends = np.abs(s - np.float32(tumor.region.centre[2])) / np.float32(tumor.region.radii[2])
        image = paint(image, tumor.dark_cap * soft(1.6 - np.abs(ends - 0.93) * tumor.region.radii[2], 2.0) * soft(to_cord - 0.6, 2), 0.35)
    image = paint(image, soft(near["cavity"], width), level["cavity"])
    closeness = np.exp(-(((s - np.float32(tumor.nodule.centre[2])) / np.float32(tumor.region.radii[2] + 15)) ** 2))
    veins = spine.vessel_membership(u, v, s, radii, width, np.float32(tumor.feeding_vessels) * closeness)
    image = paint(image, veins * (radii[1] > 0.5), level["vein"])
    # air behind the back, softened by the skin
    image = paint(image, soft(-spine.size.skin - v + 0.4, width), level["cortex"])
    image = paint(image, soft(-spine.size.skin - v - 1.2, width), level["air"])
    return image, tumor.truth(near, width)


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
    shape, affine = draw_grid(rng, sequence, subject.spine)
    image, shares = np.zeros(shape, np.float32), np.zeros((3, *shape), np.float32)
    for world in sub_slices(shape, affine, SUB_SLICES):
        part, tissue = signal(subject, world, contrast, sequence.spacing[0])
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
        "level": subject.spine.level,
        "tumor_type": subject.tumor.tumor_type,
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

"""Phantom `abdomen`: axial CT, in HU, of the upper abdomen; labels 1 liver, 2 spleen, 3 kidneys.

Each subject comes from one of three sources. A source has its own mix of contrast phases, kernel, noise, field of view and
table, and was collected for one organ, as public data sets are; with one organ labelled in each scan, it is that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from . import bids_tree
from .body import MISSING, Body
from .fields import Array, balanced_choice, correlated_noise, generator, paint, soft, sub_slices

KIND = "abdomen"
LABELS = {1: "liver", 2: "spleen", 3: "kidneys"}
PHASES = ("noncontrast", "arterial", "portal")
SPACING = (3.0, 3.0, 5.0)  # mm; R, A, S
IN_PLANE = (112, 88)
SUB_SLICES = 2

# HU by phase, mean and standard deviation between subjects: textbook values; the ranges of the organs overlap in every phase.
HU = {
    "noncontrast": {"liver": (56, 9), "spleen": (48, 6), "cortex": (33, 4), "medulla": (31, 4), "aorta": (40, 5), "cava": (40, 5),
                    "muscle": (52, 5), "pancreas": (42, 7), "vessels": (-8, 4)},
    "arterial": {"liver": (72, 12), "spleen": (118, 22), "cortex": (165, 28), "medulla": (78, 18), "aorta": (280, 50), "cava": (95, 25),
                 "muscle": (58, 5), "pancreas": (98, 14), "vessels": (12, 10)},
    "portal": {"liver": (107, 15), "spleen": (117, 14), "cortex": (168, 26), "medulla": (150, 26), "aorta": (150, 20), "cava": (140, 18),
               "muscle": (63, 5), "pancreas": (88, 12), "vessels": (45, 12)},
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One data set's style."""

    organ: str
    phases: tuple[float, float, float]  # chances, in the order of `PHASES`
    noise: tuple[float, float]  # HU
    kernel: float  # voxels over which noise is smooth; small is sharp
    blur: float  # voxels, of the image itself
    middle: tuple[float, float]  # mm: where the middle slice lies
    slices: tuple[int, int]
    table: float  # mm from the back to the table
    codes: str


SOURCES = {
    "centre-liver": Source("liver", (0.2, 0.2, 0.6), (10, 20), 0.75, 0.45, (0, 45), (30, 36), 4.0, "LAS"),
    "centre-spleen": Source("spleen", (0.1, 0.1, 0.8), (7, 14), 1.0, 0.6, (5, 50), (28, 34), 12.0, "RAS"),
    "centre-kidneys": Source("kidneys", (0.15, 0.65, 0.2), (14, 26), 0.55, 0.35, (-40, 15), (28, 36), 7.0, "LAS"),
}


@dataclass(frozen=True)
class Subject:
    """What is drawn of one subject before the scan."""

    source: str
    phase: str
    age: int
    sex: str
    body: Body
    hu: dict[str, float]
    steatosis: bool


def draw_subject(seed: int, index: int) -> Subject:
    """Draw subject ``index``."""
    rng = generator(KIND, seed, index, 2)
    source = balanced_choice(KIND, seed, index, tuple(SOURCES), 1)
    phase = str(rng.choice(PHASES, p=SOURCES[source].phases))
    hu = {
        name: float(np.clip(rng.normal(mean, spread), mean - 2.5 * spread, mean + 2.5 * spread))
        for name, (mean, spread) in HU[phase].items()
    }
    hu["medulla"] = min(hu["medulla"], hu["cortex"])
    steatosis = bool(rng.random() < 0.2)
    if steatosis:
        hu["liver"] -= float(rng.uniform(15, 35))
    age, sex = int(np.clip(rng.normal(58, 14), 20, 88)), "FM"[int(rng.integers(2))]
    return Subject(source, phase, age, sex, Body.draw(rng, SOURCES[source].organ), hu, steatosis)


def attenuation(subject: Subject, world: tuple[Array, Array, Array], width: float) -> tuple[Array, Array]:
    """Return HU at world points, and the shares (3, ...) of liver, spleen and kidneys; ``width`` is the voxel's in the plane, mm."""
    body, hu = subject.body, subject.hu
    x, y, z = body.average_coordinates(*world)
    d = body.distances(x, y, z)
    texture = body.texture(*world)
    source = SOURCES[subject.source]

    image: Array = np.full_like(z, -1000.0)
    table = 5 - np.abs(world[1] + body.half_depth + source.table + 8 - 0.0006 * world[0] ** 2)
    image = paint(image, soft(np.minimum(table, 160 - np.abs(world[0])), width), -650.0)
    image = paint(image, soft(d["trunk"], width), 20.0)  # skin
    image = paint(image, soft(d["trunk"] - 2.0, width), -105.0 + 4 * texture)
    image = paint(image, soft(d["muscle"], width), hu["muscle"] + 3 * texture - 25 * np.clip(texture - 0.9, 0, 1))
    image = paint(image, soft(d["cavity"], width), -98.0 + 7 * texture)
    image = paint(image, soft(np.minimum(d["muscle"], d["cavity"] + 3), width), hu["muscle"])
    image = paint(image, soft(d["aorta"], width), hu["aorta"])
    image = paint(image, soft(d["cava"], width), hu["cava"])
    image = paint(image, soft(d["pancreas"] + 2.5 * texture, width), hu["pancreas"])
    for loop in body.bowel:
        inside = np.minimum(loop.distance(x, y, z) + 2 * texture, d["bowel_room"])
        image = paint(image, soft(inside, width), hu["muscle"] + 8)
        image = paint(image, soft(inside - 3, width), loop.content)
        if loop.gas:
            image = paint(image, soft(np.minimum(inside - 3, y - loop.centre[1] - 2), width), -880.0)
    image = paint(image, soft(d["stomach"], width), hu["muscle"] + 12)
    image = paint(image, soft(d["stomach"] - 4, width), body.stomach.content)
    image = paint(image, soft(np.minimum(d["stomach"] - 4, y - body.stomach.centre[1] - 10), width), -900.0)
    image = paint(image, soft(d["diaphragm"], width), hu["muscle"])
    image = paint(image, soft(d["lung"], width), -840.0 + 25 * texture)
    image = paint(image, soft(d["heart"], width), 0.5 * (hu["aorta"] + hu["cava"]))
    image = paint(image, soft(d["gallbladder"], width), 9.0)

    one, two = (field(*world) for field in body.vessels)
    liver: Array
    branch = soft(0.16 - np.hypot(one, two), 0.12) + soft(0.14 - np.hypot(one - 1, two + 0.5), 0.12)
    liver = hu["liver"] + 2.5 * texture + hu["vessels"] * branch
    for lesion in body.liver_lesions:
        liver = paint(liver, soft(lesion.distance(x, y, z), 4.0), min(lesion.content, hu["liver"] - 15))
    image = paint(image, soft(d["liver"], width), liver)
    moire = 22 * np.sin(6.3 * one) if subject.phase == "arterial" else 0.0  # the spleen enhances in bands at first
    image = paint(image, soft(d["spleen"], width), hu["spleen"] + moire + 2.5 * texture)
    image = paint(image, soft(d["sinus"], width), -70.0)
    kidneys = paint(np.full_like(z, hu["medulla"]), soft(d["cortex"] + 2.0 * texture, 3.0), hu["cortex"])
    for cyst in body.kidney_cysts:
        kidneys = paint(kidneys, soft(cyst.distance(x, y, z), width), cyst.content)
    image = paint(image, soft(d["kidneys"], width), kidneys)

    for bone in ("vertebra", "ribs"):
        image = paint(image, soft(d[bone], width), 380.0)
        image = paint(image, soft(d[bone] - 2.5, width), 180.0 + 15 * texture)
    image = paint(image, soft(d["canal"], width), 25.0)
    return image, np.stack([soft(d[name], width) for name in LABELS.values()])


def scan(rng: np.random.Generator, subject: Subject) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.float64]]:
    """Scan ``subject``: HU (I, J, K), its full truth on the same voxels, and their affine (voxel -> RAS+ mm)."""
    source = SOURCES[subject.source]
    shape = (*IN_PLANE, int(rng.integers(source.slices[0], source.slices[1] + 1)))
    middle = np.array([rng.normal(0, 3), rng.normal(-4, 3), rng.uniform(*source.middle)])
    affine = np.diag([SPACING[0] * (1 if source.codes[0] == "R" else -1), SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = np.round(middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2), 3)
    image, shares = np.zeros(shape, np.float32), np.zeros((3, *shape), np.float32)
    for world in sub_slices(shape, affine, SUB_SLICES):
        part, organs = attenuation(subject, tuple(np.broadcast_to(p, shape) for p in world), SPACING[0])  # type: ignore[arg-type]
        image += (part / SUB_SLICES).astype(np.float32)
        shares += (organs / SUB_SLICES).astype(np.float32)
    truth = np.where(shares.sum(axis=0) > 0.5, shares.argmax(axis=0) + 1, 0).astype(np.uint8)
    image = ndimage.gaussian_filter(image, (source.blur, source.blur, 0.0))
    # fewer photons get through the trunk's middle, and a little cupping is left
    i, j = (np.linspace(-1, 1, n) for n in IN_PLANE)
    centrality = np.exp(-(i[:, None, None] ** 2 + j[None, :, None] ** 2))
    image = image - 5 * centrality
    sigma = rng.uniform(*source.noise)
    image = image + correlated_noise(rng, shape, sigma, source.kernel) * (0.6 + 0.6 * centrality)
    return np.clip(np.rint(image), -1024, 3071).astype(np.int16), truth, affine


def write_subject(directory: Path, seed: int, index: int, *, one_organ_per_scan: bool) -> dict[str, object]:
    """Write one subject and return its row of participants.tsv."""
    subject = draw_subject(seed, index)
    source = SOURCES[subject.source]
    name = f"sub-{index + 1:03d}"
    image, truth, affine = scan(generator(KIND, seed, index, 4), subject)
    bids_tree.write_image(directory / name / "ct" / f"{name}_ct.nii.gz", image, affine)
    bids_tree.write_json(
        directory / name / "ct" / f"{name}_ct.json",
        {
            "Modality": "CT",
            "Manufacturer": "phantom",
            "InstitutionName": subject.source,
            "BodyPartExamined": "ABDOMEN",
            "SliceThickness": SPACING[2],
            "ContrastPhase": subject.phase,
            "SeriesDescription": f"PHANTOM axial CT, {subject.phase}",
        },
    )
    code = next(number for number, organ in LABELS.items() if organ == source.organ)
    labels = np.where(truth == code, truth, 0).astype(np.uint8) if one_organ_per_scan else truth
    for tree, mask in (("labels", labels), ("truth", truth)):
        bids_tree.write_image(directory / "derivatives" / tree / name / "ct" / f"{name}_ct_dseg.nii.gz", mask, affine)
    row: dict[str, object] = {
        "participant_id": name,
        "age": subject.age,
        "sex": subject.sex,
        "source": subject.source,
        "phase": subject.phase,
        "missing": subject.body.missing,
    }
    if one_organ_per_scan:
        row["labelled_organ"] = source.organ
    return row


def columns(one_organ_per_scan: bool) -> dict[str, object]:
    """Describe the columns of participants.tsv."""
    described: dict[str, object] = {
        "age": {"Description": "Age at the scan", "Units": "year"},
        "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
        "source": {
            "Description": "Data set the scan comes from",
            "Levels": {key: f"collected for: {s.organ}" for key, s in SOURCES.items()},
        },
        "phase": {"Description": "Contrast phase", "Levels": {name: f"{name} phase" for name in PHASES}},
        "missing": {"Description": "Organ that the subject lacks", "Levels": {name: name for name in MISSING}},
    }
    if one_organ_per_scan:
        organs = {organ: f"only the {organ} labelled" for organ in LABELS.values()}
        described["labelled_organ"] = {"Description": "The one organ labelled in derivatives/labels", "Levels": organs}
    return described


ABOUT = """Axial CT of the upper abdomen, drawn from formulas. What is modelled and what is not: docs/phantoms.md.
derivatives/truth holds liver, spleen and kidneys of every scan; derivatives/labels the same, or one organ a scan (labelled_organ)."""

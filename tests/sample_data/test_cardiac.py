"""The cardiac phantom: stacks as ACDC has them, hearts within the published ranges, and what tells the phases apart and what does not."""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from napari_film import nifti
from napari_film.sample_data import write_phantom
from napari_film.sample_data.cardiac_anatomy import Heart
from napari_film.sample_data.cardiac_motion import beat, draw_form
from napari_film.sample_data.cardiac_patient import GROUPS, KIND, Patient, draw_patient
from napari_film.sample_data.cardiac_stack import PROTOCOLS, plan_stack
from napari_film.sample_data.fields import generator
from napari_film.volume import slicing

SUBJECTS, SEED, DRAWN = 5, 1, 60
RIGHT, WALL, LEFT = 1, 2, 3


class Frames(NamedTuple):
    """One written patient: what Info.cfg says, and image, truth and affine at both phases."""

    info: dict[str, str]
    images: tuple[np.ndarray, np.ndarray]
    truths: tuple[np.ndarray, np.ndarray]
    affine: np.ndarray

    @property
    def voxel(self) -> float:
        """Volume of a voxel in mL."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom("cardiac", tmp_path_factory.mktemp("heart") / "tree", subjects=SUBJECTS, seed=SEED)


@pytest.fixture(scope="module")
def patients(directory: Path) -> list[Frames]:
    found = []
    for folder in sorted((directory / "training").iterdir()):
        info = dict(re.findall(r"^(\w+): (.+)$", (folder / "Info.cfg").read_text(), flags=re.MULTILINE))
        stems = [folder / f"{folder.name}_frame{int(info[phase]):02d}" for phase in ("ED", "ES")]
        images, truths = ([nib.load(f"{stem}{end}.nii.gz") for stem in stems] for end in ("", "_gt"))
        for file in (*images, *truths):
            assert file.shape == images[0].shape
            np.testing.assert_array_equal(file.affine, images[0].affine)
        assert {file.get_data_dtype() for file in truths} == {np.dtype(np.uint8)}
        arrays = [tuple(np.asarray(file.dataobj) for file in files) for files in (images, truths)]
        found.append(Frames(info, (arrays[0][0], arrays[0][1]), (arrays[1][0], arrays[1][1]), images[0].affine))
    return found


@functools.cache
def hearts() -> tuple[tuple[Patient, Heart, Heart], ...]:
    """Patients with their hearts, as they are drawn; no pictures."""
    drawn = [draw_patient(SEED, index) for index in range(DRAWN)]
    return tuple((patient, *beat(patient, draw_form(generator(KIND, SEED, index, 3), patient))) for index, patient in enumerate(drawn))


def whole(patient: Frames) -> bool:
    """Whether the stack was finished, with a slice beyond the base and one beyond the apex."""
    return not patient.truths[0][..., 0].any()


def test_the_tree_is_that_of_acdc_with_a_table_beside_it(directory: Path) -> None:
    assert json.loads((directory / "dataset_description.json").read_text())["Name"].startswith("PHANTOM")
    with (directory / "cases.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert list(rows[0]) == ["subject", "session", "image", "mask", "phase", "group"]
    assert [(row["subject"], row["phase"]) for row in rows[:3]] == [("patient001", "ED"), ("patient001", "ES"), ("patient002", "ED")]
    named = {row[column] for row in rows for column in ("image", "mask")}
    assert named == {path.relative_to(directory).as_posix() for path in directory.rglob("*.nii.gz")}
    assert sorted(row["group"] for row in rows[::2]) == sorted(GROUPS)
    text = (directory / "training" / "patient001" / "Info.cfg").read_text()
    assert re.fullmatch(r"ED: 1\nES: \d+\nGroup: [A-Z]+\nHeight: \d+\.\d\nNbFrame: \d+\nWeight: \d+\.\d\n", text)


def test_same_seed_same_bytes_whatever_the_number_of_subjects(directory: Path, tmp_path: Path) -> None:
    again = write_phantom("cardiac", tmp_path / "again", subjects=1, seed=SEED)
    files = [path for path in sorted((again / "training").rglob("*")) if path.is_file()]
    assert len(files) == 5
    for path in files:
        other = directory / path.relative_to(again)
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()
    another = write_phantom("cardiac", tmp_path / "another", subjects=1, seed=SEED + 1)
    assert (another / "training/patient001/Info.cfg").read_bytes() != (directory / "training/patient001/Info.cfg").read_bytes()


def test_stacks_are_double_oblique_and_sliced_as_they_were_acquired(directory: Path, patients: list[Frames]) -> None:
    for path, patient in zip(sorted((directory / "training").glob("*/*01.nii.gz")), patients, strict=True):
        axes = patient.affine[:3, :3] / np.linalg.norm(patient.affine[:3, :3], axis=0)
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=2e-5)
        assert np.linalg.det(axes) < 0  # one handedness for all
        columns, rows, slices = np.linalg.norm(patient.affine[:3, :3], axis=0)
        assert 1.2 <= columns == pytest.approx(rows, rel=1e-5)
        assert columns <= 1.8 < 5 <= slices <= 10.001
        assert np.abs(axes[:, 2]).max() < np.cos(np.deg2rad(15))  # far from every axis of the body
        assert (axes[:, 2] * (-1, 1, -1) > 0).all()  # base to apex: left, front, down
        assert (axes[0, 0], axes[2, 1]) < (0, 0)
        assert slicing(nifti.read(path).grid, "acquired").axes == (2, 1, 0)


def test_stacks_have_six_to_twelve_slices() -> None:
    counts = []
    for index, (patient, *both) in enumerate(hearts()):
        stack = plan_stack(generator(KIND, 7, index), PROTOCOLS[index % len(PROTOCOLS)], patient, (both[0], both[1]))
        counts.append(stack.shape[2])
        assert np.abs(stack.shifts).max() <= 6
    assert min(counts) >= 6
    assert max(counts) == 12
    assert np.mean([count < 9 for count in counts]) < 0.4


def test_the_first_and_last_slices_of_a_whole_stack_show_no_ventricle(patients: list[Frames]) -> None:
    finished = [patient for patient in patients if whole(patient)]
    assert len(finished) >= 3
    for patient in finished:
        for image, truth in zip(patient.images, patient.truths, strict=True):
            shown = truth.any(axis=(0, 1))
            assert not shown[0]
            assert not shown[-1]
            assert shown[len(shown) // 3 : -3].all()
            for end in (0, -1):  # not an empty picture
                assert np.percentile(image[..., end], 99) > 3 * np.percentile(image[..., end], 10)


@pytest.mark.parametrize("index", range(SUBJECTS))
def test_a_position_is_ventricle_at_ed_and_atrium_at_es(patients: list[Frames], index: int) -> None:
    patient = patients[index]
    ed, es = ((truth == LEFT).sum(axis=(0, 1)) for truth in patient.truths)
    left = [k for k in range(len(ed) // 2) if ed[k] > 100 and es[k] < 0.1 * ed[k]]
    assert left
    for k in left:  # blood fills the place at both phases, under the mask and above the valves
        cavity = ndimage.binary_erosion((patient.truths[0] == LEFT)[..., k], iterations=4)
        middle = patient.truths[1].shape[2] // 2
        blood = np.median(patient.images[1][..., middle][ndimage.binary_erosion((patient.truths[1] == LEFT)[..., middle], iterations=1)])
        wall = np.median(patient.images[1][..., middle][(patient.truths[1] == WALL)[..., middle]])
        seen = np.median(patient.images[1][..., k][cavity & (patient.truths[1][..., k] == 0)])
        assert seen > 0.5 * (blood + wall)


def test_the_plane_comes_down_as_far_as_it_was_drawn() -> None:
    for patient, ed, es in hearts():
        assert es.left.base - ed.left.base == pytest.approx(patient.descent)
        apexes = [heart.left.base + heart.left.length + heart.left.tip for heart in (ed, es)]
        assert apexes[0] == pytest.approx(apexes[1])
        assert es.right_base - ed.right_base == pytest.approx(patient.right_descent)
    descent = {group: np.mean([patient.descent for patient, *_ in hearts() if patient.group == group]) for group in GROUPS}
    assert descent["NOR"] == pytest.approx(16, abs=1.5)
    assert descent["DCM"] == pytest.approx(7, abs=1.5)


def test_hearts_have_the_volumes_that_were_drawn() -> None:
    for patient, *both in hearts():
        for heart, volume, right in zip(both, patient.volumes, patient.right_volumes, strict=True):
            assert heart.left.volume() == pytest.approx(volume, rel=1e-3)
            assert heart.right_volume() == pytest.approx(right, rel=0.03)
            assert heart.left.wall_volume() * 1.05 == pytest.approx(patient.mass, rel=1e-3)


@pytest.mark.parametrize("group", GROUPS)
def test_groups_are_as_acdc_defines_them(group: str) -> None:
    found = [(patient, ed) for patient, ed, _ in hearts() if patient.group == group]
    assert len(found) == DRAWN / 5
    for patient, ed in found:
        ejection, right = (1 - after / before for before, after in (patient.volumes, patient.right_volumes))
        volume, right_volume = patient.volumes[0] / patient.surface, patient.right_volumes[0] / patient.surface
        thickest, mass = ed.left.thickest(), patient.mass / patient.surface
        if group == "NOR":
            assert ejection > 0.5
            assert volume < (90.5 if patient.sex == "M" else 80.5)
            assert thickest < 12
            assert right_volume < 100
            assert right > 0.4
        elif group == "MINF":
            assert ejection < 0.4
        elif group == "DCM":
            assert ejection < 0.4
            assert volume > 100
            assert thickest < 13
        elif group == "HCM":
            assert ejection > 0.55
            assert thickest > 14
            assert mass > 110
        else:
            assert right_volume > 110 or right < 0.4
            assert ejection > 0.45


def test_an_infarct_neither_moves_nor_thickens() -> None:
    for _, ed, es in [entry for entry in hearts() if entry[0].group == "MINF"]:
        region = ed.left.form.infarct
        angles = np.array([region.angle, region.angle + np.pi])
        zeta = np.full(2, region.depth)
        inward = ed.left.cavity(zeta, angles) - es.left.cavity(zeta, angles)
        assert inward[0] < 0.5 * inward[1]
        thick = [
            heart.left.outer(zeta * (heart.left.length + heart.left.tip), angles) - heart.left.cavity(zeta, angles) for heart in (ed, es)
        ]
        assert thick[0][0] < 0.9 * thick[0][1]
        assert thick[1][0] / thick[0][0] < 0.9 * thick[1][1] / thick[0][1]


def test_masks_have_the_volumes_of_their_hearts(patients: list[Frames]) -> None:
    for index, patient in enumerate(patients):
        if not whole(patient):
            continue
        drawn = draw_patient(SEED, index)
        found = [(truth == LEFT).sum() * patient.voxel for truth in patient.truths]
        assert found == pytest.approx(drawn.volumes, rel=0.1)
        right = [(truth == RIGHT).sum() * patient.voxel for truth in patient.truths]
        assert right == pytest.approx(drawn.right_volumes, rel=0.2)
        assert 1 - found[1] / found[0] == pytest.approx(1 - drawn.volumes[1] / drawn.volumes[0], abs=0.05)


def test_the_phase_is_not_told_by_the_size() -> None:
    """A large heart's ES is as large as a small heart's ED; docs/phantoms.md gives the figures of 200 patients."""
    ed, es = (np.array([patient.volumes[phase] for patient, *_ in hearts()]) for phase in (0, 1))
    assert 0.6 < (ed[:, None] > es[None, :]).mean() < 0.9
    best = max(((ed > limit).mean() + (es <= limit).mean()) / 2 for limit in np.r_[ed, es])
    assert 0.6 < best < 0.9
    assert (es > np.median(ed)).mean() > 0.1
    assert all(after < before for before, after in zip(ed, es, strict=True))


def test_the_wall_encloses_the_left_cavity_but_for_the_base(patients: list[Frames]) -> None:
    for patient in patients:
        for truth in patient.truths:
            slices = np.flatnonzero((truth == LEFT).any(axis=(0, 1)))
            for k in slices[1:]:
                cavity, wall = (truth[..., k] == LEFT), (truth[..., k] == WALL)
                assert (ndimage.binary_dilation(cavity) & ~cavity & ~wall).sum() == 0
                assert ndimage.label(wall)[1] == 1
                assert ndimage.label(cavity)[1] == 1
                assert ndimage.binary_fill_holes(wall)[cavity].all()
            assert (truth == WALL).any(axis=(0, 1))[slices[0] : slices[-1] + 1].all()


def test_the_right_ventricle_lies_beside_the_septum(patients: list[Frames]) -> None:
    for patient in patients:
        for truth in patient.truths:
            middle = len(np.flatnonzero((truth == LEFT).any(axis=(0, 1)))) // 2 + np.flatnonzero((truth == LEFT).any(axis=(0, 1)))[0]
            right, wall, left = (truth[..., middle] == label for label in (RIGHT, WALL, LEFT))
            assert (ndimage.binary_dilation(right) & wall).sum() > 10
            assert not (ndimage.binary_dilation(right) & left).any()
            assert np.argwhere(right)[:, 0].mean() < np.argwhere(left)[:, 0].mean()


def test_papillary_muscles_are_dark_and_of_the_cavity(patients: list[Frames]) -> None:
    for patient in patients:
        image, truth = patient.images[0], patient.truths[0]
        shown = np.flatnonzero((truth == LEFT).any(axis=(0, 1)))
        dark = []
        for k in shown[len(shown) // 2 : -2]:
            inside = ndimage.binary_erosion(truth[..., k] == LEFT, iterations=3)
            blood, wall = np.median(image[..., k][inside]), np.median(image[..., k][truth[..., k] == WALL])
            smooth = ndimage.gaussian_filter(image[..., k].astype(float), 1)
            dark.append((smooth[inside] < 0.5 * (blood + wall)).sum())
        assert max(dark) >= 4

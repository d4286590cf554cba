"""Each fault is planted alone in a clean tree of real files, and must be found, and nothing else."""

import csv
import json
import re
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_film import nifti
from napari_film.training.cases.record import Record
from napari_film.training.check.command import check
from napari_film.training.check.measuring import measure
from napari_film.training.recipe import Recipe, parse_recipe
from napari_film.volume import Volume

from .test_cli import ended

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
TYPES = ("astrocytoma", "ependymoma", "hemangioblastoma")

RECIPE = """
[model]
name = "tiny"
depth = 1
width = 4

[data]
table = "cases.csv"

[[channels]]
name = "T1w"

[[channels]]
name = "T2w"

[[classes]]
name = "core"
labels = [1]

[[classes]]
name = "oedema"
labels = [2, 3]

[[fields]]
name = "tumor_type"
values = ["astrocytoma", "ependymoma", "hemangioblastoma"]

[[fields]]
name = "side"
values = ["left", "right"]
unknown = true

[[fields]]
name = "age"
kind = "continuous"
minimum = 0
maximum = 100

[preprocessing]
slice_axis = "sagittal"
"""

ORGANS = """
[model]
name = "organs"
depth = 1
width = 4

[data]
table = "cases.csv"

[[channels]]
name = "T1w"

[[fields]]
name = "organ"
role = "target"
column = "labelled"
values = ["liver", "spleen"]
labels = { liver = [1], spleen = [2, 3] }

[preprocessing]
slice_axis = "axial"
"""


@dataclass
class Tree:
    """A folder of cases, and its table, which is written when it is looked at."""

    folder: Path
    rows: list[dict[str, str]]
    recipe: str = RECIPE

    def edit(self, file: str, change: Callable[[np.ndarray], np.ndarray], *, affine: np.ndarray | None = None) -> None:
        """Write a file again, changed."""
        volume = nifti.read(self.folder / file)
        data = change(np.array(volume.data))
        nifti.write(self.folder / file, data, like=Volume(data, volume.affine if affine is None else affine, volume.name), dtype=data.dtype)

    def found(self, **options: Any) -> list[tuple[str, str]]:
        """Severity and kind of each finding."""
        return [(finding.severity, finding.kind) for finding in check(str(self.written()), **options).findings]

    def written(self) -> Path:
        """Write table and recipe; give the recipe's path."""
        with (self.folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, dict.fromkeys(key for row in self.rows for key in row))
            writer.writeheader()
            writer.writerows(self.rows)
        path = self.folder / "tiny.toml"
        path.write_text(self.recipe, encoding="utf-8")
        return path


def write_case(folder: Path, name: str, seed: int) -> dict[str, str]:
    """Write two channels, the second on another grid, and a mask of all three labels in another storage order than its image."""
    rng = np.random.default_rng(seed)
    affine = np.diag([3.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = rng.normal(0, 5, 3)
    labels = np.zeros((6, 12, 10), dtype=np.uint8)
    labels[1:5, 2:9, 2:8] = 3
    labels[2:4, 3 + seed % 3 : 7, 3:6] = 2
    labels[2:4, 4:6, 4] = 1
    labels[0, seed % 12, seed // 12] = 2
    image = rng.normal(100, 10, labels.shape) + 40 * labels
    other = affine.copy()
    other[:3, 3] += (0, -0.5, 0.25)
    flipped = affine @ np.diag([1.0, -1.0, 1.0, 1.0])
    flipped[:3, 3] += 11 * affine[:3, 1]
    paths = {kind: f"{name}_{kind}.nii.gz" for kind in ("t1", "t2", "mask")}
    for kind, data, where in (("t1", image, affine), ("t2", 300 - image, other), ("mask", labels[:, ::-1], flipped)):
        data = data.astype(np.uint8 if kind == "mask" else np.float32)
        nifti.write(folder / paths[kind], data, like=Volume(data, where, paths[kind]), dtype=data.dtype)
    return {"subject": name, "image:T1w": paths["t1"], "image:T2w": paths["t2"], "mask": paths["mask"]}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Twelve subjects, four of each type, at two sites and of two sides, balanced."""
    folder = tmp_path_factory.mktemp("pristine")
    rows = []
    for number in range(12):
        row = write_case(folder, f"p{number + 1:02d}", number)
        metadata = {"tumor_type": TYPES[number % 3], "side": ("left", "right")[number // 3 % 2], "age": str(30 + number)}
        rows.append({**row, **metadata, "site": ("north", "south")[number // 6]})
    return Tree(folder, rows)


@pytest.fixture
def tree(pristine: Tree, tmp_path: Path) -> Tree:
    """A copy that may be spoiled."""
    shutil.copytree(pristine.folder, tmp_path / "data")
    return Tree(tmp_path / "data", [dict(row) for row in pristine.rows])


# The faults, one by one: each takes the tree, and spoils it.


def no_image(tree: Tree) -> None:
    (tree.folder / "p02_t1.nii.gz").unlink()


def no_second_channel(tree: Tree) -> None:
    tree.rows[3]["image:T2w"] = ""


def no_mask(tree: Tree) -> None:
    (tree.folder / "p05_mask.nii.gz").unlink()


def cut_short(tree: Tree) -> None:
    path = tree.folder / "p03_t2.nii.gz"
    path.write_bytes(path.read_bytes()[:600])


def smaller_mask(tree: Tree) -> None:
    tree.edit("p01_mask.nii.gz", lambda data: data[:, 1:])


def shifted_mask(tree: Tree) -> None:
    affine = nifti.read(tree.folder / "p01_mask.nii.gz").affine.copy()
    affine[:3, 3] += (0, 0.7, 0)
    tree.edit("p01_mask.nii.gz", lambda data: data, affine=affine)


def coarser_mask(tree: Tree) -> None:
    affine = nifti.read(tree.folder / "p01_mask.nii.gz").affine @ np.diag([1.0, 1.0, 1.1, 1.0])
    tree.edit("p01_mask.nii.gz", lambda data: data, affine=affine)


def mask_of_two_frames(tree: Tree) -> None:
    tree.edit("p01_mask.nii.gz", lambda data: np.stack([data, data], axis=-1))


def far_channel(tree: Tree) -> None:
    affine = nifti.read(tree.folder / "p07_t2.nii.gz").affine.copy()
    affine[:3, 3] += (0, 0, 400)
    tree.edit("p07_t2.nii.gz", lambda data: data, affine=affine)


def not_a_number(tree: Tree) -> None:
    def spoil(data: np.ndarray) -> np.ndarray:
        data[1, 2, 3], data[2, 2, 2] = np.nan, np.inf
        return data

    tree.edit("p04_t1.nii.gz", spoil)


def mask_not_a_number(tree: Tree) -> None:
    def spoil(data: np.ndarray) -> np.ndarray:
        data = data.astype(np.float32)
        data[1, 2, 3] = np.nan
        return data

    tree.edit("p04_mask.nii.gz", spoil)


def constant_image(tree: Tree) -> None:
    tree.edit("p06_t2.nii.gz", lambda data: np.full_like(data, 7))


def empty_mask(tree: Tree) -> None:
    tree.edit("p08_mask.nii.gz", np.zeros_like)


def two_empty_masks(tree: Tree) -> None:
    for name in ("p08", "p09"):
        tree.edit(f"{name}_mask.nii.gz", np.zeros_like)


def unnamed_label(tree: Tree) -> None:
    tree.edit("p08_mask.nii.gz", lambda data: np.where(data == 1, 7, data).astype(np.uint8))


def label_below_zero(tree: Tree) -> None:
    tree.edit("p08_mask.nii.gz", lambda data: np.where(data == 1, np.int16(-1), data))


def label_too_large(tree: Tree) -> None:
    tree.edit("p08_mask.nii.gz", lambda data: np.where(data == 1, np.int16(1000), data))


def soft_mask(tree: Tree) -> None:
    tree.edit("p08_mask.nii.gz", lambda data: (data > 0).astype(np.float32) * 0.75)


def class_of_another_label(tree: Tree) -> None:
    tree.recipe = RECIPE.replace("labels = [2, 3]", "labels = [2, 3]\n\n[[classes]]\nname = 'cavity'\nlabels = [4]")


def image_of_another(tree: Tree) -> None:
    shutil.copy(tree.folder / "p01_t2.nii.gz", tree.folder / "p09_t2.nii.gz")
    affine = nifti.read(tree.folder / "p09_t1.nii.gz").affine
    tree.edit("p09_t2.nii.gz", lambda data: data, affine=affine)


def patient_under_two_names(tree: Tree) -> None:
    tree.rows[11] |= {key: tree.rows[2][key] for key in ("image:T1w", "image:T2w", "mask")}


def mask_of_another(tree: Tree) -> None:
    data = np.array(nifti.read(tree.folder / "p01_mask.nii.gz").data)
    tree.edit("p09_mask.nii.gz", lambda _: data)


def one_image_in_two_channels(tree: Tree) -> None:
    shutil.copy(tree.folder / "p01_t1.nii.gz", tree.folder / "p01_t2.nii.gz")


def line_twice(tree: Tree) -> None:
    tree.rows.append(dict(tree.rows[4]))


def subject_in_two_parts(tree: Tree) -> None:
    for number, row in enumerate(tree.rows):
        row["split"] = ("train", "validation", "test")[number // 3 % 3]
    other = write_case(tree.folder, "p01b", 77)
    tree.rows.append({**tree.rows[0], **other, "subject": "p01", "split": "test"})


def part_with_another_name(tree: Tree) -> None:
    for number, row in enumerate(tree.rows):
        row["split"] = ("train", "validation", "test")[number // 3 % 3]
    tree.rows[0]["split"] = "holdout"


def part_for_some(tree: Tree) -> None:
    for number, row in enumerate(tree.rows[:-1]):
        row["split"] = ("train", "validation", "test")[number // 3 % 3]
    tree.rows[-1]["split"] = ""


def no_subject(tree: Tree) -> None:
    tree.rows[5]["subject"] = ""


def no_type(tree: Tree) -> None:
    tree.rows[5]["tumor_type"] = "n/a"


def no_side(tree: Tree) -> None:
    tree.rows[5]["side"] = ""


def no_column(tree: Tree) -> None:
    for row in tree.rows:
        del row["age"]


def age_in_words(tree: Tree) -> None:
    tree.rows[5]["age"] = "fortyish"


def age_of_a_tree(tree: Tree) -> None:
    tree.rows[5]["age"] = "412"


def plural(tree: Tree) -> None:
    tree.rows[0]["tumor_type"] = "astrocytomas"


def slip(tree: Tree) -> None:
    tree.rows[1]["tumor_type"] = "ependimoma"


def another_tumor(tree: Tree) -> None:
    tree.rows[0]["tumor_type"] = "lipoma"


def rare_type(tree: Tree) -> None:
    tree.rows[0]["tumor_type"] = tree.rows[3]["tumor_type"] = "ependymoma"


def rare_side(tree: Tree) -> None:
    for row in tree.rows[1:]:
        row["side"] = "left"
    tree.rows[0]["side"] = "right"


def absent_type(tree: Tree) -> None:
    tree.recipe = RECIPE.replace('"hemangioblastoma"]', '"hemangioblastoma", "lipoma"]')


def constant_side(tree: Tree) -> None:
    for row in tree.rows:
        row["side"] = "left"


def constant_age(tree: Tree) -> None:
    for row in tree.rows:
        row["age"] = "44"


def one_type_from_one_site(tree: Tree) -> None:
    for row in tree.rows:
        row["site"] = "north" if row["tumor_type"] == "ependymoma" else "south"


def side_told_by_type(tree: Tree) -> None:
    for row in tree.rows:
        row["side"] = "left" if row["tumor_type"] == "ependymoma" else "right"


def two_subjects(tree: Tree) -> None:
    tree.rows = tree.rows[:2]


def short_line(tree: Tree) -> None:
    tree.rows[5] = {key: value for key, value in tree.rows[5].items() if key != "site"}
    path = tree.written()
    lines = (tree.folder / "cases.csv").read_text(encoding="utf-8").splitlines()
    lines[6] = lines[6].rstrip(",")
    (tree.folder / "cases.csv").write_text("\n".join(lines), encoding="utf-8")
    tree.written = lambda: path  # type: ignore[method-assign]


FAULTS: list[tuple[Callable[[Tree], None], str, str, str, str]] = [
    (no_image, "error", "missing-file", "cases.csv, line 3", "p02 has no image of channel T1w: p02_t1.nii.gz does not exist"),
    (no_second_channel, "error", "missing-file", "cases.csv, line 5", "p04 has no image of channel T2w; add the file"),
    (no_mask, "error", "missing-file", "cases.csv, line 6", "p05_t1.nii.gz has no mask: p05_mask.nii.gz does not exist"),
    (cut_short, "error", "unreadable", "cases.csv, line 4", "p03_t2.nii.gz"),
    (smaller_mask, "error", "grid", "cases.csv, line 2", "p01_mask.nii.gz is 6 x 11 x 10 voxels of 3 x 1 x 1 mm (R, A, S), while"),
    (shifted_mask, "error", "grid", "cases.csv, line 2", "lies up to 0.7 mm away from the voxels of its image p01_t1.nii.gz"),
    (coarser_mask, "error", "grid", "cases.csv, line 2", "voxels of 3 x 1 x 1.1 mm"),
    (mask_of_two_frames, "error", "grid", "cases.csv, line 2", "has 4 axes"),
    (far_channel, "error", "overlap", "cases.csv, line 8", "p07_t2.nii.gz covers 0% of p07_t1.nii.gz"),
    (not_a_number, "error", "not-finite", "cases.csv, line 5", "p04_t1.nii.gz holds 2 of 720 voxels that are NaN"),
    (mask_not_a_number, "error", "not-finite", "cases.csv, line 5", "p04_mask.nii.gz holds 1 of 720"),
    (constant_image, "error", "constant-image", "cases.csv, line 7", "p06_t2.nii.gz holds 7 in every voxel"),
    (empty_mask, "warning", "empty-mask", "cases.csv, line 9", "p08_mask.nii.gz is empty"),
    (unnamed_label, "warning", "label", "cases.csv, line 9", "p08_mask.nii.gz holds the label 7, that nothing in the recipe names"),
    (label_below_zero, "error", "label", "cases.csv, line 9", "p08_mask.nii.gz holds -1 to 3, where whole numbers from 0 to 255"),
    (label_too_large, "error", "label", "cases.csv, line 9", "p08_mask.nii.gz holds 0 to 1000"),
    (soft_mask, "error", "fractional-mask", "cases.csv, line 9", "no whole number (0 to 0.75)"),
    (class_of_another_label, "error", "absent-class", "", "No mask shows cavity (label 4)"),
    (
        image_of_another,
        "error",
        "same-image",
        "cases.csv, line 2",
        "The images p01_t2.nii.gz of p01, p09_t2.nii.gz of p09 hold the same voxels",
    ),
    (patient_under_two_names, "error", "same-image", "cases.csv, line 4", "p03_t1.nii.gz of p03, p03_t1.nii.gz of p12"),
    (mask_of_another, "error", "same-mask", "cases.csv, line 2", "The masks p01_mask.nii.gz of p01, p09_mask.nii.gz of p09"),
    (one_image_in_two_channels, "error", "same-channel", "cases.csv, line 2", "The channels T1w and T2w of p01 hold the same voxels"),
    (line_twice, "warning", "same-case", "cases.csv, line 14", "Images and mask of p05 are those of cases.csv, line 6 once more"),
    (subject_in_two_parts, "error", "split", "cases.csv, line 2", "p01 is in train and test"),
    (part_with_another_name, "error", "split", "cases.csv, line 2", "The split is 'holdout'"),
    (part_for_some, "error", "split", "cases.csv, line 13", "1 case of 12 have no split"),
    (no_subject, "error", "subject", "cases.csv, line 7", "The case has no subject"),
    (no_type, "error", "missing-value", "cases.csv, line 7", "tumor_type of p06 is missing (column 'tumor_type')"),
    (
        no_side,
        "warning",
        "missing-value",
        "cases.csv, line 7",
        "side is missing in 1 case of 12 (cases.csv, line 7): the network is told unknown",
    ),
    (no_column, "error", "missing-value", "", "age is missing in every case"),
    (age_in_words, "error", "value", "cases.csv, line 7", "'fortyish'"),
    (age_of_a_tree, "error", "value", "cases.csv, line 7", "412"),
    (plural, "error", "misspelt", "cases.csv, line 2", "tumor_type is 'astrocytomas', likely 'astrocytoma'"),
    (slip, "error", "misspelt", "cases.csv, line 3", "tumor_type is 'ependimoma', likely 'ependymoma'"),
    (another_tumor, "error", "value", "cases.csv, line 2", "'lipoma'"),
    (rare_type, "error", "rare-value", "", "Only 2 subjects have tumor_type astrocytoma, and 3 are needed"),
    (rare_side, "warning", "rare-value", "", "Only 1 subject has side right"),
    (absent_type, "warning", "rare-value", "", "No subject has tumor_type lipoma"),
    (constant_side, "warning", "constant-field", "", "side is left in every case"),
    (constant_age, "warning", "constant-field", "", "age is 44 in every case"),
    (
        one_type_from_one_site,
        "warning",
        "confounded",
        "",
        "All 4 subjects with tumor_type ependymoma have site north, and 0 of the 8 others",
    ),
    (side_told_by_type, "warning", "confounded", "", "All 4 subjects with tumor_type ependymoma have side left"),
    (two_subjects, "error", "few-subjects", "", "There are cases of 2 subjects, and 3 are needed"),
    (short_line, "error", "line", "cases.csv, line 7", "cells stand under a heading"),
]


def test_a_clean_tree_has_nothing_wrong_with_it(tree: Tree) -> None:
    assert tree.found() == []
    found = check(str(tree.written()))
    assert (found.cases, found.subjects, found.errors) == (12, 12, 0)
    assert "Nothing is wrong with it." in found.lines()


@pytest.mark.parametrize(("plant", "severity", "kind", "where", "words"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS])
def test_a_planted_fault_is_found_and_no_other(
    tree: Tree, plant: Callable[[Tree], None], severity: str, kind: str, where: str, words: str
) -> None:
    plant(tree)
    (found,) = check(str(tree.written())).findings
    assert (found.severity, found.kind, found.where) == (severity, kind, where)
    assert words in found.text
    assert found.text.endswith(".")
    assert str(tree.folder) not in found.text


def test_every_kind_of_finding_is_planted() -> None:
    folder = Path(__file__).resolve().parents[2] / "training" / "check"
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    kinds = set(re.findall(r'Finding\(\s*"([a-z-]+)"', source)) | {"missing-file", "unreadable", "same-image", "same-mask"}
    assert kinds == {kind for _, _, kind, _, _ in FAULTS} | {"refused"}


# What looks like a fault, and is none.


def test_several_faults_are_all_found(tree: Tree) -> None:
    for plant in (no_mask, plural, constant_image, line_twice):
        plant(tree)
    assert sorted(kind for _, kind in tree.found()) == [
        "constant-image",
        "missing-file",
        "misspelt",
    ]  # a case without a mask counts nowhere


def test_sessions_raters_and_followups_of_one_subject_are_no_accident(tree: Tree) -> None:
    again = []
    for number, row in enumerate(tree.rows):
        second = {**row, **write_case(tree.folder, f"p{number + 1:02d}s2", 100 + number), "subject": row["subject"]}
        if number == 3:
            second["side"] = {"left": "right", "right": "left"}[second["side"]]
        again += [{**second, "session": "2", "rater": "A"}]
        other = tree.folder / f"p{number + 1:02d}_second.nii.gz"
        shutil.copy(tree.folder / row["mask"], other)
        if number % 2:
            tree.edit(other.name, lambda data: np.where(data == 1, 2, data).astype(np.uint8))
        again += [{**row, "session": "1", "rater": "B", "mask": other.name}]
        row |= {"session": "1", "rater": "A"}
    tree.rows += again
    assert tree.found() == []
    found = check(str(tree.written()))
    assert (found.cases, found.subjects) == (36, 12)
    assert found.profile is not None
    assert found.profile.images == 24


def test_organs_of_one_subject_labelled_in_files_of_their_own_are_no_accident(tree: Tree) -> None:
    tree.recipe = ORGANS
    rows = []
    for row in tree.rows:
        for organ, labels in (("liver", [1]), ("spleen", [2, 3])):
            name = f"{row['subject']}_{organ}.nii.gz"
            shutil.copy(tree.folder / row["mask"], tree.folder / name)
            tree.edit(name, lambda data, labels=labels: np.where(np.isin(data, labels), data, 0).astype(np.uint8))
            rows.append({"subject": row["subject"], "image:T1w": row["image:T1w"], "mask": name, "labelled": organ, "site": row["site"]})
    tree.rows = rows
    assert tree.found() == []
    rows[0]["labelled"] = "livr"
    rows[1]["labelled"] = "pancreas"
    rows[2]["labelled"] = ""
    assert tree.found() == [("error", "misspelt"), ("error", "value"), ("error", "missing-value")]
    rows[0]["labelled"], rows[1]["labelled"], rows[2]["labelled"] = "spleen", "spleen", "liver"
    (found,) = check(str(tree.written())).findings
    assert (found.kind, found.where) == ("empty-mask", "cases.csv, line 2")
    assert "shows nothing of what is to be segmented" in found.text


def test_one_mask_in_two_lines_each_for_its_organ_is_no_copy(tree: Tree) -> None:
    tree.recipe = ORGANS
    keys = ("subject", "image:T1w", "mask")
    tree.rows = [{**{key: row[key] for key in keys}, "labelled": organ} for row in tree.rows for organ in ("liver", "spleen")]
    assert tree.found() == []
    tree.rows[0]["labelled"] = "spleen"
    assert tree.found() == [("warning", "same-case")]


def test_each_site_labels_one_organ_and_that_is_what_a_target_field_is_for(tree: Tree) -> None:
    tree.recipe = ORGANS
    tree.rows = [
        {"subject": row["subject"], "image:T1w": row["image:T1w"], "mask": row["mask"], "labelled": organ, "site": f"made for {organ}"}
        for row, organ in zip(tree.rows, ["liver", "spleen"] * 6, strict=True)
    ]
    assert tree.found() == []


def test_soft_masks_are_allowed_on_request(tree: Tree) -> None:
    one_class = RECIPE.replace('[[classes]]\nname = "oedema"\nlabels = [2, 3]\n', "")
    for row in tree.rows:
        tree.edit(row["mask"], lambda data: (data > 0).astype(np.uint8))
    soft_mask(tree)
    tree.recipe = one_class
    assert tree.found() == [("error", "fractional-mask")]
    tree.recipe = one_class.replace("[data]", "[data]\nsoft_masks = true")
    assert tree.found() == []
    tree.edit("p08_mask.nii.gz", lambda data: data * 3)
    assert tree.found() == [("error", "label")]


def test_empty_masks_are_not_copies_of_each_other(tree: Tree) -> None:
    two_empty_masks(tree)
    assert tree.found() == [("warning", "empty-mask")] * 2


def test_labels_that_a_file_names_itself_are_other_structures(tree: Tree) -> None:
    unnamed_label(tree)
    volume = nifti.read(tree.folder / "p08_mask.nii.gz")
    nifti.write(tree.folder / "p08_mask.nii.gz", np.array(volume.data), like=volume, names={7: "vertebra"})
    assert tree.found() == []


def test_a_split_that_is_given_needs_no_three_of_each(tree: Tree) -> None:
    for number, row in enumerate(tree.rows):
        row["split"] = ("train", "validation", "test")[number // 3 % 3]
    assert tree.found() == []
    for row in tree.rows[:3]:
        row["tumor_type"] = "ependymoma"
    for row in tree.rows[9:]:
        row["tumor_type"] = "hemangioblastoma"
    kinds = tree.found()
    assert ("warning", "rare-value") in kinds
    assert ("error", "rare-value") not in kinds


def test_one_subject_may_be_learned_by_heart_on_request(tree: Tree) -> None:
    tree.rows = tree.rows[:1]
    tree.recipe = RECIPE + '\n[training]\nsplit = "same"\n'
    assert [kind for _, kind in tree.found()] == []


def test_what_nothing_here_finds_fit_itself_says(tree: Tree) -> None:
    for row in tree.rows:
        row["split"] = "train"
    (found,) = check(str(tree.written())).findings
    assert (found.severity, found.kind) == ("error", "refused")


# Without a recipe, with several processes, from the command line.


def test_a_table_without_a_recipe_is_held_against_itself(tree: Tree) -> None:
    tree.written()
    table = str(tree.folder / "cases.csv")
    assert check(table).findings == ()
    tree.rows[0]["tumor_type"] = "astrocytomas"
    tree.rows[1]["site"] = "North "
    tree.rows[2]["side"] = "n/a"
    for row in tree.rows:
        row["vendor"] = "A"
    tree.written()
    found = check(table).findings
    assert [(one.severity, one.kind, one.where) for one in found] == [
        ("warning", "misspelt", "cases.csv, line 2"),
        ("warning", "missing-value", "cases.csv, line 4"),
        ("warning", "misspelt", "cases.csv, line 3"),
        ("warning", "constant-field", ""),
    ]
    assert "tumor_type is 'astrocytomas' (1 subject) and 'astrocytoma' (3), likely one value" in found[0].text


def test_a_recipe_is_held_against_another_table(tree: Tree) -> None:
    recipe = tree.written()
    tree.rows[0]["tumor_type"] = "astrocytomas"
    other = tree.folder / "other.csv"
    tree.written()
    (tree.folder / "cases.csv").rename(other)
    (found,) = check(str(other), recipe=str(recipe)).findings
    assert (found.kind, found.where) == ("misspelt", "other.csv, line 2")


def test_two_data_sets_of_a_run_are_held_against_each_other(tree: Tree) -> None:
    rows = tree.rows
    tree.rows = rows[:6]
    tree.written()
    (tree.folder / "cases.csv").rename(tree.folder / "first.csv")
    tree.rows = [{**row, "subject": rows[number]["subject"]} for number, row in enumerate(rows[6:])]
    both = '[data]\nsources = [{ table = "first.csv" }, { table = "cases.csv" }]'
    tree.recipe = RECIPE.replace('[data]\ntable = "cases.csv"', both)
    assert tree.found() == []  # one name in two data sets is two people
    tree.rows[0] |= {key: rows[0][key] for key in ("image:T1w", "image:T2w", "mask")}
    (found,) = check(str(tree.written())).findings
    assert found.kind == "same-image"
    assert "p01_t1.nii.gz of data1.p01, p01_t1.nii.gz of data2.p01" in found.text


def test_several_processes_find_the_same(tree: Tree) -> None:
    for plant in (no_image, not_a_number, empty_mask, image_of_another, slip):
        plant(tree)
    alone, together = (check(str(tree.written()), jobs=jobs) for jobs in (1, 2))
    assert alone == together
    assert len(alone.findings) == 5


def test_every_volume_is_read_once(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = nifti.read
    monkeypatch.setattr(nifti, "read", lambda path: read.append(Path(path).name) or real(path))
    tree.rows += [{**row, "rater": "B"} for row in tree.rows[:1]]
    done: list[int] = []
    recipe = tree.written()
    check(str(recipe), bar=lambda cases: done.append(-cases) or done.append)
    assert sorted(read) == sorted([*(path.name for path in tree.folder.glob("*.nii.gz")), "p01_mask.nii.gz"])
    assert (done[0], sum(done[1:])) == (-13, 13)


def test_memory_does_not_grow_with_the_cases(tmp_path: Path) -> None:
    records = []
    for number in range(6):
        data = np.random.default_rng(number).normal(size=(64, 64, 64)).astype(np.float32)
        for kind in ("image", "mask"):
            like = Volume(data, np.eye(4), f"{kind}{number}.nii.gz")
            nifti.write(tmp_path / like.name, data > 0 if kind == "mask" else data, like=like, dtype=np.uint8 if kind == "mask" else None)
        images = {"T1w": tmp_path / f"image{number}.nii.gz"}
        records.append(Record(f"line {number}", f"p{number}", images, tmp_path / f"mask{number}.nii.gz", {}, {}))
    measure(records[:1])  # what is imported or kept the first time counts for neither
    peaks = []
    for count in (1, 6):
        tracemalloc.start()
        seen = measure(records[:count])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(seen) == count
    volume = 4 * 64**3
    assert peaks[1] - peaks[0] < volume / 4


def test_the_command_line(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(tree.written())
    code, out, err = ended(capsys, "check", recipe)
    assert (code, err) == (0, "")
    assert "12 cases of 12 subjects" in out
    no_side(tree)
    tree.written()
    assert ended(capsys, "check", recipe)[0] == 0  # warnings alone
    no_mask(tree)
    tree.written()
    code, out, err = ended(capsys, "check", recipe, "--json", str(tree.folder / "found.json"))
    assert (code, err) == (1, "")
    assert "error    cases.csv, line 6: p05_t1.nii.gz has no mask" in out
    assert "1 error, 1 warning" in out
    found = json.loads((tree.folder / "found.json").read_text(encoding="utf-8"))
    assert (found["errors"], found["warnings"]) == (1, 1)
    assert found["findings"][0]["kind"] == "missing-file"
    assert found["fingerprint"]["spacing"][0] == {"low": 3.0, "median": 3.0, "high": 3.0}
    code, out, err = ended(capsys, "check", recipe, "--json", "-")
    assert (code, json.loads(out)) == (1, found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere is no file and no recipe of this package"),
        (("nowhere.csv",), "nowhere.csv does not exist"),
        (("abdomen",), "napari-film-train phantom abdomen FOLDER"),
        (("{recipe}", "--recipe", "abdomen"), "give a recipe alone to check its own data"),
        (("{folder}",), "has no image sub-*"),
        (("{recipe}", "--json", "no/such/found.json"), "The folder of no/such/found.json does not exist"),
        (("{folder}/cases.csv", "--recipe", "{folder}/p01_t1.nii.gz"), "cannot be read as text"),
        (("{folder}/cases.csv", "--recipe", "abdomen"), "has no column image:CT"),
    ],
)
def test_a_mistake_in_the_call_is_one_line_and_code_2(
    pristine: Tree, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = pristine.written()
    code, out, err = ended(capsys, "check", *(word.format(recipe=recipe, folder=pristine.folder) for word in arguments))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err


# BIDS trees, drawn and real.


@pytest.mark.parametrize(
    ("kind", "options", "recipe"), [("spinal_tumor", (), "spinal_tumor"), ("abdomen", ("--one-organ-per-scan",), "abdomen")]
)
def test_a_phantom_has_nothing_wrong_with_it(
    kind: str, options: tuple[str, ...], recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "phantom"
    ended(capsys, "phantom", kind, str(folder), "--subjects", "9", *options)
    assert check(str(folder), recipe=recipe).findings == ()
    assert check(str(folder)).findings == ()


def test_the_suggested_lines_are_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "phantom"
    ended(capsys, "phantom", "abdomen", str(folder), "--subjects", "3")
    suggestion = check(str(folder), recipe="abdomen").suggestion
    assert suggestion is not None
    text = suggestion.toml().replace("[model]", '[model]\nname = "pasted"\nplaces = "none"')
    recipe: Recipe = parse_recipe(
        text + f'\n[data]\nbids = "{folder}"\n[[classes]]\nname = "organ"\nlabels = [1, 2, 3]\n', name="pasted.toml"
    )
    assert recipe.preprocessing.slice_axis == "axial"
    low, high = recipe.channels[0].window or (0, 0)
    assert -300 <= low <= -50
    assert 200 <= high <= 500
    assert recipe.training.patch == (96, 112)


def test_slices_as_acquired_stay_that_and_have_axes_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "heart"
    ended(capsys, "phantom", "cardiac", str(folder), "--subjects", "3")
    found = check(str(folder / "cases.tsv"), recipe="cardiac")
    assert found.suggestion is not None
    assert found.profile is not None
    assert found.suggestion.slice_axis == "acquired"
    assert "mm along columns, rows, slices;" in found.suggestion.toml()
    columns, rows, slices = found.profile.spacing
    assert slices.low >= 5
    assert max(columns.high, rows.high) <= 2
    assert found.suggestion.spacing[2] == 0


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
def test_real_contrasts_of_one_subject(tmp_path: Path) -> None:
    folder = tmp_path / "spine"
    shutil.copytree(SHARED / "mri_spine_bids", folder)
    found = check(str(folder))
    missing = {finding.text.split("_T")[0] for finding in found.findings}
    assert {finding.kind for finding in found.findings} == {"missing-file"}
    assert missing == {"sub-unf02", "sub-unf03"}
    for name in ("sub-unf02", "sub-unf03"):
        shutil.rmtree(folder / name)
    assert [finding.kind for finding in check(str(folder)).findings] == ["few-subjects"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
def test_a_real_ct_is_told_from_its_numbers() -> None:
    found = check(str(SHARED / "ct_spleen_bids"))
    assert [finding.kind for finding in found.findings] == ["few-subjects"]
    assert found.suggestion is not None
    assert found.suggestion.slice_axis == "axial"
    assert found.suggestion.channels[0]["method"] == "window"

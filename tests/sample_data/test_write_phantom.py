"""The phantoms in BIDS: what is written, and what is refused."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_film.errors import InputError
from napari_film.sample_data import KINDS, abdomen, write_phantom

IMAGES = {
    "spinal_tumor": ("anat/{0}_ce-gadolinium_T1w", "anat/{0}_T2w"),
    "abdomen": ("ct/{0}_ct",),
}


@pytest.fixture(scope="module", params=tuple(IMAGES))
def phantom(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, write_phantom(request.param, tmp_path_factory.mktemp(request.param), subjects=2, seed=3)


def digests(directory: Path, part: str) -> dict[str, str]:
    files = [path for path in sorted(directory.rglob("*")) if path.is_file() and part in path.name]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_same_seed_same_bytes_whatever_the_number_of_subjects(phantom: tuple[str, Path], tmp_path: Path) -> None:
    kind, directory = phantom
    again = write_phantom(kind, tmp_path / "again", subjects=1, seed=3)
    assert digests(again, "sub-001")
    assert digests(again, "sub-001") == digests(directory, "sub-001")


def test_another_seed_or_subject_is_another_picture(phantom: tuple[str, Path], tmp_path: Path) -> None:
    kind, directory = phantom
    other = write_phantom(kind, tmp_path / "other", subjects=1, seed=4)
    image = IMAGES[kind][0] + ".nii.gz"
    paths = [
        directory / "sub-001" / image.format("sub-001"),
        directory / "sub-002" / image.format("sub-002"),
        other / "sub-001" / image.format("sub-001"),
    ]
    assert len({path.read_bytes() for path in paths}) == 3


def test_tree_is_complete(phantom: tuple[str, Path]) -> None:
    kind, directory = phantom
    assert json.loads((directory / "dataset_description.json").read_text())["Name"].startswith("PHANTOM")
    assert "PHANTOM" in (directory / "README").read_text()
    for name in ("sub-001", "sub-002"):
        for image in IMAGES[kind]:
            stem = directory / name / image.format(name)
            assert "phantom" in json.loads(stem.with_name(stem.name + ".json").read_text())["Manufacturer"]
            assert stem.with_name(stem.name + ".nii.gz").is_file()
    for tree in ("labels", "truth"):
        derivative = directory / "derivatives" / tree
        description = json.loads((derivative / "dataset_description.json").read_text())
        assert description["DatasetType"] == "derivative"
        assert description["GeneratedBy"][0]["Parameters"]["seed"] == 3
        assert [row["index"] for row in table(derivative / "dseg.tsv")] == ["1", "2", "3"]
    reference = IMAGES[kind][0]
    assert (directory / "derivatives/labels/sub-001" / (reference.format("sub-001") + "_dseg.nii.gz")).is_file()


def test_every_column_of_the_participants_is_described(phantom: tuple[str, Path]) -> None:
    _, directory = phantom
    rows = table(directory / "participants.tsv")
    described = json.loads((directory / "participants.json").read_text())
    assert [row["participant_id"] for row in rows] == ["sub-001", "sub-002"]
    assert set(rows[0]) == {"participant_id", *described}
    for row in rows:
        for column, description in described.items():
            if "Levels" in description:
                assert row[column] in description["Levels"]


def test_labels_lie_on_their_images_voxels(phantom: tuple[str, Path]) -> None:
    _, directory = phantom
    masks = sorted((directory / "derivatives").rglob("*_dseg.nii.gz"))
    assert len(masks) >= 4
    for path in masks:
        stem = path.name.removesuffix("_dseg.nii.gz")
        mask, image = nib.load(path), nib.load(directory / path.parts[-3] / path.parts[-2] / f"{stem}.nii.gz")
        assert mask.shape == image.shape
        np.testing.assert_array_equal(mask.affine, image.affine)
        assert mask.get_data_dtype() == np.uint8
        assert set(np.unique(mask.dataobj)) <= {0, 1, 2, 3}


def test_the_geometry_stands_in_the_sform(phantom: tuple[str, Path]) -> None:
    _, directory = phantom
    for path in directory.glob("sub-*/*/*.nii.gz"):
        header = nib.load(path).header
        assert (int(header["sform_code"]), int(header["qform_code"])) == (2, 0)


def test_progress_counts_subjects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(abdomen, "write_subject", lambda *_, **__: {"participant_id": "sub"})
    write_phantom("abdomen", tmp_path / "new", subjects=3, seed=0, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "mine.txt"
    kept.write_text("mine")
    with pytest.raises(InputError, match=r"already exists and is not empty; name a new folder"):
        write_phantom("abdomen", tmp_path, subjects=1, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match=r"is a file; name a folder"):
        write_phantom("abdomen", tmp_path / "a", subjects=1, seed=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\); make room, or name another folder"):
        write_phantom(kind, tmp_path / "a" / "new", subjects=1, seed=0)


def test_an_unknown_kind_names_the_kinds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'knee'; choose one of: spinal_tumor, abdomen"):
        write_phantom("knee", tmp_path / "new", subjects=1, seed=0)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("subjects", [0, -1, 1000])
def test_the_number_of_subjects_has_bounds(tmp_path: Path, subjects: int) -> None:
    with pytest.raises(InputError, match=r"1 to 999"):
        write_phantom("abdomen", tmp_path / "new", subjects=subjects, seed=0)


def test_a_negative_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"seed -1"):
        write_phantom("abdomen", tmp_path / "new", subjects=1, seed=-1)


def test_one_organ_a_scan_is_for_the_abdomen(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"choose abdomen"):
        write_phantom("spinal_tumor", tmp_path / "new", subjects=1, seed=0, one_organ_per_scan=True)

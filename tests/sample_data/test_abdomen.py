"""The abdominal phantom: HU, organs, sources, and what is labelled."""

from __future__ import annotations

import csv
import functools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_film.sample_data import abdomen, write_phantom

SUBJECTS = 3


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom("abdomen", tmp_path_factory.mktemp("ct"), subjects=SUBJECTS, seed=5, one_organ_per_scan=True)


def load(directory: Path, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    name = f"sub-{index + 1:03d}"
    paths = [
        directory / name / "ct" / f"{name}_ct.nii.gz",
        *(directory / "derivatives" / tree / name / "ct" / f"{name}_ct_dseg.nii.gz" for tree in ("labels", "truth")),
    ]
    image, labels, truth = (np.asarray(nib.load(path).dataobj) for path in paths)
    return image, labels, truth


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "participants.tsv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("index", range(SUBJECTS))
def test_the_one_labelled_organ_is_the_sources_and_agrees_with_the_truth(directory: Path, index: int) -> None:
    row = rows(directory)[index]
    _, labels, truth = load(directory, index)
    code = {organ: number for number, organ in abdomen.LABELS.items()}[row["labelled_organ"]]
    assert row["labelled_organ"] == abdomen.SOURCES[row["source"]].organ
    assert set(np.unique(labels)) == {0, code}
    np.testing.assert_array_equal(labels == code, truth == code)
    assert len(np.unique(truth)) > 2


def test_each_organ_is_labelled_as_often(directory: Path) -> None:
    assert sorted(row["labelled_organ"] for row in rows(directory)) == ["kidneys", "liver", "spleen"]


def test_without_the_option_all_organs_are_labelled_on_the_same_image(directory: Path, tmp_path: Path) -> None:
    full = write_phantom("abdomen", tmp_path / "full", subjects=1, seed=5)
    image, labels, truth = load(full, 0)
    np.testing.assert_array_equal(labels, truth)
    np.testing.assert_array_equal(image, load(directory, 0)[0])
    assert "labelled_organ" not in rows(full)[0]


@pytest.mark.parametrize("index", range(SUBJECTS))
def test_image_is_in_hu(directory: Path, index: int) -> None:
    image, _, truth = load(directory, index)
    assert image.dtype == np.int16
    assert image.min() >= -1024
    assert np.median(image[:4, -4:]) == pytest.approx(-1000, abs=60)
    assert 0 < np.median(image[truth > 0]) < 250
    # some voxels at the body's border hold a part of each: neither air nor tissue
    assert ((image > -700) & (image < -250)).mean() > 0.003


def test_organs_overlap_in_hu_in_every_phase() -> None:
    for phase, values in abdomen.HU.items():
        spans = [(mean - 2 * spread, mean + 2 * spread) for mean, spread in (values[name] for name in ("liver", "spleen", "cortex"))]
        liver, spleen = spans[0], spans[1]
        assert max(liver[0], spleen[0]) < min(liver[1], spleen[1]), phase
    assert any(subject.steatosis and subject.hu["liver"] < subject.hu["spleen"] for subject in subjects(90))


@functools.cache
def subjects(count: int) -> tuple[abdomen.Subject, ...]:
    return tuple(abdomen.draw_subject(9, index) for index in range(count))


def test_some_subjects_lack_an_organ_but_never_the_one_their_source_was_collected_for() -> None:
    drawn = subjects(90)
    missing = [subject.body.missing for subject in drawn]
    assert 0.08 < np.mean([name != "none" for name in missing]) < 0.35
    assert "spleen" in missing
    for subject in drawn:
        organ = abdomen.SOURCES[subject.source].organ
        assert subject.body.missing != organ
        assert (organ, subject.body.missing) != ("kidneys", "both kidneys")


def test_a_missing_organ_is_absent_from_the_truth() -> None:
    index = next(index for index, subject in enumerate(subjects(90)) if subject.body.missing == "spleen")
    _, truth, _ = abdomen.scan(np.random.default_rng(0), subjects(90)[index])
    assert not (truth == 2).any()
    assert (truth == 1).any()


def test_field_of_view_cuts_organs(directory: Path) -> None:
    cut = [truth[..., end].any() for index in range(SUBJECTS) for truth in [load(directory, index)[2]] for end in (0, -1)]
    assert any(cut)


def test_phases_mix_differs_between_sources() -> None:
    arterial = {name: source.phases[1] for name, source in abdomen.SOURCES.items()}
    assert arterial["centre-kidneys"] > 0.5 > arterial["centre-liver"]

"""Several predictions become one mask, and one file of probabilities, slice by slice."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_film import nifti
from napari_film.conditioning import Metadata
from napari_film.inference.kept import Kept
from napari_film.inference.masks import NOT_COMPUTED, label_mask
from napari_film.inference.plan import Plan
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import (
    JointProbabilities,
    Prediction,
    cleaned_labels,
    is_cleaned,
    joint_labels,
    joint_mask,
    joint_thresholds,
)
from napari_film.preprocessing import Preprocessing, prepare


@pytest.fixture
def predictions(make_volume: Callable, make_affine: Callable) -> Callable[..., list[Prediction]]:
    """Give a maker of predictions of random probabilities: one per number of classes, of a volume stored in another order."""

    def make(*classes: int, shape: tuple[int, int, int] = (6, 7, 8), missing: tuple[int, ...] = ()) -> list[Prediction]:
        volume = make_volume(shape, make_affine((1, 2, 0), (True, False, True), spacing=(1, 2, 3)))
        prepared = prepare([volume], Preprocessing(slice_axis="coronal"))
        rng = np.random.default_rng(0)
        made = []
        for number, count in enumerate(classes):
            kept = Kept.empty(count, prepared.shape)
            for index in range(prepared.shape[0]):
                if number or index not in missing:
                    kept.put(index, rng.integers(0, 256, (count, *prepared.shape[1:]), np.uint8))
            made.append(Prediction(prepared, Metadata({}, ()), kept, (100 + number,) * count, Plan(device="cpu")))
        return made

    return make


@pytest.mark.parametrize("classes", [(1,), (2,), (1, 1, 1), (2, 1)])
@pytest.mark.parametrize("missing", [(), (0, 3)])
def test_labels_are_those_of_all_classes_together(classes: tuple[int, ...], missing: tuple[int, ...], predictions: Callable) -> None:
    made = predictions(*classes, missing=missing)
    q = np.concatenate([prediction.kept.q for prediction in made])
    expected = label_mask(q, [threshold for prediction in made for threshold in prediction.thresholds])
    expected[list(missing)] = NOT_COMPUTED
    assert np.array_equal(joint_labels(made), expected)
    assert np.array_equal(joint_labels(made, slice(2, 5)), expected[2:5])
    assert np.array_equal(joint_mask(made), made[0].prepared.to_source(expected))


@pytest.mark.parametrize("classes", [(1,), (2, 1)])
def test_a_threshold_that_was_asked_for_is_that_of_all_classes(classes: tuple[int, ...], predictions: Callable) -> None:
    made = predictions(*classes)
    asked = [replace(prediction, postprocessing=Postprocessing(threshold=200)) for prediction in made]
    q = np.concatenate([prediction.kept.q for prediction in made])
    assert joint_thresholds(asked) == (200,) * len(q)
    assert joint_thresholds(made) != joint_thresholds(asked)
    assert np.array_equal(joint_labels(asked), label_mask(q, (200,) * len(q)))
    assert asked[0].thresholds == made[0].thresholds  # what the checkpoint says stays to be seen


def test_a_mask_is_cleaned_as_it_is_stored_where_every_slice_was_computed(predictions: Callable) -> None:
    clean = Postprocessing(threshold=150, largest_component=True, smallest_mm3=12.5, fill_holes=True)
    made = [replace(prediction, postprocessing=clean) for prediction in predictions(1, 2)]
    raw = joint_labels(made)
    expected = clean.apply(raw, 1 * 2 * 3)
    assert (raw != expected).any()
    assert is_cleaned(made)
    assert np.array_equal(cleaned_labels(made), expected)
    assert np.array_equal(joint_mask(made), made[0].prepared.to_source(expected))
    assert np.array_equal(made[1].mask(), made[0].prepared.to_source(clean.apply(joint_labels(made[1:]), 6)))


def test_a_mask_with_missing_slices_is_not_cleaned(predictions: Callable) -> None:
    clean = Postprocessing(largest_component=True)
    made = [replace(prediction, postprocessing=clean) for prediction in predictions(1, 1, missing=(2,))]
    assert not is_cleaned(made)
    assert np.array_equal(cleaned_labels(made), joint_labels(made))
    assert np.array_equal(joint_mask(made), made[0].prepared.to_source(joint_labels(made)))


@pytest.mark.parametrize("classes", [(1,), (2,), (1, 1, 1), (2, 1)])
@pytest.mark.parametrize("missing", [(), (0, 3)])
def test_probabilities_are_written_as_they_are_in_memory(
    classes: tuple[int, ...], missing: tuple[int, ...], predictions: Callable, tmp_path: Path
) -> None:
    made = predictions(*classes, missing=missing)
    whole = np.moveaxis(np.concatenate([prediction.probabilities() for prediction in made]), 0, -1)
    expected = whole[..., 0] if sum(classes) == 1 else whole
    assert np.isnan(expected).any() == bool(missing)
    lazy = JointProbabilities(made)
    assert (lazy.shape, lazy.dtype) == (expected.shape, np.float32)
    nifti.write(tmp_path / "p.nii", lazy, made[0].prepared.reference)
    assert np.array_equal(nifti.read(tmp_path / "p.nii").data, expected, equal_nan=True)


def test_nothing_but_the_mask_is_as_large_as_the_volume(predictions: Callable, tmp_path: Path) -> None:
    made = predictions(1, 1, 1, shape=(200, 150, 160))
    voxels = made[0].kept.q.size
    tracemalloc.start()
    try:
        mask = joint_mask(made)
        assert tracemalloc.get_traced_memory()[1] < 1.2 * voxels
        del mask
        tracemalloc.reset_peak()
        nifti.write(tmp_path / "p.nii", JointProbabilities(made), made[0].prepared.reference)
        assert tracemalloc.get_traced_memory()[1] < 0.2 * voxels
    finally:
        tracemalloc.stop()

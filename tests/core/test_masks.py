"""Labels follow from 256ths and thresholds, voxel by voxel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_film.inference.masks import NOT_COMPUTED, label_mask
from napari_film.inference.request import quantise


@given(
    data=st.data(),
    q=st.integers(1, 5).flatmap(
        lambda classes: arrays(np.uint8, (classes, 3, 4), elements=st.integers(0, 255) | st.sampled_from([99, 100, 101]))
    ),
)
def test_the_highest_that_passes_its_threshold_wins(data: st.DataObject, q: np.ndarray) -> None:
    thresholds = data.draw(st.lists(st.integers(1, 255) | st.just(100), min_size=len(q), max_size=len(q)))
    mask = label_mask(q, thresholds)
    assert mask.dtype == np.uint8
    for index in np.ndindex(3, 4):
        passing = [c for c in range(len(q)) if q[(c, *index)] >= thresholds[c]]
        expected = 1 + max(passing, key=lambda c: (int(q[(c, *index)]), -c)) if passing else 0
        assert mask[index] == expected


def test_a_threshold_is_met_at_its_own_value() -> None:
    assert label_mask(np.array([[127, 128, 129, 255, 0]], np.uint8), [128]).tolist() == [0, 1, 1, 1, 0]
    assert label_mask(np.array([[254, 255]], np.uint8), [255]).tolist() == [0, 1]
    assert label_mask(np.array([[0, 1]], np.uint8), [1]).tolist() == [0, 1]


def test_the_mask_leaves_the_probabilities_as_they_were() -> None:
    q = np.array([[200, 10]], np.uint8)
    mask = label_mask(q, [100])
    mask[:] = 9
    assert q.tolist() == [[200, 10]]


@given(st.integers(1, 4), st.booleans())
def test_a_mask_is_put_where_it_is_wanted(classes: int, apart: bool) -> None:
    q = np.random.default_rng(classes).integers(0, 256, (classes, 5, 6), np.uint8)
    out = np.full((7, 8), 9, np.uint8)
    placed = out[1:6, 1:7]
    label_mask(list(q.transpose(0, 2, 1)) if apart else q, [100] * classes, out=placed.T if apart else placed)
    assert np.array_equal(placed, label_mask(q, [100] * classes))
    assert out.sum() == placed.sum() + 9 * (out.size - placed.size)


def test_large_planes_are_labelled_piece_by_piece_alike() -> None:
    q = np.random.default_rng(0).integers(0, 256, (3, 1100, 1000), np.uint8)
    whole = label_mask(q, [90, 100, 110])
    lines = np.stack([label_mask(q[:, line], [90, 100, 110]) for line in range(q.shape[1])])
    assert np.array_equal(whole, lines)


def test_no_more_classes_than_labels_can_tell_apart() -> None:
    assert label_mask(np.full((254, 1), 200, np.uint8), [100] * 254).tolist() == [1]
    with pytest.raises(ValueError, match="255 thresholds for 255 classes; expected one each, for at most 254"):
        label_mask(np.zeros((255, 1), np.uint8), [1] * 255)
    with pytest.raises(ValueError, match="1 thresholds for 2 classes"):
        label_mask(np.zeros((2, 1), np.uint8), [1])
    assert NOT_COMPUTED == 255


@pytest.mark.parametrize(
    ("probability", "step"),
    [(0, 0), (1 / 256, 1), (np.nextafter(np.float32(0.5), np.float32(0)), 127), (0.5, 128), (255 / 256, 255), (1, 255)],
)
def test_probabilities_are_kept_in_256ths_rounded_down(probability: float, step: int) -> None:
    kept = quantise(np.array([probability], np.float32))
    assert kept.tolist() == [step]
    assert kept.dtype == np.uint8


@given(arrays(np.float32, 20, elements=st.floats(0, 1, width=32)), st.integers(1, 255))
def test_a_threshold_in_256ths_is_a_threshold_of_the_probability(probabilities: np.ndarray, threshold: int) -> None:
    assert np.array_equal(quantise(probabilities) >= threshold, probabilities >= threshold / 256)

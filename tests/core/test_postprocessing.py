"""Cleaning a mask is what its words say, voxel by voxel, in any orientation."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.postprocessing import Postprocessing

LABELS = arrays(
    np.uint8,
    array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=7),
    elements=st.sampled_from([0, 0, 1, 1, 1, 2, 254, NOT_COMPUTED]),
    fill=st.sampled_from([0, 1]),
)
CLEAN_UPS = st.builds(
    Postprocessing, largest_component=st.booleans(), smallest_mm3=st.sampled_from([0, 1, 1.5, 3, 6, 7]), fill_holes=st.booleans()
)


def cleaned_slowly(wanted: Postprocessing, labels: np.ndarray, voxel_mm3: float) -> np.ndarray:
    """The same from the definitions, on whole volumes."""
    out = labels.copy()
    for label in np.unique(labels[(labels > 0) & (labels != NOT_COMPUTED)]):
        numbers, count = ndimage.label(labels == label, np.ones((3, 3, 3)))
        parts = [numbers == number for number in range(1, count + 1)]
        most = max(part.sum() for part in parts)
        for part in parts:
            if (wanted.largest_component and part.sum() < most) or part.sum() * voxel_mm3 < wanted.smallest_mm3:
                out[part] = 0
    if wanted.fill_holes:
        for label in np.unique(out[(out > 0) & (out != NOT_COMPUTED)]):
            numbers, count = ndimage.label(out != label)
            for number in range(1, count + 1):
                part = numbers == number
                sides = [part.take(end, axis) for axis in range(3) if part.shape[axis] > 1 for end in (0, -1)]
                if not any(side.any() for side in sides) and not (out[part] == NOT_COMPUTED).any():
                    out[part & (out == 0)] = label
    return out


def ball(*extra: tuple[slice | int, ...]) -> np.ndarray:
    """A cube with a hollow core, label 1, in a volume of background."""
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[2:7, 2:7, 2:7] = 1
    labels[3:6, 3:6, 3:6] = 0
    for place in extra:
        labels[place] = 0
    return labels


@settings(max_examples=150, deadline=None, derandomize=True)
@given(LABELS, CLEAN_UPS, st.sampled_from([1.0, 0.5]))
@example(ball(), Postprocessing(fill_holes=True), 1.0)
@example(np.ones((1, 1, 1), np.uint8), Postprocessing(smallest_mm3=1, fill_holes=True), 0.5)
def test_it_is_what_its_definition_says(labels: np.ndarray, wanted: Postprocessing, voxel_mm3: float) -> None:
    before = labels.copy()
    result = wanted.apply(labels, voxel_mm3)
    assert result.dtype == np.uint8
    assert np.array_equal(result, cleaned_slowly(wanted, labels, voxel_mm3))
    assert np.array_equal(labels, before)
    assert np.array_equal(result == NOT_COMPUTED, labels == NOT_COMPUTED)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(LABELS, CLEAN_UPS, st.permutations(range(3)), st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_the_layout_does_not_matter(labels: np.ndarray, wanted: Postprocessing, axes: list[int], steps: tuple[int, ...]) -> None:
    def turned(array: np.ndarray) -> np.ndarray:
        return array.transpose(axes)[tuple(slice(None, None, step) for step in steps)]

    assert np.array_equal(wanted.apply(turned(labels), 1.0), turned(wanted.apply(labels, 1.0)))


def test_holes_are_filled_and_only_holes() -> None:
    fill = Postprocessing(fill_holes=True)
    assert (fill.apply(ball(), 1.0)[2:7, 2:7, 2:7] == 1).all()
    corner = ball((2, 2, 2))  # a voxel whose faces all look outwards: the shell still closes
    assert fill.apply(corner, 1.0).sum() == 5**3 - 1
    tunnel = ball((2, 4, 4))
    assert np.array_equal(fill.apply(tunnel, 1.0), tunnel)
    cut = ball()[4:]  # the border of the volume goes through it
    assert np.array_equal(fill.apply(cut, 1.0), cut)


def test_a_hole_that_holds_another_label_keeps_it() -> None:
    labels = ball()
    labels[4, 4, 4] = 2
    filled = Postprocessing(fill_holes=True).apply(labels, 1.0)
    assert filled[4, 4, 4] == 2
    assert (filled == 1).sum() == 5**3 - 1
    # What is taken away is not left behind as a hole, whichever label comes first.
    assert (Postprocessing(fill_holes=True, smallest_mm3=2).apply(labels, 1.0) == 1).sum() == 5**3


def test_what_was_not_computed_may_open_a_hole() -> None:
    labels = ball()
    labels[4, 4, 4] = NOT_COMPUTED
    assert np.array_equal(Postprocessing(fill_holes=True).apply(labels, 1.0), labels)


def test_a_plane_has_no_border_across() -> None:
    plane = ball()[4:5]
    for axis in range(3):
        turned = np.moveaxis(plane, 0, axis)
        assert Postprocessing(fill_holes=True).apply(turned, 1.0).sum() == 25


def test_of_equally_large_components_all_stay() -> None:
    labels = np.zeros((1, 1, 9), np.uint8)
    labels[0, 0] = [1, 1, 0, 1, 1, 0, 1, 0, 0]
    assert Postprocessing(largest_component=True).apply(labels, 1.0)[0, 0].tolist() == [1, 1, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(("voxels", "stays"), [(49, False), (50, True), (51, True)])
def test_a_component_of_just_the_size_stays_whatever_rounds(voxels: int, stays: bool) -> None:
    labels = np.ones((1, 1, voxels), np.uint8)
    for voxel_mm3 in (1.0, np.nextafter(1.0, 0), np.nextafter(1.0, 2), float(np.float32(0.9)) / 0.9):
        assert Postprocessing(smallest_mm3=50).apply(labels, voxel_mm3).any() == stays


def test_nothing_asked_for_changes_nothing() -> None:
    labels = ball()
    result = Postprocessing(threshold=3).apply(labels, 1.0)
    assert np.array_equal(result, labels)
    assert result is not labels


def test_a_cancelled_clean_up_ends_at_once() -> None:
    asked = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1

    labels = np.repeat(np.arange(1, 5, dtype=np.uint8), 3).reshape(1, 1, 12)
    result = Postprocessing(smallest_mm3=5, fill_holes=True).apply(labels, 1.0, cancelled=cancelled)
    assert len(asked) == 2
    assert np.unique(result).tolist() == [0, 2, 3, 4]  # the first label was cleaned before it was asked again


def test_one_threshold_stands_for_all_classes() -> None:
    assert Postprocessing().thresholds([100, 128]) == (100, 128)
    assert Postprocessing(threshold=64).thresholds([100, 128]) == (64, 64)


@pytest.mark.parametrize("threshold", range(1, 256))
def test_a_threshold_comes_back_from_its_word(threshold: int) -> None:
    option, word = Postprocessing(threshold=threshold).words()
    assert option == "--threshold"
    assert round(256 * float(word)) == threshold


def test_words_are_options_of_the_command_line() -> None:
    assert Postprocessing().words() == []
    every = Postprocessing(threshold=64, largest_component=True, smallest_mm3=50, fill_holes=True)
    assert every.words() == ["--threshold", "0.25", "--largest-component", "--min-volume", "50", "--fill-holes"]


@settings(deadline=None, derandomize=True)
@given(st.floats(min_value=1e-6, max_value=1e12))
def test_a_volume_comes_back_from_its_word(size: float) -> None:
    _, word = Postprocessing(smallest_mm3=size).words()
    assert float(word) == size

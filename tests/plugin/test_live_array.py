"""What layers look into: the same voxels as a mask made whole, however they are asked for."""

from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_film.inference.kept import Kept
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import Plan
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import joint_labels
from napari_film.inference.request import Opened
from napari_film.plugin.composition import Composition, Share
from napari_film.plugin.layer_geometry import displayed
from napari_film.plugin.live_array import (
    BOTH,
    ONLY_A,
    ONLY_B,
    Blank,
    LiveArray,
    LiveDifference,
    LiveDisagreement,
    LiveLabels,
    LiveSensitivity,
)
from napari_film.preprocessing import Normalisation, Preprocessing, prepare
from napari_film.volume import Volume

INDICES = [
    ...,
    0,
    -1,
    (1, 2, 3),
    (slice(None), 4),
    (slice(1, 4), slice(None), 2),
    (slice(None, None, 2), slice(3), slice(None)),
    (2, ..., 1),
]


@pytest.fixture(scope="module")
def volume(make_volume, make_affine):
    """Permuted and flipped, so that layer, source and slices are all in other orders."""
    return make_volume((7, 6, 5), make_affine((2, 0, 1), (True, False, True), spacing=(1.0, 2.0, 3.0)))


def composed(volume, axis, *, classes=1, shares=1, parts=1, missing=(), post=None, seed=0):
    prepared = prepare([volume], Preprocessing(slice_axis=axis, normalisation=(Normalisation(),), divisor=1))
    rng = np.random.default_rng(seed)
    computed = np.ones(prepared.shape[0], dtype=bool)
    computed[list(missing)] = False
    percents = (100,) if parts == 1 else (30, 70)

    def kept():
        return Kept(rng.integers(0, 256, size=(classes, *prepared.shape), dtype=np.uint8), computed.copy())

    opened = Opened(1, prepared, "image", "checkpoint", "preprocessing", Plan(device="cpu"), ())
    found = tuple(
        Share(_metadata(), tuple((percent, kept()) for percent in percents), tuple(rng.integers(60, 200, classes).tolist()))
        for _ in range(shares)
    )
    mixture = None if parts == 1 else Mixture(field="site", percent={"north": 30, "south": 70})
    return Composition(opened, found, post or Postprocessing(), mixture)


def _metadata():
    from napari_film.conditioning import Metadata

    return Metadata({"site": "north"})


def live(composition, **options):
    prepared = composition.opened.prepared
    return LiveLabels(composition, displayed(prepared.reference), prepared.preprocessing.slice_axis, **options)


def whole(composition):
    """The mask in the layer's order, by the functions that a saved file is made by."""
    prepared = composition.opened.prepared
    return displayed(prepared.reference).order.apply(prepared.to_source(joint_labels(composition.predictions())))


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize(
    "kind",
    [{}, {"classes": 3}, {"shares": 3}, {"parts": 2}, {"shares": 2, "parts": 2, "classes": 2}, {"missing": (0, 3)}, {"missing": range(5)}],
)
def test_every_look_shows_what_a_file_would_hold(volume, axis, kind):
    composition = composed(volume, axis, **kind)
    labels = live(composition)
    expected = whole(composition)
    array = LiveArray(labels.shape, np.uint8, labels)
    assert array.shape == expected.shape
    assert array.size == expected.size
    assert len(array) == expected.shape[0]
    assert np.array_equal(np.asarray(array), expected)
    for index in INDICES:
        assert np.array_equal(array[index], expected[index]), index


@settings(max_examples=60, derandomize=True, deadline=None)
@given(data=st.data())
def test_any_index_and_any_geometry(data, make_affine):
    axes = data.draw(st.permutations(range(3)))
    flips = data.draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    angles = data.draw(st.tuples(*[st.floats(-20, 20)] * 3))
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    volume = Volume(np.zeros(shape, dtype=np.float32), make_affine(axes, flips, angles=angles), "v.nii")
    axis = data.draw(st.sampled_from(["axial", "coronal", "sagittal"]))
    composition = composed(volume, axis, shares=data.draw(st.integers(1, 3)), seed=data.draw(st.integers(0, 99)))
    expected = whole(composition)
    index = tuple(
        data.draw(st.one_of(st.integers(-length, length - 1), st.slices(length).filter(lambda part: part.step != 0)))
        for length in expected.shape
    )
    assert np.array_equal(live(composition)[index], expected[index])


def test_a_threshold_in_use_takes_the_place_of_the_checkpoints(volume):
    composition = composed(volume, "axial", post=Postprocessing(threshold=10))
    assert np.array_equal(live(composition)[...], whole(composition))
    assert composition.thresholds == (10,)
    assert composition.own_thresholds != (10,)


def test_slices_that_arrive_are_seen_and_others_are_veiled(volume):
    composition = composed(volume, "axial", missing=range(7))
    labels = live(composition)
    assert (labels[...] == NOT_COMPUTED).all()
    (_, kept), *_ = composition.shares[0].parts
    kept.put(2, np.full(kept.q[:, 2].shape, 255, dtype=np.uint8))
    assert np.array_equal(labels[...], whole(composition))
    assert set(np.unique(labels[...])) == {1, NOT_COMPUTED}


def test_cleaned_masks_are_shown_once_they_are_there_and_saved_at_once(volume):
    composition = composed(volume, "axial", post=Postprocessing(threshold=200, largest_component=True))
    raw, cleaned = joint_labels(composition.predictions()), composition.labels()
    assert not np.array_equal(raw, cleaned)
    geometry = displayed(volume)
    before, after = live(composition), live(composition, cleaned=cleaned)
    assert np.array_equal(before[0], geometry.to_layer(raw, "axial")[0])
    assert np.array_equal(after[0], geometry.to_layer(cleaned, "axial")[0])
    assert np.array_equal(np.asarray(LiveArray(before.shape, np.uint8, before)), geometry.to_layer(cleaned, "axial"))


def test_nobody_can_draw_on_it_and_a_copy_is_an_ordinary_array(volume):
    labels = live(composed(volume, "axial"))
    array = LiveArray(labels.shape, np.uint8, labels)
    with pytest.raises(TypeError, match="item assignment"):
        array[0] = 1
    copied = deepcopy(array)
    assert isinstance(copied, np.ndarray)
    copied[...] = 7
    assert not (array[...] == 7).all()


def test_blank():
    blank = Blank((2, 3, 4), NOT_COMPUTED, np.uint8)
    assert (blank[...] == NOT_COMPUTED).all()
    assert blank[0].shape == (3, 4)


def test_difference(volume):
    first, second = composed(volume, "axial", missing=[1]), composed(volume, "axial", missing=[3], seed=1)
    a, b = whole(first), whole(second)
    difference = LiveDifference(live(first), live(second))
    expected = BOTH * ((a == 1) & (b == 1)) + ONLY_A * ((a == 1) & (b == 0)) + ONLY_B * ((a == 0) & (b == 1))
    expected[(a == NOT_COMPUTED) | (b == NOT_COMPUTED)] = NOT_COMPUTED
    assert set(np.unique(expected)) == {0, BOTH, ONLY_A, ONLY_B, NOT_COMPUTED}
    for index in INDICES:
        assert np.array_equal(difference[index], expected[index])


def test_maps(volume):
    masks = [composed(volume, "coronal", classes=2, seed=seed, missing=[0] if seed == 1 else ()) for seed in range(3)]
    views = [live(mask) for mask in masks]
    q = np.stack([mask.shares[0].parts[0][1].q for mask in masks]).astype(float)
    moved = (q.max(axis=0) - q.min(axis=0)).max(axis=0) / 256
    moved[0] = np.nan
    expected = displayed(volume).to_layer(moved, "coronal")
    counted = sum((whole(mask) > 0).astype(float) for mask in masks)
    counted[np.isnan(expected)] = np.nan
    for index in INDICES:
        assert np.allclose(LiveSensitivity(views)[index], expected[index], equal_nan=True)
        assert np.array_equal(LiveDisagreement(views)[index], counted[index], equal_nan=True)

"""Probabilities are kept by what they were computed from, as long as there is room."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_film.inference.kept import Kept
from napari_film.inference.request import ProbabilityKey, Request, SliceResult, image_hash, quantise
from napari_film.inference.store import ProbabilityStore
from napari_film.volume import Volume


def key(number: int) -> ProbabilityKey:
    return ProbabilityKey("image", "checkpoint", (float(number),), "preprocessing", "plan")


def result(number: int, index: int, value: int = 7) -> SliceResult:
    return SliceResult(Request(1, (float(number),)), key(number), index, np.full((2, 4, 5), value, np.uint8))


def test_slices_of_one_key_are_put_together() -> None:
    store = ProbabilityStore(10**6)
    assert store.get(key(1)) is None
    store.put(result(1, 2, value=9), 3)
    store.put(result(2, 0, value=5), 3)
    kept = store.get(key(1))
    assert kept is not None
    assert kept.q.shape == (2, 3, 4, 5)
    assert kept.computed.tolist() == [False, False, True]
    assert (kept.q[:, 2] == 9).all()
    assert not kept.complete
    store.put(result(1, 0), 3)
    store.put(result(1, 1), 3)
    assert store.get(key(1)).complete
    assert not store.get(key(2)).complete


def test_every_part_of_a_key_tells_probabilities_apart() -> None:
    store = ProbabilityStore(10**6)
    store.put(result(1, 0), 1)
    for change in ({"image": "x"}, {"checkpoint": "x"}, {"condition": (2.0,)}, {"preprocessing": "x"}, {"plan": "x"}):
        other = ProbabilityKey(**{**vars(key(1)), **change})
        assert store.get(other) is None
    assert store.get(key(1)) is not None


def test_the_least_recently_seen_goes_first() -> None:
    volume = 2 * 3 * 4 * 5
    store = ProbabilityStore(3 * volume)
    for number in (1, 2, 3):
        store.put(result(number, 0), 3)
    assert store.nbytes == 3 * volume
    store.get(key(1))
    store.put(result(4, 0), 3)
    assert [number for number in (1, 2, 3, 4) if store.get(key(number))] == [1, 3, 4]
    store.set_limit(volume)
    assert [number for number in (1, 2, 3, 4) if store.get(key(number))] == [4]
    store.clear()
    assert store.nbytes == 0


def test_one_volume_is_kept_whatever_the_limit() -> None:
    store = ProbabilityStore(1)
    store.put(result(1, 0), 3)
    store.put(result(1, 1), 3)
    assert store.get(key(1)).computed.tolist() == [True, True, False]
    assert store.room_for(120) == 1
    assert ProbabilityStore(1000).room_for(120) == 8


def test_nothing_computed_yet_is_nothing() -> None:
    kept = Kept.empty(3, (4, 5, 6))
    assert kept.q.shape == (3, 4, 5, 6)
    assert not kept.computed.any()
    assert not kept.complete


def test_the_hash_of_images_is_that_of_voxels_and_where_they_lie() -> None:
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    affine = np.diag([1, 2, 3, 1.0])
    base = image_hash([Volume(data, affine, "a")])
    assert base == image_hash([Volume(np.asfortranarray(data), affine.copy(), "renamed")])
    other = data.copy()
    other[1, 2, 3] += 1
    moved = affine.copy()
    moved[0, 3] = 1
    different = [
        [Volume(other, affine)],
        [Volume(data, moved)],
        [Volume(data.astype(np.int32), affine)],
        [Volume(data.reshape(3, 2, 4), affine)],
        [Volume(data, affine), Volume(data, affine)],
        [Volume(data, affine), Volume(other, affine)],
        [Volume(other, affine), Volume(data, affine)],
    ]
    hashes = [base, *map(image_hash, different)]
    assert len(set(hashes)) == len(hashes)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), shape=st.tuples(*[st.integers(1, 9)] * 3) | st.tuples(*[st.integers(1, 6)] * 4))
def test_the_hash_tells_any_voxel_and_no_storage_order(data: st.DataObject, shape: tuple[int, ...]) -> None:
    voxels = np.random.default_rng(0).integers(0, 99, size=shape).astype(data.draw(st.sampled_from(["u1", "i2", ">i2", "f4", "f8"])))
    base = image_hash([Volume(voxels, np.eye(4))])
    order, flips = data.draw(st.permutations(range(len(shape)))), [slice(None, None, data.draw(st.sampled_from([1, -1]))) for _ in shape]
    stored = np.ascontiguousarray(voxels[tuple(flips)].transpose(order))
    again = stored.transpose(np.argsort(order))[tuple(flips)]
    assert image_hash([Volume(again, np.eye(4))]) == base
    index = tuple(data.draw(st.integers(0, length - 1)) for length in shape)
    again = voxels.copy()
    again[index] += 1
    assert image_hash([Volume(again, np.eye(4))]) != base


def test_the_hash_tells_which_of_many_pieces_changed() -> None:
    voxels = np.zeros((128, 128, 200), np.int16, order="F")
    hashes = {image_hash([Volume(voxels, np.eye(4))])}
    for index in ((0, 0, 0), (127, 127, 199), (64, 3, 100), (5, 127, 49), (0, 0, 50)):
        changed = voxels.copy(order="F")
        changed[index] = 1
        hashes.add(image_hash([Volume(changed, np.eye(4))]))
    swapped = voxels.copy(order="F")
    swapped[..., :100] = 1
    hashes.add(image_hash([Volume(swapped, np.eye(4))]))
    hashes.add(image_hash([Volume(swapped[..., ::-1], np.eye(4))]))
    assert len(hashes) == 8


@pytest.mark.parametrize("order", ["C", "F"])
def test_of_a_mapped_volume_pieces_alone_are_in_memory(order: str, tmp_path: Path) -> None:
    voxels = np.memmap(tmp_path / "voxels", np.uint8, "w+", shape=(256, 256, 1024), order=order)
    tracemalloc.start()
    try:
        image_hash([Volume(voxels, np.eye(4))])
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()


def test_probabilities_are_quantised_alike_in_whatever_layout_and_size() -> None:
    probabilities = np.random.default_rng(0).random((3, 700, 900), dtype=np.float32)
    expected = np.minimum(np.floor(256 * probabilities.astype(np.float64)), 255)
    assert np.array_equal(quantise(probabilities), expected)
    assert np.array_equal(quantise(probabilities[:, 3:-7, ::-2]), expected[:, 3:-7, ::-2])
    assert np.array_equal(quantise(probabilities.transpose(0, 2, 1)), expected.transpose(0, 2, 1))

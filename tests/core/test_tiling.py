"""Tiles are blended without a seam."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_film.inference.tiling import run_tiled

shapes = st.tuples(st.integers(1, 70), st.integers(1, 70))


def noise(shape: tuple[int, int], channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(channels, *shape)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(shape=shapes, tile=st.integers(4, 40), part=st.integers(2, 4))
def test_what_looks_no_farther_than_a_quarter_of_the_overlap_is_as_untiled(shape: tuple, tile: int, part: int) -> None:
    overlap = tile // part
    reach = overlap // 4
    size = 2 * reach + 1
    kernel = np.random.default_rng(1).normal(size=(size, size))

    def blur(image: np.ndarray) -> np.ndarray:  # with zeros around, as a convolution of a network has
        return np.stack([ndimage.correlate(channel.astype(np.float64), kernel, mode="constant") for channel in image]).astype(np.float32)

    image = noise(shape, 2)
    np.testing.assert_allclose(run_tiled(image, blur, tile=tile, overlap=overlap), blur(image), rtol=0, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(shape=shapes, tile=st.integers(1, 40), part=st.integers(2, 5))
def test_a_constant_stays_that_constant_in_every_size(shape: tuple, tile: int, part: int) -> None:
    result = run_tiled(noise(shape), lambda piece: np.full((3, *piece.shape[1:]), 0.3, np.float32), tile=tile, overlap=tile // part)
    assert result.shape == (3, *shape)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 0.3, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(shape=shapes, tile=st.integers(2, 40), part=st.integers(2, 4))
def test_tiles_cover_the_image_are_no_longer_than_asked_and_share_the_overlap(shape: tuple, tile: int, part: int) -> None:
    overlap = tile // part
    rows, columns = np.indices(shape)
    places = np.stack([rows, columns]).astype(np.float32)
    seen: set[tuple[int, int, int, int]] = set()

    def look(piece: np.ndarray) -> np.ndarray:
        seen.add((int(piece[0, 0, 0]), int(piece[0, -1, 0]) + 1, int(piece[1, 0, 0]), int(piece[1, 0, -1]) + 1))
        return piece

    result = run_tiled(places, look, tile=tile, overlap=overlap)
    np.testing.assert_allclose(result, places, rtol=1e-5, atol=1e-4)
    for axis, length in enumerate(shape):
        spans = sorted({tile_[2 * axis : 2 * axis + 2] for tile_ in seen})
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        assert all(stop - start == min(tile, length) for start, stop in spans)
        assert all(before[1] - after[0] >= overlap for before, after in itertools.pairwise(spans))


def test_no_seam_shows_where_tiles_disagree() -> None:
    levels = iter([0.0, 1.0])
    result = run_tiled(noise((16, 56)), lambda piece: np.full((1, *piece.shape[1:]), next(levels), np.float32), tile=32, overlap=8)
    steps = np.diff(result[0], axis=1)
    assert (steps >= 0).all()
    assert steps.max() < 0.35
    assert result[0, :, 0].tolist() == [0.0] * 16
    assert result[0, :, -1].tolist() == [1.0] * 16


@pytest.mark.parametrize("tile", [32, 64])
def test_what_fits_in_one_tile_is_run_once_as_it_is(tile: int) -> None:
    image = noise((32, 32))
    calls: list[np.ndarray] = []
    result = run_tiled(image, lambda piece: calls.append(piece) or piece * 2, tile=tile, overlap=8)
    assert len(calls) == 1
    assert np.array_equal(result, image * 2)

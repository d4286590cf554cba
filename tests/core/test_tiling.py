"""Tiles are blended without a seam, and a network gives what it gives untiled."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_film.architecture import Architecture
from napari_film.inference.tiling import run_tiled
from napari_film.models import unet

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

    def blur(image: np.ndarray, *_: int) -> np.ndarray:  # with zeros around, as a convolution of a network has
        return np.stack([ndimage.correlate(channel.astype(np.float64), kernel, mode="constant") for channel in image]).astype(np.float32)

    image = noise(shape, 2)
    np.testing.assert_allclose(run_tiled(image, blur, tile=tile, overlap=overlap), blur(image), rtol=0, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(shape=shapes, tile=st.integers(1, 40), part=st.integers(2, 5))
def test_a_constant_stays_that_constant_in_every_size(shape: tuple, tile: int, part: int) -> None:
    result = run_tiled(noise(shape), lambda piece, *_: np.full((3, *piece.shape[1:]), 0.3, np.float32), tile=tile, overlap=tile // part)
    assert result.shape == (3, *shape)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 0.3, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(shape=shapes, tile=st.integers(2, 40), part=st.integers(2, 4), divisor=st.integers(1, 8))
def test_tiles_cover_the_image_are_no_longer_than_asked_and_share_the_overlap(shape: tuple, tile: int, part: int, divisor: int) -> None:
    overlap = tile // part
    divisor = min(divisor, tile - overlap)
    rows, columns = np.indices(shape)
    places = np.stack([rows, columns]).astype(np.float32)
    seen: set[tuple[int, int, int, int]] = set()

    def look(piece: np.ndarray, top: int, left: int) -> np.ndarray:
        assert (top, left) == (piece[0, 0, 0], piece[1, 0, 0])
        seen.add((int(piece[0, 0, 0]), int(piece[0, -1, 0]) + 1, int(piece[1, 0, 0]), int(piece[1, 0, -1]) + 1))
        return piece

    result = run_tiled(places, look, tile=tile, overlap=overlap, divisor=divisor)
    np.testing.assert_allclose(result, places, rtol=1e-5, atol=1e-4)
    for axis, length in enumerate(shape):
        spans = sorted({tile_[2 * axis : 2 * axis + 2] for tile_ in seen})
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        assert all(start % divisor == 0 for start, _ in spans)
        assert all(stop - start == min(tile, length) for start, stop in spans[:-1])
        assert min(tile, length) - divisor < spans[-1][1] - spans[-1][0] <= tile
        assert all(before[1] - after[0] >= overlap for before, after in itertools.pairwise(spans))


def test_tiles_too_short_for_the_divisor_are_refused() -> None:
    with pytest.raises(ValueError, match="tiles of 16 that share 4 cannot begin at multiples of 16"):
        run_tiled(noise((40, 40)), lambda piece, *_: piece, tile=16, overlap=4, divisor=16)


def test_no_seam_shows_where_tiles_disagree() -> None:
    levels = iter([0.0, 1.0])
    result = run_tiled(noise((16, 56)), lambda piece, *_: np.full((1, *piece.shape[1:]), next(levels), np.float32), tile=32, overlap=8)
    steps = np.diff(result[0], axis=1)
    assert (steps >= 0).all()
    assert steps.max() < 0.35
    assert result[0, :, 0].tolist() == [0.0] * 16
    assert result[0, :, -1].tolist() == [1.0] * 16


@pytest.mark.parametrize("tile", [32, 64])
def test_what_fits_in_one_tile_is_run_once_as_it_is(tile: int) -> None:
    image = noise((32, 32))
    calls: list[np.ndarray] = []
    result = run_tiled(image, lambda piece, *_: calls.append(piece) or piece * 2, tile=tile, overlap=8)
    assert len(calls) == 1
    assert np.array_equal(result, image * 2)


Place = tuple[int, int, int]  # of an axis: where the tile begins, its length, and the length of the image


def upsampling_at(*places: Place) -> unet.Upsample:
    """Upsample a tile with the samples that align_corners takes in the whole image: they depend on its length."""

    def along(features: torch.Tensor, axis: int, size: int, place: Place) -> torch.Tensor:
        start, length, whole = (side * size // place[1] for side in place)  # on this level of the network
        assert length == size
        position = (start + torch.arange(size, dtype=torch.float64)) * ((whole // 2 - 1) / (whole - 1)) - start // 2
        below = position.floor().clamp(0, size // 2 - 2).long()
        fraction = (position - below).clamp(0, 1).float().reshape(-1, *[1] * (3 - axis))
        return torch.lerp(features.index_select(axis, below), features.index_select(axis, below + 1), fraction)

    def up(features: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        for axis, (side, place) in enumerate(zip(size, places, strict=True), start=2):
            features = along(features, axis, side, place)
        return features

    return up


@pytest.fixture
def network_of(make_network: Callable, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[..., np.ndarray]]:
    """Give a maker of `run`: a plain U-Net of a depth; with the sides of a whole image its tiles know their place in it."""

    def make(depth: int, sides: tuple[int, int] | None = None) -> Callable[..., np.ndarray]:
        network = make_network(Architecture(depth=depth, width=4, channels=1, classes=1, condition=0, places=("none",) * (2 * depth + 2)))
        step = network.step

        def run(piece: np.ndarray, top: int = 0, left: int = 0) -> np.ndarray:
            places = [] if sides is None else list(zip((top, left), piece.shape[1:], sides, strict=True))
            monkeypatch.setattr(network, "step", partial(step, up=upsampling_at(*places)) if places else step)
            with torch.inference_mode():
                return torch.sigmoid(network.logits(torch.from_numpy(piece)[None], [None] * (2 * depth + 2)))[0].numpy()

        return run

    return make


@pytest.mark.parametrize("sides", [(420, 260), (404, 532)])
def test_a_network_is_as_untiled_where_tiles_begin_at_multiples_of_its_divisor(sides: tuple[int, int], network_of: Callable) -> None:
    image = noise(sides)
    expected = network_of(2)(image)
    assert expected.std() > 0.05
    np.testing.assert_allclose(network_of(2, sides)(image), expected, atol=1e-5)
    # It looks about 30 pixels far: within a quarter of the overlap.
    tiled = run_tiled(image, network_of(2, sides), tile=256, overlap=128, divisor=4)
    np.testing.assert_allclose(tiled, expected, rtol=0, atol=1e-5)
    odd = run_tiled(image, network_of(2), tile=250, overlap=127)
    assert np.abs(odd - expected).max() > 0.05


def test_no_border_of_a_tile_shows_with_a_network_that_looks_farther_than_the_overlap(network_of: Callable) -> None:
    image = ndimage.gaussian_filter(noise((256, 640)), (0, 8, 8))
    run = network_of(4)
    borders: set[int] = set()

    def watched(piece: np.ndarray, top: int, left: int) -> np.ndarray:
        borders.update({left, left + piece.shape[2]} - {0, image.shape[2]})
        return run(piece)

    def steps(result: np.ndarray) -> np.ndarray:
        """Mean step into each of the columns at which tiles begin and end."""
        return np.array([np.abs(result[0, :, border] - result[0, :, border - 1]).mean() for border in sorted(borders)])

    image /= image.std()
    untiled = run(image)
    blended = run_tiled(image, watched, tile=256, overlap=64, divisor=16)
    assert len(borders) == 4
    assert 0 < float(np.abs(blended - untiled).mean()) < 0.01
    assert (steps(blended) < 1.15 * steps(untiled)).all()
    borders.clear()
    bare = run_tiled(image, watched, tile=256, overlap=0, divisor=16)
    assert steps(bare).max() > 5 * steps(untiled).max()

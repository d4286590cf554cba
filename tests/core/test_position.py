"""Pixels lie where the whole image has them, however it is padded, cut, scaled or halved."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_film.models.position import Position, axis


def relative(i: int, start: float, length: float, pitch: float, factor: int) -> float:
    return 2 * (start + pitch * factor * (i + 0.5)) / length - 1


@given(
    count=st.integers(1, 40),
    start=st.floats(-50, 300),
    length=st.floats(1, 600),
    pitch=st.floats(0.25, 4),
    factor=st.sampled_from((1, 2, 4, 16)),
)
def test_coordinates_are_those_of_the_formula(count: int, start: float, length: float, pitch: float, factor: int) -> None:
    made = axis(count, start=start, length=length, pitch=pitch, factor=factor)
    expected = [relative(i, start, length, pitch, factor) for i in range(count)]
    scale = max(abs(value) for value in expected) + 1
    assert made.at.shape == (1, count)
    assert made.at[0].tolist() == pytest.approx(expected, abs=1e-5 * scale)
    assert float(made.step) == pytest.approx(2 * pitch * factor / length, rel=1e-5)


def test_the_whole_runs_from_edge_to_edge() -> None:
    assert axis(4).at.tolist() == [[-0.75, -0.25, 0.25, 0.75]]
    assert axis(2, factor=2).at.tolist() == [[-0.5, 0.5]]
    assert axis(1).at.tolist() == [[0.0]]


def test_padding_lies_outside() -> None:
    y, x = Position(0, 0, 20, 26).axes((8, 8), factor=4)
    assert y.at[0, :5].tolist() == pytest.approx(axis(5, factor=4).at[0].tolist())
    assert (y.at[0, 5:] > 1).all()
    assert (x.at[0, 7:] > 1).all()
    assert x.at[0, 5] < 1


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_tile_has_the_coordinates_that_it_has_in_the_whole(factor: int) -> None:
    whole = Position(0, 0, 44, 60).axes((44 // factor, 60 // factor), factor=factor)
    tile = Position(8, 16, 44, 60).axes((24 // factor, 32 // factor), factor=factor)
    for part, all_of, start in zip(tile, whole, (8, 16), strict=True):
        first = start // factor
        torch.testing.assert_close(part.at, all_of.at[:, first : first + part.at.shape[1]])
        assert part.step == all_of.step


def test_a_scaled_patch_spans_what_it_was_made_of() -> None:
    """32 pixels made of 16, or of 64: the outer edges lie where those of the part lie."""
    for pitch in (0.5, 2.0):
        y, _ = Position(10, 0, 100, 100, pitch).axes((32, 32))
        outer = y.at[0, [0, -1]] + torch.tensor([-0.5, 0.5]) * y.step[0]
        assert outer.tolist() == pytest.approx([2 * 10 / 100 - 1, 2 * (10 + 32 * pitch) / 100 - 1])


def test_each_image_of_a_batch_has_its_own_place() -> None:
    tops, pitches, heights = torch.tensor([0.0, 7.0, 31.5]), torch.tensor([1.0, 0.5, 2.0]), torch.tensor([64.0, 80.0, 90.0])
    y, x = Position(tops, 3, heights, 50, pitches).axes((8, 6), factor=2)
    assert y.at.shape == (3, 8)
    assert y.step.shape == (3, 1)
    for number in range(3):
        alone_y, alone_x = Position(float(tops[number]), 3, float(heights[number]), 50, float(pitches[number])).axes((8, 6), factor=2)
        torch.testing.assert_close(y.at[number], alone_y.at[0])
        torch.testing.assert_close(x.at[number], alone_x.at[0])

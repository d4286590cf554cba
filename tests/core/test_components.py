"""Components by runs are the components of a search from voxel to voxel."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_film.inference import components as module
from napari_film.inference.components import components

MASKS = arrays(np.bool_, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6))


def searched(mask: np.ndarray, corners: bool) -> Iterator[set[tuple[int, ...]]]:
    """The components, voxel by voxel."""
    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step) and (corners or np.abs(step).sum() == 1)]
    left = set(map(tuple, np.argwhere(mask).tolist()))
    while left:
        found, open_ = set(), [left.pop()]
        while open_:
            voxel = open_.pop()
            found.add(voxel)
            near = {tuple(int(v + s) for v, s in zip(voxel, step, strict=True)) for step in steps} & left
            left -= near
            open_ += near
        yield found


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("corners", [False, True])
def test_runs_find_what_a_search_finds(corners: bool, dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RUN", 1000 if dense else 0)

    @settings(max_examples=80, deadline=None, derandomize=True)
    @given(MASKS)
    def check(mask: np.ndarray) -> None:
        found = components(mask, corners=corners)
        each = [found.voxels(np.arange(len(found.sizes)) == number).tolist() for number in range(len(found.sizes))]
        expected = [sorted(int(np.ravel_multi_index(voxel, mask.shape)) for voxel in one) for one in searched(mask, corners)]
        assert sorted(each) == sorted(expected)
        assert found.sizes.tolist() == [len(one) for one in each]

    check()


@given(MASKS, st.permutations(range(3)), st.tuples(*[st.sampled_from([1, -1])] * 3))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_another_layout_has_the_same_components(mask: np.ndarray, axes: list[int], steps: tuple[int, ...]) -> None:
    turned = mask.transpose(axes)[tuple(slice(None, None, step) for step in steps)]
    for corners in (True, False):
        assert sorted(components(turned, corners=corners).sizes) == sorted(components(mask, corners=corners).sizes)


def test_a_row_does_not_go_on_in_the_next() -> None:
    mask = np.zeros((2, 3, 4), np.bool_)
    mask[0, 0, 3] = mask[0, 1, 0] = mask[1, 0, 0] = True  # each the end or the start of its row
    assert sorted(components(mask).sizes.tolist()) == [1, 2]
    assert sorted(components(mask, corners=False).sizes.tolist()) == [1, 1, 1]


def test_an_empty_mask_has_none() -> None:
    found = components(np.zeros((2, 3, 4), np.bool_))
    assert len(found.sizes) == 0
    assert found.voxels(np.empty(0, np.bool_)).tolist() == []

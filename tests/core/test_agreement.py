"""Agreement is the Dice of each pair."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_film.comparison.agreement import agreement
from napari_film.comparison.scores import dice


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.integers(1, 5).flatmap(
        lambda k: array_shapes(min_dims=3, max_dims=3, max_side=4).flatmap(lambda shape: arrays(np.bool_, (k, *shape), fill=st.just(False)))
    )
)
def test_agreement_is_the_dice_of_each_pair(masks: np.ndarray) -> None:
    found = agreement([masks[0], *(mask.__getitem__ for mask in masks[1:])], masks.shape[1])
    assert found is not None
    assert np.array_equal(found, [[dice(a, b) for b in masks] for a in masks])


def test_large_slices_are_counted_exactly() -> None:
    rng = np.random.default_rng(0)
    plane = rng.random((2, 1, 1100, 1900)) < 0.5
    found = agreement(list(plane), 1)
    assert found is not None
    assert found[0, 1] == dice(*plane)


def test_a_cancelled_pass_gives_nothing() -> None:
    asked = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) == 3

    assert agreement([np.ones((9, 2, 2), np.bool_)], 9, cancelled=cancelled) is None
    assert len(asked) == 3

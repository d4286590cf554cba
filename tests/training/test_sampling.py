from collections import Counter

import numpy as np
import pytest

from napari_film.training.sampling import BalancedSampler, make_pools


@pytest.fixture
def found() -> list[dict[str, np.ndarray]]:
    """Five cases: one of the rare value, four of the frequent one, the last of which shows nothing to segment."""
    rare = {"rare": np.array([False, True, True, False])}
    frequent = [{"frequent": np.array([False] * 5 + [True] * n)} for n in (1, 5, 20, 0)]
    return [rare, *frequent]


def test_values_subjects_and_foreground_are_balanced(found: list[dict[str, np.ndarray]]) -> None:
    sampler = BalancedSampler(make_pools(found), samples=240, foreground=0.75, seed=0)
    samples = list(sampler)
    assert len(samples) == len(sampler) == 240
    assert Counter(sample.value for sample in samples) == {"rare": 120, "frequent": 120}
    showing = [sample for sample in samples if found[sample.case][sample.value][sample.slice]]
    assert Counter(sample.value for sample in showing) == {"rare": 90, "frequent": 90}
    assert Counter(sample.case for sample in showing) == {0: 90, 1: 30, 2: 30, 3: 30}
    assert {sample.case for sample in samples} == {0, 1, 2, 3, 4}


def test_a_value_without_background_is_all_foreground() -> None:
    sampler = BalancedSampler(make_pools([{"a": np.ones(3, dtype=bool)}]), samples=8, foreground=0.5, seed=0)
    assert len(list(sampler)) == 8


def test_the_order_is_keyed_by_seed_and_epoch(found: list[dict[str, np.ndarray]]) -> None:
    def order(seed: int, epoch: int) -> list[tuple[int, int]]:
        sampler = BalancedSampler(make_pools(found), samples=60, foreground=0.75, seed=seed)
        sampler.set_epoch(epoch)
        samples = list(sampler)
        assert [sample.index for sample in samples] == list(range(60))
        assert {sample.epoch for sample in samples} == {epoch}
        return [(sample.case, sample.slice) for sample in samples]

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)

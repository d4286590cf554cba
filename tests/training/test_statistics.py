"""The bootstrap and the paired tests, against what is known of them in closed form or by simulation."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_film.training.evaluation.bootstrap import Bootstrap, Estimate
from napari_film.training.evaluation.paired import holm, paired_tests


def width(estimate: Estimate | None) -> float:
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low


def test_the_interval_of_many_subjects_is_that_of_the_normal_approximation() -> None:
    values = np.random.default_rng(0).normal(0.8, 0.1, size=(1, 400))
    found = Bootstrap(10_000, 0).estimate(values)
    assert found is not None
    assert found.mean == pytest.approx(values.mean())
    assert found.n == 400
    error = values.std() / math.sqrt(400)  # a bootstrap's variance is that of the sample, divided by n
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_models_are_drawn_too() -> None:
    """One number a model: the interval is that of the models alone, in closed form."""
    models = np.random.default_rng(1).normal(size=(60, 1))
    found = Bootstrap(10_000, 0).estimate(np.repeat(models, 8, axis=1))
    assert width(found) == pytest.approx(2 * 1.96 * models.std() / math.sqrt(60), rel=0.05)


def test_subjects_that_all_models_share_are_drawn_at_once() -> None:
    """Ten models that say the same of twenty subjects are no two hundred subjects."""
    subjects = np.random.default_rng(2).normal(size=(1, 20))
    bootstrap = Bootstrap(5000, 0)
    assert width(bootstrap.estimate(np.repeat(subjects, 10, axis=0))) == pytest.approx(width(bootstrap.estimate(subjects)), rel=0.05)


def test_models_tested_on_subjects_of_their_own_are_averaged_by_model() -> None:
    values = np.full((2, 4), np.nan)
    values[0, :3] = 0.6, 0.7, 0.8
    values[1, 3] = 0.1
    found = Bootstrap(2000, 0).estimate(values)
    assert found is not None
    assert (found.mean, found.n) == (pytest.approx(0.4), 4)
    assert found.low is not None
    assert found.low < 0.15  # where the second model alone was drawn, or only its subject


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    values = np.random.default_rng(3).normal(size=(3, 17))
    assert Bootstrap(2500, 5).estimate(values) == Bootstrap(2500, 5).estimate(values)
    assert Bootstrap(2500, 5).estimate(values) != Bootstrap(2500, 6).estimate(values)
    again = Bootstrap(2500, 5)
    assert again.estimate(values) == again.estimate(values)


def test_what_cannot_be_drawn_has_no_interval() -> None:
    bootstrap = Bootstrap(1000, 0)
    assert bootstrap.estimate(np.full((2, 3), np.nan)) is None
    assert bootstrap.estimate(np.array([[np.nan, 0.5], [np.nan, 0.7]])) == Estimate(pytest.approx(0.6), None, None, 1)
    assert bootstrap.estimate(np.full((2, 5), 0.25)) == Estimate(0.25, 0.25, 0.25, 5)


@pytest.mark.parametrize("models", [1, 10])
def test_intervals_of_thirty_subjects_cover_the_truth(models: int) -> None:
    """A Dice near its upper end, skewed as such are; with models that differ by themselves and share their subjects."""
    rng = np.random.default_rng(4)
    bootstrap = Bootstrap(1000, 0)
    truth, covered, times = 0.8, 0, 1000
    for _ in range(times):
        subjects = rng.beta(8, 2, size=30) + rng.normal(0, 0.03 if models > 1 else 0, size=(models, 1))
        found = bootstrap.estimate(subjects + rng.normal(0, 0.02, size=(models, 30)))
        assert found is not None
        covered += found.low <= truth <= found.high  # type: ignore[operator]
    assert 0.90 <= covered / times <= 0.98


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_paired_test_is_one_sided_and_exact_for_few() -> None:
    up = np.array([0.1, 0.2, 0.05, 0.3, 0.15, 0.12])
    better, worse = paired_tests([up, -up])
    assert (better.p, better.p_holm, better.n, better.family) == (pytest.approx(2**-6), pytest.approx(2**-5), 6, 2)
    assert worse.p == pytest.approx(1)
    assert better.decidable


def differences(*values: float) -> NDArray[np.float64]:
    return np.array(values)


def test_too_few_subjects_cannot_be_told_whatever_they_say() -> None:
    """Six pairs have a p of 2^-6 at the least, which no correction over four tests lets pass."""
    assert not any(test.decidable for test in paired_tests([differences(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)] * 4))
    (three,) = paired_tests([differences(0.1, 0.2, 0.3)])
    assert (three.p, three.decidable) == (pytest.approx(0.125), False)


def test_subjects_that_do_not_differ_tell_nothing() -> None:
    same, one = paired_tests([differences(0, 0, 0, 0), differences(0, 0, 0.2)])
    assert (same.p, same.n, same.differing) == (1, 4, 0)
    assert (one.p, one.n, one.differing) == (pytest.approx(0.5), 3, 1)

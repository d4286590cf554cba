"""What is said of scores that are known: gain, reliance and unknown by hand."""

from collections.abc import Mapping

import numpy as np
import pytest

from napari_film.comparison.scores import dice, hausdorff95, surface_dice
from napari_film.fields import UNKNOWN
from napari_film.training.evaluation.bootstrap import Bootstrap
from napari_film.training.evaluation.measures import Measures, Truth
from napari_film.training.evaluation.score import WITHOUT_PRIOR, Score
from napari_film.training.evaluation.summary import ALL, summarise

VALUES = ("a", "b", UNKNOWN)


def scores_of(
    case: int, true: str, dice_of: Mapping[str, float | None], *, subject: str = "", model: str = "m", session: str = ""
) -> list[Score]:
    who = (subject or f"sub-{case}", session, "", "", "test")
    return [Score(model, case, *who, true, given, "core", Measures(1.0, 1.0, dice=score)) for given, score in dice_of.items()]


def summarised(scores: list[Score], *, target: bool = False):
    return summarise(scores, VALUES, Bootstrap(500, 0), target=target)["core"]


@pytest.fixture
def scores() -> list[Score]:
    found = []
    for case in range(4):
        found += scores_of(case, "a", {"a": 0.9, "b": 0.5 + 0.1 * case, UNKNOWN: 0.7, WITHOUT_PRIOR: 0.8})
    for case in range(4, 6):
        found += scores_of(case, "b", {"a": 0.6, "b": 0.6, UNKNOWN: 0.65, WITHOUT_PRIOR: 0.7})
    return found


def test_three_words_three_numbers(scores: list[Score]) -> None:
    found = summarised(scores)
    assert found.gain["a"].gain.mean == pytest.approx(0.1)
    assert found.gain["b"].gain.mean == pytest.approx(-0.1)
    assert found.gain[ALL].gain.mean == pytest.approx((4 * 0.1 - 2 * 0.1) / 6)
    assert (found.gain["a"].told.mean, found.gain["a"].without.mean) == (pytest.approx(0.9), pytest.approx(0.8))
    assert found.reliance["a"].wrong["b"].lost.mean == pytest.approx(0.9 - 0.65)
    assert found.reliance["b"].mean.mean == pytest.approx(0)
    assert found.unknown["a"].mean == pytest.approx(0.7)
    assert found.unknown[ALL].mean == pytest.approx((4 * 0.7 + 2 * 0.65) / 6)
    assert found.measures["dice"]["a"]["b"].mean == pytest.approx(0.65)
    assert [found.gain[row].gain.n for row in ("a", "b", ALL)] == [4, 2, 6]


def test_wrong_values_are_tested_against_the_true_one_as_one_family(scores: list[Score]) -> None:
    reliance = summarised(scores).reliance
    a, b = reliance["a"].wrong["b"].test, reliance["b"].wrong["a"].test
    assert (a.p, a.p_holm, a.family) == (pytest.approx(2**-4), pytest.approx(2**-3), 2)
    assert (b.p, b.n, b.differing) == (1, 2, 0)
    assert not a.decidable


def test_without_a_control_there_is_no_gain_and_for_structures_no_reliance(scores: list[Score]) -> None:
    alone = [score for score in scores if score.given != WITHOUT_PRIOR]
    assert summarised(alone).gain == {}
    assert WITHOUT_PRIOR not in summarised(alone).measures["dice"]["a"]
    structures = summarised(alone, target=True)
    assert structures.reliance == {}
    assert structures.measures["dice"]["a"]["b"].mean == pytest.approx(0.65)


def test_sessions_of_a_subject_count_as_one_and_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    subjects = rng.normal(0.7, 0.1, size=10)
    apart, together = [], []
    for case in range(30):
        told = {"a": float(subjects[case % 10] + rng.normal(0, 0.01))}
        apart += scores_of(case, "a", told)
        together += scores_of(case, "a", told, subject=f"sub-{case % 10}", session=f"ses-{case // 10}")
    wide, narrow = (summarised(each).measures["dice"]["a"]["a"] for each in (together, apart))
    assert (wide.n, narrow.n) == (10, 30)
    assert wide.mean == pytest.approx(narrow.mean)
    assert wide.high - wide.low > 1.4 * (narrow.high - narrow.low)


def test_a_value_that_is_not_known_has_no_gain_and_what_is_empty_no_dice() -> None:
    scores = scores_of(0, UNKNOWN, {"a": 0.2, "b": 0.3, UNKNOWN: 0.4, WITHOUT_PRIOR: 0.5})
    scores += scores_of(1, "a", {"a": None, "b": None, UNKNOWN: None, WITHOUT_PRIOR: None})
    found = summarised(scores)
    assert (found.gain, found.reliance, found.unknown) == ({}, {}, {})
    assert found.measures["dice"][UNKNOWN][UNKNOWN].mean == pytest.approx(0.4)
    assert found.measures["dice"]["a"]["a"] is None


def test_what_is_measured_of_a_mask() -> None:
    truth, mask = np.zeros((2, 12, 8, 8), dtype=bool)
    truth[3:7, 2:6, 2:6] = True
    mask[4:10, 2:6, 2:6] = True
    spacing = (2.0, 1.0, 0.5)
    found = Truth(truth, spacing, 1.0).measure(mask, tolerance=1.0)
    assert found.dice == dice(mask, truth) == 2 * 48 / (64 + 96)
    assert found.surface_dice == surface_dice(mask, truth, spacing, tolerance=1.0)
    assert found.hd95_mm == hausdorff95(mask, truth, spacing) == 6.0
    assert (found.truth_ml, found.mask_ml) == (0.064, 0.096)
    assert found.volume_error_ml == pytest.approx(0.032)
    assert found.volume_error_percent == found.absolute_volume_error_percent == pytest.approx(50)
    assert found.false_positive_ml is None


def test_what_is_measured_where_something_is_empty() -> None:
    empty, mask = np.zeros((2, 4, 4, 4), dtype=bool)
    mask[:2] = True
    nothing = Truth(empty, (1, 1, 1), 1.0)
    assert nothing.measure(mask, tolerance=1) == Measures(0, 0.032, false_positive_ml=0.032)
    assert nothing.measure(empty, tolerance=1) == Measures(0, 0, false_positive_ml=0)
    missed = Truth(mask, (1, 1, 1), 1.0).measure(empty, tolerance=1)
    assert missed == Measures(0.032, 0, 0.0, 0.0, float("inf"), -0.032, -100.0, 100.0)


def test_a_missed_structure_is_counted_and_its_distance_in_no_mean() -> None:
    far = [Measures(1.0, 0.0, 0.0, 0.0, float("inf"), -1, -100, 100), Measures(1.0, 1.0, 0.5, 0.5, 4.0, 0, 0, 0)]
    scores = [Score("m", n, f"s{n}", "", "", "", "test", "a", "a", "core", each) for n, each in enumerate(far)]
    found = summarised(scores)
    assert found.measures["hd95_mm"]["a"]["a"].mean == 4
    assert found.measures["hd95_mm"]["a"]["a"].n == 1
    assert found.missed["a"]["a"] == 1

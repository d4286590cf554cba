import numpy as np
import pytest

from napari_film.training.recipe import Recipe
from napari_film.training.scoring import Reading, dice_score, per_subject, score_table
from napari_film.training.thresholds import tune_thresholds


def make_reading(q: np.ndarray, truth: np.ndarray, *, subject: str = "sub-01", true: str = "a", given: str = "a") -> Reading:
    return Reading(subject, true, given, np.bincount(q[truth], minlength=256)[None], np.bincount(q[~truth], minlength=256)[None])


@pytest.fixture
def voxels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.random(2000) < 0.3
    return np.clip(rng.normal(60 + 50 * truth, 20), 0, 255).astype(np.intp), truth


def test_the_curve_is_the_dice_at_every_threshold(voxels: tuple[np.ndarray, np.ndarray]) -> None:
    q, truth = voxels
    curve = make_reading(q, truth).dice(0)
    assert curve is not None
    for k in (1, 60, 85, 120, 255):
        mask = q >= k
        assert curve[k] == pytest.approx(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))


def test_an_empty_truth_is_not_scored() -> None:
    empty = np.zeros(10, dtype=bool)
    reading = make_reading(np.full(10, 200), empty)
    assert reading.dice(0) is None
    assert dice_score(~empty, empty) is None
    assert score_table([reading], 0, lambda value: (128,)) == {"a": {"a": None}}
    assert per_subject([reading], ["core"], lambda value: (128,)) == [
        {"subject": "sub-01", "true": "a", "class": "core", "voxels": 0, "dice": {"a": None}}
    ]


def test_the_table_is_true_by_given_at_the_given_values_threshold(voxels: tuple[np.ndarray, np.ndarray]) -> None:
    q, truth = voxels
    readings = [make_reading(q, truth, true="a", given=given) for given in ("a", "b")]
    thresholds = {"a": (85,), "b": (1,)}
    table = score_table(readings, 0, thresholds.__getitem__)
    curve = readings[0].dice(0)
    assert curve is not None
    assert table == {"a": {"a": pytest.approx(curve[85], abs=1e-4), "b": pytest.approx(curve[1], abs=1e-4)}}


def test_thresholds_are_tuned_per_value_and_for_unknown(context_recipe: Recipe, voxels: tuple[np.ndarray, np.ndarray]) -> None:
    q, truth = voxels
    shifts = {"astrocytoma": 0, "ependymoma": 40, "hemangioblastoma": 80}
    readings = []
    for true, shift in shifts.items():
        readings.append(make_reading(np.clip(q + shift, 0, 255), truth, true=true, given=true))
        readings.append(make_reading(np.clip(q + 20, 0, 255), truth, true=true, given="unknown"))
        readings += [make_reading(np.zeros_like(q), truth, true=true, given=other) for other in shifts if other != true]
    tuned = {entry.when["tumor_type"]: entry.classes[0] for entry in tune_thresholds(readings, context_recipe)}
    assert tuned["ependymoma"] == tuned["astrocytoma"] + 40
    assert tuned["hemangioblastoma"] == tuned["astrocytoma"] + 80
    assert tuned["unknown"] == tuned["astrocytoma"] + 20


def test_without_anything_to_tune_on_the_threshold_is_a_half(context_recipe: Recipe) -> None:
    assert {entry.classes for entry in tune_thresholds([], context_recipe)} == {(128,)}


def test_of_equal_thresholds_the_one_nearest_a_half_is_taken(context_recipe: Recipe) -> None:
    truth = np.arange(10) < 5
    reading = make_reading(np.where(truth, 250, 5), truth, true="astrocytoma", given="astrocytoma")
    assert tune_thresholds([reading], context_recipe)[0].classes == (128,)

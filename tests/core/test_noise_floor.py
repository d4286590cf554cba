"""The noise floor against a loop over voxels in the plainest words."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_film.checkpoint import load_checkpoint
from napari_film.comparison.experiment import ExperimentError
from napari_film.comparison.noise_floor import NoiseFloor, noise_floor
from napari_film.fields import CategoricalField, MetadataError
from napari_film.inference.predictor import Predictor
from napari_film.volume import GeometryError, Volume

A, B = {"site": "north"}, {"site": "south"}


@pytest.fixture(scope="module")
def trainings(make_checkpoint: Callable, site: CategoricalField) -> Callable[..., list[Path]]:
    """Give a maker of checkpoints of one experiment: ``trainings(weights)``, a seed of the weights for each."""

    def make(weights: Sequence[int], *, thresholds: Sequence[int] = (), **options: Any) -> list[Path]:
        paths = []
        for number, seed in enumerate(weights):
            own = [{"when": A, "classes": (thresholds[number],) * 2}] if thresholds else []
            header = {"provenance": {"seed": number, "data_hash": "abc"}, "thresholds": own}
            paths.append(make_checkpoint(site, seed=seed, classes=("core", "rim"), header=header, **options))
        return paths

    return make


@pytest.fixture(scope="module")
def volume(make_volume: Callable, make_affine: Callable) -> Volume:
    return make_volume((9, 12, 5), make_affine((1, 2, 0), (True, False, True)))


def found(path: Path, volume: Volume, values: dict[str, Any]) -> np.ndarray:
    return Predictor(load_checkpoint(path), device="cpu", precision="float32").predict([volume], values).kept.q


def test_it_is_what_a_loop_over_voxels_finds(trainings: Callable, volume: Volume) -> None:
    paths = trainings((0, 1, 2), thresholds=(100, 101, 101))
    result = noise_floor(paths, [volume], A, B, device="cpu", precision="float32")
    assert isinstance(result, NoiseFloor)
    assert [len(result.names), len(set(result.names))] == [3, 3]
    assert result.thresholds_a == (101, 101)  # of 100.67
    assert result.thresholds_b == (128, 128)
    q_a, q_b = ([found(path, volume, values) for path in paths] for values in (A, B))
    assert result.mean_a.shape == (2, *result.prepared.shape)
    some_beyond = some_within = 0
    for where in np.ndindex(q_a[0].shape):
        of_a, of_b = ([int(q[where]) for q in each] for each in (q_a, q_b))
        floor = max(max(of_a) - min(of_a), max(of_b) - min(of_b))
        difference = (sum(of_a) - sum(of_b)) / 3
        assert result.mean_a[where] == sum(of_a) // 3
        assert result.mean_b[where] == sum(of_b) // 3
        assert result.floor[where] == floor
        assert result.difference[where] == int(difference)
        assert result.beyond[where] == (abs(difference) > floor)
        some_beyond += abs(difference) > floor
        some_within += 0 < abs(difference) <= floor
    assert some_beyond
    assert some_within
    for mask, mean, thresholds in (
        (result.mask_a(), result.mean_a, result.thresholds_a),
        (result.mask_b(), result.mean_b, result.thresholds_b),
    ):
        assert mask.shape == result.prepared.shape
        np.testing.assert_array_equal(mask > 0, (mean >= np.array(thresholds).reshape(2, 1, 1, 1)).any(axis=0))


def test_equal_trainings_have_no_floor(trainings: Callable, volume: Volume) -> None:
    path, *others = trainings((4, 4, 4))
    result = noise_floor([path, *others], [volume], A, B, device="cpu", precision="float32")
    assert result is not None
    assert not result.floor.any()
    np.testing.assert_array_equal(result.mean_a, found(path, volume, A))
    np.testing.assert_array_equal(result.beyond, result.difference != 0)
    assert result.beyond.any()


def test_the_same_metadata_twice_do_not_differ(trainings: Callable, volume: Volume) -> None:
    result = noise_floor(trainings((0, 1)), [volume], A, A, device="cpu", precision="float32")
    assert result is not None
    assert result.floor.any()
    assert not result.difference.any()
    assert not result.beyond.any()


def test_progress_counts_checkpoints_and_metadata(trainings: Callable, volume: Volume) -> None:
    told: list[tuple[int, int]] = []
    noise_floor(trainings((0, 1)), [volume], A, B, device="cpu", precision="float32", progress=lambda *step: told.append(step))
    slices = 12  # axial: the second axis points to S
    assert told == [(done, 4 * slices) for done in range(1, 4 * slices + 1)]


@pytest.mark.parametrize("after", [0, 1, 23, 24, 25, 47])
def test_cancelled_it_gives_nothing(trainings: Callable, volume: Volume, after: int) -> None:
    told: list[tuple[int, int]] = []
    options: dict[str, Any] = {"progress": lambda *step: told.append(step), "cancelled": lambda: len(told) >= after}
    assert noise_floor(trainings((0, 1)), [volume], A, B, device="cpu", precision="float32", **options) is None
    assert len(told) == after


def test_what_does_not_fit_is_refused(trainings: Callable, volume: Volume, make_checkpoint: Callable, site: CategoricalField) -> None:
    paths = trainings((0, 1))
    with pytest.raises(ExperimentError, match="at least two"):
        noise_floor(paths[:1], [volume], A, B)
    with pytest.raises(ExperimentError, match="named twice"):
        noise_floor([*paths, paths[0]], [volume], A, B)
    with pytest.raises(ExperimentError, match="differ in their classes"):
        noise_floor(
            [paths[0], make_checkpoint(site, header={"provenance": {"seed": 9, "data_hash": "abc"}}, classes=("core", "gap"))],
            [volume],
            A,
            B,
        )
    with pytest.raises(MetadataError, match="site is 'east'"):
        noise_floor(paths, [volume], A, {"site": "east"}, device="cpu")
    with pytest.raises(GeometryError, match=r"2 channel\(s\) came from"):
        noise_floor(paths, [volume, volume], A, B, device="cpu")

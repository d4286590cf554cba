"""What retraining alone moves: several checkpoints of one experiment, under two metadata A and B.

With p_m(x | v) the probability that checkpoint m = 1..M gives voxel x under metadata v:

    mean(x | v)    = 1/M sum over m of p_m(x | v)
    floor(x)       = max over v in {A, B} of ( max over m of p_m(x | v) - min over m of p_m(x | v) )
    difference(x)  = mean(x | A) - mean(x | B)
    beyond(x)      = |difference(x)| > floor(x)

The floor is a range and no test: no probability belongs to it. With M = 2 it is one difference between two trainings, which
misses much of what other seeds would do: chance alone passes such a floor often, and "beyond" then means no more than that A
and B are farther apart than these two trainings are. The range grows with M, so more checkpoints can only take voxels away
from "beyond" as far as the difference stays. What all trainings share (their data, their recipe) never shows in it.

All arrays are in the sliced layout (classes, N, H, W), in 256ths of probability as kept probabilities are. For each voxel and
class 10 bytes are held while it runs and 6 after: 790 and 470 MB for 300 x 512 x 512 and one class, however many checkpoints.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_film.checkpoint import load_checkpoint
from napari_film.comparison.experiment import ExperimentError, read_experiment
from napari_film.fields import Value
from napari_film.inference.masks import label_mask
from napari_film.inference.plan import DeviceName, PrecisionName
from napari_film.inference.predictor import Predictor
from napari_film.preprocessing import Prepared, prepare
from napari_film.volume import Volume

# Sums of so many probabilities of 8 bits fit into 16 bits.
MOST_CHECKPOINTS = 257


@dataclass(frozen=True, eq=False)
class NoiseFloor:
    """What A and B do, and what retraining does, voxel by voxel: arrays (classes, N, H, W) in sliced layout.

    Parameters
    ----------
    prepared
        The images, and the way back to their own layout.
    names
        Of the M checkpoints.
    mean_a, mean_b
        uint8, the mean of the checkpoints' kept probabilities under A and under B, 256ths, rounded down.
    floor
        uint8, 256ths: the most that p moves between the checkpoints under the same metadata.
    difference
        int16, 256ths, rounded towards zero: mean under A less mean under B.
    beyond
        Where the difference, not rounded, exceeds the floor.
    thresholds_a, thresholds_b
        256ths, one per class: the mean of the checkpoints' thresholds under A and under B, a half rounded up.
    """

    prepared: Prepared
    names: tuple[str, ...]
    mean_a: NDArray[np.uint8]
    mean_b: NDArray[np.uint8]
    floor: NDArray[np.uint8]
    difference: NDArray[np.int16]
    beyond: NDArray[np.bool_]
    thresholds_a: tuple[int, ...]
    thresholds_b: tuple[int, ...]

    def mask_a(self) -> NDArray[np.uint8]:
        """Labels (N, H, W) of the mean under A: classes from 1."""
        return label_mask(self.mean_a, self.thresholds_a)

    def mask_b(self) -> NDArray[np.uint8]:
        """Labels (N, H, W) of the mean under B: classes from 1."""
        return label_mask(self.mean_b, self.thresholds_b)


@dataclass(frozen=True, eq=False)
class _Running:
    """Sum, minimum and maximum over the checkpoints until now of q under one condition, (classes, N, H, W)."""

    total: NDArray[np.uint16]
    low: NDArray[np.uint8]
    high: NDArray[np.uint8]

    @classmethod
    def of(cls, q: NDArray[np.uint8]) -> Self:
        """Begin with the first checkpoint; ``q`` is taken over, not copied."""
        return cls(q.astype(np.uint16), q, q.copy())

    def add(self, q: NDArray[np.uint8]) -> None:
        np.add(self.total, q, out=self.total)
        np.minimum(self.low, q, out=self.low)
        np.maximum(self.high, q, out=self.high)


def noise_floor(
    checkpoints: Sequence[Path],
    volumes: Sequence[Volume],
    a: Mapping[str, Value],
    b: Mapping[str, Value],
    *,
    device: DeviceName = "auto",
    precision: PrecisionName = "auto",
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> NoiseFloor | None:
    """Run each checkpoint over ``volumes`` under ``a`` and ``b``, one after the other; one network is in memory at a time.

    Parameters
    ----------
    checkpoints
        At least two files, of one experiment.
    volumes
        One per channel, the reference first.
    a, b
        A value for every field of the schema.
    device, precision
        As of `Predictor`. "auto" settles the precision for each checkpoint: bfloat16 where its masks agree with float32.
    progress
        Called with slices done and slices in all, counted over checkpoints and metadata.
    cancelled
        Asked before every round of slices.

    Returns
    -------
    NoiseFloor or None
        None where it was cancelled.

    Raises
    ------
    InputError
        If the checkpoints are not of one experiment, or volumes or metadata do not fit it.
    """
    headers = read_experiment(checkpoints)
    if len(checkpoints) > MOST_CHECKPOINTS:
        raise ExperimentError(f"{len(checkpoints)} checkpoints are more than the {MOST_CHECKPOINTS} that can be averaged; take some away.")
    prepared = prepare(volumes, next(iter(headers.values())).preprocessing)
    running: list[_Running] = []
    thresholds: list[list[tuple[int, ...]]] = [[], []]
    for number, path in enumerate(checkpoints):
        if cancelled is not None and cancelled():
            return None
        predictions = Predictor(load_checkpoint(path), device=device, precision=precision).predict_each(
            prepared,
            [a, b],
            progress=None if progress is None else _shifted(progress, number, len(checkpoints)),
            cancelled=cancelled,
        )
        if not all(prediction.kept.complete for prediction in predictions):
            return None
        if running:
            for each, prediction in zip(running, predictions, strict=True):
                each.add(prediction.kept.q)
        else:
            running = [_Running.of(prediction.kept.q) for prediction in predictions]
        for found, prediction in zip(thresholds, predictions, strict=True):
            found.append(prediction.thresholds)
        del predictions, prediction  # else they would stay while the next checkpoint runs
    return _finished(prepared, tuple(headers), running, [_mean(found) for found in thresholds])


def _finished(prepared: Prepared, names: tuple[str, ...], running: list[_Running], thresholds: Sequence[tuple[int, ...]]) -> NoiseFloor:
    count = len(names)
    of_b, of_a = running.pop(), running.pop()
    floor = np.subtract(of_a.high, of_a.low, out=of_a.high)
    np.maximum(floor, np.subtract(of_b.high, of_b.low, out=of_b.high), out=floor)
    mean_a, mean_b = of_a.low, of_b.low  # nobody needs the minima any more
    difference = np.empty(floor.shape, dtype=np.int16)
    beyond = of_b.high.view(np.bool_)
    for where in np.ndindex(floor.shape[:2]):  # a slice at a time, so that nothing else is as large as the volume
        total_a, total_b = of_a.total[where].astype(np.int32), of_b.total[where].astype(np.int32)
        mean_a[where], mean_b[where] = total_a // count, total_b // count
        apart = total_a - total_b
        difference[where] = np.sign(apart) * (np.abs(apart) // count)
        beyond[where] = np.abs(apart) > count * floor[where].astype(np.int32)
    return NoiseFloor(prepared, names, mean_a, mean_b, floor, difference, beyond, *thresholds)


def _mean(thresholds: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple((2 * sum(of_class) + len(of_class)) // (2 * len(of_class)) for of_class in zip(*thresholds, strict=True))


def _shifted(progress: Callable[[int, int], None], number: int, count: int) -> Callable[[int, int], None]:
    """Count the slices of checkpoint ``number`` after those of the checkpoints before it."""
    return lambda done, total: progress(number * total + done, count * total)

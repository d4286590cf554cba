"""Probability thresholds that serve each condition value best on the validation cases."""

from collections.abc import Mapping, Sequence

import numpy as np

from napari_film.fields import UNKNOWN, Value
from napari_film.header import DEFAULT_THRESHOLD, Threshold

from .cases.case import given_values
from .recipe import Recipe
from .scoring import Reading


def tune_thresholds(readings: Sequence[Reading], recipe: Recipe) -> tuple[Threshold, ...]:
    """Find, for each value, the threshold k/256 of the highest mean Dice over the cases whose value it is.

    *unknown* is tuned over all cases. Of equal thresholds, the one nearest to a half is taken, and a half where no case has
    anything to segment.
    """
    swapped = recipe.swapped()
    thresholds = []
    for value in given_values(recipe):
        own = [reading for reading in readings if reading.given == value and value in {reading.true, UNKNOWN}]
        when: Mapping[str, Value] = {} if swapped is None else {swapped.name: value}
        thresholds.append(Threshold(when=when, classes=tuple(_best(own, index) for index in range(len(recipe.class_names())))))
    return tuple(thresholds)


def _best(readings: Sequence[Reading], class_index: int) -> int:
    curves = [curve for curve in (reading.dice(class_index) for reading in readings) if curve is not None]
    if not curves:
        return DEFAULT_THRESHOLD
    mean = np.mean(curves, axis=0)
    allowed = np.arange(1, 256)
    best = allowed[mean[allowed] >= mean[allowed].max() - 1e-9]
    return int(best[np.abs(best - DEFAULT_THRESHOLD).argmin()])

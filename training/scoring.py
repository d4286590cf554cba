"""How well a checkpoint segments, on the source grid and by the very inference that a user gets.

    Dice(A, B) = 2 |A ∩ B| / (|A| + |B|)        3D, per case and class

What the network says of a case is kept as two histograms of q = floor(256 p): over the voxels of the truth and over the
others. Every threshold's Dice follows from them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film.checkpoint import Checkpoint
from napari_film.inference.predictor import Predictor
from napari_film.volume import GeometryError, Volume, reordering

from .cases.case import Case, given, given_values
from .cases.image import read_images
from .cases.mask import read_mask
from .recipe import Recipe

Table = dict[str, dict[str, float | None]]
"""A row is the true condition value, a column the one given to the network."""


@dataclass(frozen=True)
class Reading:
    """What a checkpoint says of one case, given ``given`` where ``true`` is right.

    ``inside`` and ``outside`` (classes, 256) count the voxels of the truth and the others by q.
    """

    subject: str
    true: str
    given: str
    inside: NDArray[np.int64]
    outside: NDArray[np.int64]

    def dice(self, class_index: int) -> NDArray[np.float64] | None:
        """Dice (256,) at each threshold q >= k; None where the truth is empty."""
        if not self.inside[class_index].sum():
            return None
        found = self.inside[class_index, ::-1].cumsum()[::-1]
        false = self.outside[class_index, ::-1].cumsum()[::-1]
        return np.asarray(2 * found / (found + false + self.inside[class_index].sum()))


def dice_score(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float | None:
    """Dice of two masks of one shape; None where the truth is empty."""
    size = int(truth.sum())
    return 2 * int((mask & truth).sum()) / (int(mask.sum()) + size) if size else None


def read_cases(
    checkpoint: Checkpoint, cases: Sequence[Case], recipe: Recipe, *, progress: Callable[[], None] | None = None
) -> list[Reading]:
    """Run ``checkpoint`` on ``cases`` under every value that can be given; ``progress`` is called after each case."""
    predictor = Predictor(checkpoint, precision="float32")
    readings = []
    for case in cases:
        prepared = predictor.prepare(read_images(case.images, checkpoint.header.preprocessing))
        truths = truths_of(case, prepared.reference, recipe)
        for value in given_values(recipe):
            probabilities = predictor.predict(prepared, given(recipe, case, value)).probabilities()
            q = (probabilities * 256).astype(np.intp)
            for true, truth in truths.items():
                inside = np.stack([np.bincount(one[mask], minlength=256) for one, mask in zip(q, truth, strict=True)])
                outside = np.stack([np.bincount(one[~mask], minlength=256) for one, mask in zip(q, truth, strict=True)])
                readings.append(Reading(case.subject, true, value, inside, outside))
        if progress is not None:
            progress()
    return readings


def score_table(readings: Iterable[Reading], class_index: int, thresholds: Callable[[str], Sequence[int]]) -> Table:
    """Mean Dice over the cases of each true value, under each given value and at its thresholds; rows are ordered as columns."""
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    columns: list[str] = []
    for reading in readings:
        curve = reading.dice(class_index)
        found = scores[reading.true][reading.given]
        if reading.given not in columns:
            columns.append(reading.given)
        if curve is not None:
            found.append(float(curve[thresholds(reading.given)[class_index]]))
    rows = [value for value in columns if value in scores] + sorted(set(scores) - set(columns))
    return {true: {value: _mean(dice) for value, dice in scores[true].items()} for true in rows}


def per_subject(
    readings: Iterable[Reading], class_names: Sequence[str], thresholds: Callable[[str], Sequence[int]]
) -> list[dict[str, Any]]:
    """One row a case and class: Dice under each given value (null: empty truth), and voxels of the truth."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for reading in readings:
        for index, name in enumerate(class_names):
            key = (reading.subject, reading.true, name)
            voxels = int(reading.inside[index].sum())
            start = {"subject": reading.subject, "true": reading.true, "class": name, "voxels": voxels, "dice": {}}
            curve = reading.dice(index)
            dice = None if curve is None else round(float(curve[thresholds(reading.given)[index]]), 4)
            rows.setdefault(key, start)["dice"][reading.given] = dice
    return list(rows.values())


def truths_of(case: Case, reference: Volume, recipe: Recipe) -> dict[str, list[NDArray[np.bool_]]]:
    """What is to be found in ``case`` under each of its true values: one mask (I, J, K) a class, as ``reference`` is stored.

    Raises
    ------
    InputError
        If the mask is not on the reference's voxels, or is no mask.
    """
    mask = read_mask(case.mask, soft=recipe.data.soft_masks)
    order = reordering(mask.grid, reference.grid)
    if order is None:
        raise GeometryError(f"{mask.label} is not on the voxels of {reference.label}; resample it onto them first.")
    labels = order.apply(np.asarray(mask.data))
    return {value: [np.isin(labels, wanted) for wanted in recipe.class_labels(value)] for value in case.values}


def _mean(dice: Sequence[float]) -> float | None:
    return round(float(np.mean(dice)), 4) if dice else None

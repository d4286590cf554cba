"""Every network on every case under every value that it can be told, measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_film.checkpoint import load_checkpoint
from napari_film.comparison.scores import dice, volume_ml
from napari_film.fields import UNKNOWN, Value
from napari_film.inference.plan import DeviceName
from napari_film.inference.prediction import Prediction
from napari_film.inference.predictor import Predictor
from napari_film.preprocessing import Prepared

from ..cases.case import Case, given, given_values
from ..cases.image import read_images
from ..recipe import Recipe
from ..scoring import truths_of
from .measures import Measures, Truth
from .replicate import Replicate, nothing_told

WITHOUT_PRIOR = "without prior"
"""Stands among the given values for what the control segments."""


@dataclass(frozen=True)
class Score:
    """One network on one case and class: what is true, what it was told, and how well it did.

    ``model`` names the replicate, whichever of its networks ran; ``case`` is the case's index in the data set.
    """

    model: str
    case: int
    subject: str
    session: str
    rater: str
    source: str
    part: str
    true: str
    given: str
    class_name: str
    measures: Measures


class Runner:
    """The networks of one replicate, ready to run.

    Parameters
    ----------
    replicate
        Their checkpoints, which are loaded.
    recipe
        That of the data at hand.
    device
        As of `Predictor`; arithmetic is float32, so that numbers depend on the machine as little as they can.
    """

    def __init__(self, replicate: Replicate, recipe: Recipe, device: DeviceName) -> None:
        self.recipe = recipe
        self._network = Predictor(load_checkpoint(replicate.network.path), device=device, precision="float32")
        header = replicate.network.header
        self._preprocessing = header.preprocessing
        self._silence = nothing_told(header) if header.metadata_schema.fields and all(f.unknown for f in header.metadata_schema) else None
        self._control = None
        if replicate.control is not None:
            self._control = Predictor(load_checkpoint(replicate.control.path), device=device, precision="float32")
            self._nothing: Mapping[str, Value] = nothing_told(replicate.control.header)

    def open(self, case: Case) -> Prepared:
        """Prepare the images of ``case``, once for all networks and values."""
        return self._network.prepare(read_images(case.images, self._preprocessing))

    def predictions(self, prepared: Prepared, case: Case, *, order: Sequence[int] | None = None) -> dict[str, Prediction]:
        """Segment ``prepared`` under each value that can be given, and without prior; ``order`` as of `Predictor`."""
        told = {value: given(self.recipe, case, value) for value in given_values(self.recipe)}
        if self.recipe.swapped() is None and self._silence is not None:
            told[UNKNOWN] = self._silence
        found = self._network.predict_each(prepared, list(told.values()), order=order)
        predictions = dict(zip(told, found, strict=True))
        if self._control is not None:
            predictions[WITHOUT_PRIOR] = self._control.predict(prepared, self._nothing, order=order)
        return predictions


def score_cases(
    replicate: Replicate,
    cases: Sequence[Case],
    chosen: Sequence[tuple[int, str]],
    recipe: Recipe,
    *,
    tolerance: float,
    device: DeviceName = "auto",
    progress: Callable[[], None] | None = None,
) -> list[Score]:
    """Score the networks of ``replicate``.

    Parameters
    ----------
    cases, chosen
        The data set, and which of it: indices with the part that their subjects had in training.
    recipe
        As the checkpoint was trained by.
    tolerance
        Of the surface Dice, mm.
    progress
        Called after each case.

    Raises
    ------
    InputError
        If a file cannot be used.
    """
    runner = Runner(replicate, recipe, device)
    scores: list[Score] = []
    for index, part in chosen:
        case = cases[index]
        for true, told, name, measures in _measured(runner, case, replicate.network.header.classes, tolerance):
            who = (case.subject, case.session, case.rater, case.source)
            scores.append(Score(replicate.network.label, index, *who, part, true, told, name, measures))
        if progress is not None:
            progress()
    return scores


def _measured(runner: Runner, case: Case, classes: Sequence[str], tolerance: float) -> Iterator[tuple[str, str, str, Measures]]:
    """True value, given value, class and numbers of everything that is said of ``case``."""
    prepared = runner.open(case)
    spacing, voxel_mm3 = prepared.reference.spacing, abs(float(np.linalg.det(prepared.reference.affine[:3, :3])))
    found = {
        true: [Truth(voxels, spacing, voxel_mm3) for voxels in masks]
        for true, masks in truths_of(case, prepared.reference, runner.recipe).items()
    }
    swapped = runner.recipe.swapped()
    another_structure = swapped is not None and swapped.role == "target"
    for told, prediction in runner.predictions(prepared, case).items():
        labels = prediction.mask()
        for number, name in enumerate(classes):
            mask = labels == number + 1
            for true, truth in found.items():
                if another_structure and told != true:
                    yield true, told, name, _of_another(mask, truth[number])
                else:
                    yield true, told, name, truth[number].measure(mask, tolerance=tolerance)


def _of_another(mask: NDArray[np.bool_], truth: Truth) -> Measures:
    """Dice of one structure's mask with another's truth, which is an overlap and no error."""
    ml = volume_ml(mask, truth.voxel_mm3)
    return Measures(truth.ml, ml, dice=dice(mask, truth.voxels) if truth.ml else None)

"""What was computed so far of the opened images, as the person's choice shows it. No Qt, no napari."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_film.inference.kept import Kept
from napari_film.inference.prediction import Prediction, joint_labels
from napari_film.inference.request import Opened, ProbabilityKey
from napari_film.inference.store import ProbabilityStore
from napari_film.plugin.choice import Choice

Condition = tuple[float, ...]


@dataclass(frozen=True)
class Results:
    """Kept probabilities of ``opened`` under ``choice``; each question is answered from the store as it stands."""

    opened: Opened
    choice: Choice
    store: ProbabilityStore

    @property
    def shown(self) -> list[Condition]:
        """The conditions (M,) of the shown mask."""
        return [self.choice.condition(metadata) for metadata in self.choice.shown()]

    @property
    def keys(self) -> list[ProbabilityKey]:
        """What the shown mask is kept under."""
        return [self.opened.key(condition) for condition in self.shown]

    @property
    def complete(self) -> bool:
        """Whether every slice of the shown mask was computed."""
        return all(self._kept(condition).complete for condition in self.shown)

    def has(self, index: int) -> bool:
        """Whether slice ``index`` of the shown mask was computed."""
        return all(bool(self._kept(condition).computed[index]) for condition in self.shown)

    def progress(self) -> tuple[int, int]:
        """Slices of the shown mask that were computed, under all its conditions, and in all."""
        computed = [self._kept(condition).computed for condition in self.shown]
        return int(np.logical_and.reduce(computed).sum()), self.opened.prepared.shape[0]

    def predictions(self) -> list[Prediction]:
        """Give what is shown as predictions: one, or one per value of the target field."""
        opened = self.opened
        return [
            Prediction(
                opened.prepared,
                metadata,
                self._kept(self.choice.condition(metadata)),
                self.choice.header.thresholds_for(metadata.values),
                opened.plan,
                opened.notices,
            )
            for metadata in self.choice.shown()
        ]

    def mask(self, slices: slice = slice(None)) -> NDArray[np.uint8]:
        """Labels (N, H, W) of the shown mask in sliced layout; NOT_COMPUTED where it was not computed."""
        return joint_labels(self.predictions(), slices)

    def wanted(self) -> dict[Condition, list[int]]:
        """Conditions to compute, and which of their slices are there: what is shown, then what may come next, as far as memory goes."""
        shown = self.shown
        room = self.store.room_for(len(self.choice.header.classes) * math.prod(self.opened.prepared.shape))
        others = [self.choice.condition(metadata) for metadata in self.choice.others()]
        wanted = [*shown, *others[: max(0, room - len(shown))]]
        return {condition: np.flatnonzero(self._kept(condition).computed).tolist() for condition in wanted}

    def _kept(self, condition: Condition) -> Kept:
        return self.store.get(self.opened.key(condition)) or Kept.empty(len(self.choice.header.classes), self.opened.prepared.shape)

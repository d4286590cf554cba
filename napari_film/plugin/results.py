"""What was computed so far of the opened images, as one choice shows it. No Qt, no napari."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_film.inference.kept import Kept
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import Prediction, joint_labels
from napari_film.inference.request import Opened, ProbabilityKey
from napari_film.inference.store import ProbabilityStore
from napari_film.plugin.choice import Choice, Condition, Member
from napari_film.plugin.composition import Composition, Share


@dataclass(frozen=True)
class Results:
    """Kept probabilities of ``opened`` under ``choice``; each question is answered from the store as it stands."""

    opened: Opened
    choice: Choice
    store: ProbabilityStore
    postprocessing: Postprocessing = field(default_factory=Postprocessing)

    @property
    def conditions(self) -> list[Condition]:
        """The conditions (M,) of the mask."""
        return self.choice.conditions()

    @property
    def keys(self) -> list[ProbabilityKey]:
        """What the mask is kept under."""
        return [self.opened.key(condition) for condition in self.conditions]

    @property
    def computed(self) -> NDArray[np.bool_]:
        """Which slices (N,) of the mask were computed, under all its conditions."""
        return np.asarray(np.logical_and.reduce([self._kept(condition).computed for condition in self.conditions]), dtype=np.bool_)

    @property
    def complete(self) -> bool:
        """Whether every slice of the mask was computed."""
        return bool(self.computed.all())

    def has(self, index: int) -> bool:
        """Whether slice ``index`` of the mask was computed."""
        return bool(self.computed[index])

    def progress(self) -> tuple[int, int]:
        """Slices of the mask that were computed, and in all."""
        return int(self.computed.sum()), self.opened.prepared.shape[0]

    def composition(self) -> Composition:
        """Give the mask's parts, for a layer to draw and for other threads to work on."""
        shares = tuple(self._share(member) for member in self.choice.members())
        return Composition(self.opened, shares, self.postprocessing, self.choice.mixture)

    def predictions(self) -> list[Prediction]:
        """Give the mask as predictions: one, or one per value of the target field."""
        return self.composition().predictions()

    def mask(self, slices: slice = slice(None)) -> NDArray[np.uint8]:
        """Labels (N, H, W) in sliced layout before any clean-up; NOT_COMPUTED where it was not computed."""
        return joint_labels(self.predictions(), slices)

    def _share(self, member: Member) -> Share:
        header = self.choice.header
        if self.choice.mixture is None:
            own = header.thresholds_for(member.metadata.values)
        else:
            own = self.choice.mixture.thresholds(header, member.metadata.values)
        parts = tuple((percent, self._kept(condition)) for percent, condition in member.parts)
        return Share(member.metadata, parts, own)

    def _kept(self, condition: Condition) -> Kept:
        return self.store.get(self.opened.key(condition)) or Kept.empty(len(self.choice.header.classes), self.opened.prepared.shape)

"""One mask put together of kept probabilities: which, by what weights, under what thresholds. No Qt, no napari.

Unchanging but for the kept arrays, which the main thread fills slice by slice; a slice that is marked as computed is never
written again. So any thread may read one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film.conditioning import Metadata
from napari_film.inference.kept import Kept
from napari_film.inference.mixture import Mixture
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import Prediction, cleaned_labels
from napari_film.inference.request import Opened


@dataclass(frozen=True)
class Share:
    """One member of a mask: kept probabilities, what each counts in percent, and the checkpoint's thresholds (256ths, one per class)."""

    metadata: Metadata
    parts: tuple[tuple[int, Kept], ...]
    thresholds: tuple[int, ...]

    @property
    def kept(self) -> Kept:
        """The share's probabilities; averaged where there are several."""
        if len(self.parts) == 1:
            return self.parts[0][1]
        return Kept.mixed([kept for _, kept in self.parts], [percent for percent, _ in self.parts])


@dataclass(frozen=True)
class Composition:
    """All that one mask is made of."""

    opened: Opened
    shares: tuple[Share, ...]
    postprocessing: Postprocessing
    mixture: Mixture | None

    @property
    def computed(self) -> NDArray[np.bool_]:
        """Which slices (N,) were computed, of every part."""
        return np.asarray(np.logical_and.reduce([kept.computed for share in self.shares for _, kept in share.parts]), dtype=np.bool_)

    @property
    def complete(self) -> bool:
        """Whether every slice was computed."""
        return bool(self.computed.all())

    @property
    def own_thresholds(self) -> tuple[int, ...]:
        """The checkpoint's thresholds of all labels, in 256ths."""
        return tuple(threshold for share in self.shares for threshold in share.thresholds)

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Thresholds in use, of all labels, in 256ths."""
        return self.postprocessing.thresholds(self.own_thresholds)

    @property
    def identity(self) -> tuple[Any, ...]:
        """What tells this mask from others: the arrays that it is made of, by identity, and what is done to them."""
        arrays = tuple((percent, id(kept)) for share in self.shares for percent, kept in share.parts)
        return arrays, self.thresholds, self.postprocessing

    def predictions(self) -> list[Prediction]:
        """Give the mask as predictions: one, or one per value of the target field."""
        opened = self.opened
        return [
            Prediction(
                opened.prepared,
                share.metadata,
                share.kept,
                share.thresholds,
                opened.plan,
                opened.notices,
                postprocessing=self.postprocessing,
                mixture=self.mixture,
            )
            for share in self.shares
        ]

    def labels(self, cancelled: Callable[[], bool] | None = None) -> NDArray[np.uint8]:
        """Labels (N, H, W) in sliced layout, cleaned where that was asked for and every slice was computed.

        Where ``cancelled`` comes to say so, they are left as far as they are.
        """
        return cleaned_labels(self.predictions(), cancelled=cancelled)

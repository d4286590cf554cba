"""What a model says about one patient under one condition, and how it came to say it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_film.conditioning import Metadata
from napari_film.inference.kept import Kept
from napari_film.inference.masks import NOT_COMPUTED, label_mask
from napari_film.inference.plan import Plan
from napari_film.preprocessing import Prepared


@dataclass(frozen=True)
class Prediction:
    """Probabilities of one patient under one condition, and how they were got.

    ``kept.q`` is (classes, N, H, W) in 256ths, in sliced layout; ``thresholds`` (256ths, one per class) make masks of them;
    ``notices`` are sentences for a person.
    """

    prepared: Prepared
    metadata: Metadata
    kept: Kept
    thresholds: tuple[int, ...]
    plan: Plan
    notices: tuple[str, ...] = ()

    def mask(self) -> NDArray[np.uint8]:
        """Labels (I, J, K) as the reference is stored: classes from 1, NOT_COMPUTED where no network has looked."""
        return joint_mask([self])

    def probabilities(self) -> NDArray[np.float32]:
        """Probabilities (classes, I, J, K) as the reference is stored, in steps of 1/256; NaN where not computed."""
        probabilities = self.kept.q.astype(np.float32) / np.float32(256)
        probabilities[:, ~self.kept.computed] = np.nan
        return self.prepared.to_source(probabilities)


def joint_labels(predictions: Sequence[Prediction], slices: slice = slice(None)) -> NDArray[np.uint8]:
    """Labels (N, H, W), in sliced layout, of several predictions for one patient, as the values of a target field are.

    The classes of the first prediction get the labels from 1, those of the next follow; where they overlap the higher
    probability wins. NOT_COMPUTED where any of them has not looked. ``slices`` are the source slices wanted, along N.
    """
    parts = [prediction.kept.q[:, slices] for prediction in predictions]
    q = parts[0] if len(parts) == 1 else np.concatenate(parts)
    mask = label_mask(q, [threshold for prediction in predictions for threshold in prediction.thresholds])
    mask[~np.logical_and.reduce([prediction.kept.computed[slices] for prediction in predictions])] = NOT_COMPUTED
    return mask


def joint_mask(predictions: Sequence[Prediction]) -> NDArray[np.uint8]:
    """Give `joint_labels` as the reference is stored, (I, J, K)."""
    return predictions[0].prepared.to_source(joint_labels(predictions))

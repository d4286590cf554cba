"""What a model says about one patient under one condition, or a mixture of them, and how it came to say it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film.conditioning import Metadata
from napari_film.fields import Value
from napari_film.inference.kept import Kept
from napari_film.inference.masks import NOT_COMPUTED, label_mask
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import Plan
from napari_film.inference.postprocessing import Postprocessing
from napari_film.preprocessing import Prepared


@dataclass(frozen=True)
class Prediction:
    """Probabilities of one patient, and how they were got.

    ``kept.q`` is (classes, N, H, W) in 256ths, in sliced layout; of an expected ``mixture`` it is the mean. ``thresholds``
    (256ths, one per class) are the checkpoint's for the metadata, for ``postprocessing`` to go by or to replace; ``notices``
    are sentences for a person. Of the field of a mixture the ``metadata`` say nothing that counts.
    """

    prepared: Prepared
    metadata: Metadata
    kept: Kept
    thresholds: tuple[int, ...]
    plan: Plan
    notices: tuple[str, ...] = ()
    postprocessing: Postprocessing = field(default_factory=Postprocessing)
    mixture: Mixture | None = None

    @property
    def sure_metadata(self) -> dict[str, Value]:
        """The metadata but for the field that a mixture has weights for."""
        left_out = self.mixture.field if self.mixture else None
        return {name: value for name, value in self.metadata.values.items() if name != left_out}

    def mask(self) -> NDArray[np.uint8]:
        """Labels (I, J, K) as the reference is stored: classes from 1, NOT_COMPUTED where no network has looked.

        Cleaned up as the postprocessing says, where every slice was computed.
        """
        return joint_mask([self])

    def probabilities(self) -> NDArray[np.float32]:
        """Probabilities (classes, I, J, K) as the reference is stored, in steps of 1/256; NaN where not computed."""
        probabilities = np.multiply(self.kept.q, np.float32(1 / 256), dtype=np.float32)
        probabilities[:, ~self.kept.computed] = np.nan
        return self.prepared.to_source(probabilities)


def joint_thresholds(predictions: Sequence[Prediction]) -> tuple[int, ...]:
    """Thresholds in use, 256ths: one per label of `joint_labels`."""
    own = [threshold for prediction in predictions for threshold in prediction.thresholds]
    return predictions[0].postprocessing.thresholds(own)


def joint_labels(predictions: Sequence[Prediction], slices: slice = slice(None)) -> NDArray[np.uint8]:
    """Labels (N, H, W), in sliced layout, of several predictions for one patient, as the values of a target field are.

    The classes of the first prediction get the labels from 1, those of the next follow; where they overlap the higher
    probability wins. NOT_COMPUTED where any of them has not looked. ``slices`` are the source slices wanted, along N.
    Nothing is cleaned up yet. All predictions have the postprocessing of the first.
    """
    thresholds = joint_thresholds(predictions)
    parts = [prediction.kept.q[:, slices] for prediction in predictions]
    computed = np.logical_and.reduce([prediction.kept.computed[slices] for prediction in predictions])
    mask = np.full(parts[0].shape[1:], NOT_COMPUTED, dtype=np.uint8)
    for index in np.flatnonzero(computed):  # one slice at a time: nothing but the mask is as large as the volume
        label_mask([q for part in parts for q in part[:, index]], thresholds, out=mask[index])
    return mask


def is_cleaned(predictions: Sequence[Prediction]) -> bool:
    """Whether `cleaned_labels` cleans anything up: that is asked for, and every slice was computed."""
    return predictions[0].postprocessing.cleans and all(prediction.kept.complete for prediction in predictions)


def cleaned_labels(predictions: Sequence[Prediction], *, cancelled: Callable[[], bool] | None = None) -> NDArray[np.uint8]:
    """Give `joint_labels` (N, H, W), cleaned up as the postprocessing of the first says, where every slice was computed.

    Where it was not there is no clean-up: what is the largest component, or a hole, is not known yet.
    """
    labels = joint_labels(predictions)
    # By the labels themselves: on another thread the last slice may come while they are made.
    if not predictions[0].postprocessing.cleans or (labels[:, 0, 0] == NOT_COMPUTED).any():
        return labels
    voxel_mm3 = abs(float(np.linalg.det(predictions[0].prepared.reference.affine[:3, :3])))
    return predictions[0].postprocessing.apply(labels, voxel_mm3, cancelled=cancelled)


def joint_mask(predictions: Sequence[Prediction]) -> NDArray[np.uint8]:
    """Give `cleaned_labels` as the reference is stored, (I, J, K)."""
    return predictions[0].prepared.to_source(cleaned_labels(predictions))


class JointProbabilities:
    """Probabilities of several predictions for one patient, made plane by plane as `nifti.write` asks for them.

    (I, J, K) of a single class as the reference is stored, else (I, J, K, X) in the order of `joint_labels`; float32, in steps
    of 1/256, NaN where not computed.
    """

    def __init__(self, predictions: Sequence[Prediction]) -> None:
        self._classes = [
            (
                prediction.prepared.to_source(q),
                prediction.prepared.to_source(np.broadcast_to(prediction.kept.computed[:, None, None], q.shape)),
            )
            for prediction in predictions
            for q in prediction.kept.q
        ]
        whole = self._classes[0][0].shape
        self.shape: tuple[int, ...] = whole if len(self._classes) == 1 else (*whole, len(self._classes))
        self.dtype: np.dtype[np.float32] = np.dtype(np.float32)

    def __getitem__(self, index: tuple[Any, ...], /) -> NDArray[np.float32]:
        """Give the plane (I, J) at ``[:, :, k]`` or ``[:, :, k, x]``."""
        q, computed = self._classes[index[3] if len(self.shape) == 4 else 0]
        plane: NDArray[np.float32] = np.multiply(q[index[:3]], np.float32(1 / 256), dtype=np.float32)
        plane[~computed[index[:3]]] = np.nan
        return plane

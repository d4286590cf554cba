"""Whether a reduced precision may stand for float32: judged on the images at hand, on slices that hold foreground.

Two masks agree where every voxel that differs lies within 0.01 of the threshold in float32, and where a mask of 5,000 voxels
or more has a Dice of at least 0.999. Masks of fewer voxels are their own border almost, so that only the first holds for them.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from napari_film.header import Header
from napari_film.inference.plan import Plan
from napari_film.preprocessing import Prepared

NEAR = 0.01
"""How near to the threshold float32 must be where the masks differ."""

LEAST_DICE = 0.999
LARGE = 5_000
"""Voxels from which a mask is judged by Dice too."""

_FOREGROUND = 50  # voxels of a slice that holds foreground
_ENOUGH = (2, 8)  # slices with foreground under each condition, at least and at most: one of every 32
_PATIENCE = 4  # once a quarter of the slices was computed in float32, a change would cost more than it brings

Condition = tuple[float, ...]


def disagreement(exact: NDArray[np.float32], reduced: NDArray[np.float32], threshold: float) -> str:
    """Say how the masks of two probabilities (H, W) of one class disagree; nothing where they agree."""
    mask, other = exact >= threshold, reduced >= threshold
    differs = mask ^ other
    farthest = float(np.abs(exact - threshold)[differs].max(initial=0))
    if not farthest < NEAR:
        return f"a voxel differs where the probability is {farthest:.3f} from the threshold"
    size = int(mask.sum())
    dice = 2 * int((mask & other).sum()) / max(size + int(other.sum()), 1)
    if size >= LARGE and dice < LEAST_DICE:
        return f"masks of {size} voxels have a Dice of {dice:.4f}"
    return ""


def check_for(plan: Plan, header: Header, prepared: Prepared, slices: int) -> "SelfCheck | None":
    """Give a check for ``slices`` source slices of a model; None where ``plan`` has no reduced precision that is worth one."""
    if plan.reduced(header.architecture, prepared.padded_shape, slices) is None:
        return None
    return SelfCheck(header.all_thresholds, prepared.network_shape[0])


class SelfCheck:
    """What comparisons have shown so far, for one opening of images.

    Parameters
    ----------
    thresholds
        In 256ths, one per class: every set of them that masks may be made with.
    slices
        How many there are.

    Attributes
    ----------
    failed
        How the precisions disagree; empty as long as they do not.
    """

    def __init__(self, thresholds: Iterable[tuple[int, ...]], slices: int) -> None:
        self._thresholds = sorted(set(thresholds))
        self._agreed: dict[Condition, int] = {}
        self._foreground: set[int] = set()
        self._enough = min(max(slices // 32, _ENOUGH[0]), _ENOUGH[1])
        self._patience = slices // _PATIENCE
        self._looked: set[int] = set()
        self.failed = ""

    def passed(self, condition: Condition) -> bool:
        """Whether enough slices under ``condition`` agreed."""
        return not self.failed and self._agreed.get(condition, 0) >= self._enough

    def wants(self, condition: Condition, k: int, probabilities: NDArray[np.float32]) -> bool:
        """Whether slice ``k`` is worth a comparison: (classes, H, W) in either precision, or under another condition, has foreground."""
        if np.isnan(probabilities).any():
            return True
        self._looked.add(k)
        given_up = len(self._looked) > self._patience and not any(map(self.passed, self._agreed))
        if self.failed or given_up or self.passed(condition):
            return False
        least = min(min(thresholds) for thresholds in self._thresholds) / 256
        if int((probabilities >= least).any(axis=0).sum()) >= _FOREGROUND:
            self._foreground.add(k)
        return k in self._foreground

    def compare(self, condition: Condition, exact: NDArray[np.float32], reduced: NDArray[np.float32]) -> None:
        """Take note of one slice in both precisions, (classes, H, W) each."""
        for thresholds in self._thresholds:
            for channel, threshold in enumerate(thresholds):
                self.failed = self.failed or disagreement(exact[channel], reduced[channel], threshold / 256)
        if not np.isfinite(reduced).all():
            self.failed = "there are values that are not numbers"
        self._agreed[condition] = self._agreed.get(condition, 0) + 1

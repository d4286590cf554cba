"""Probabilities of one patient under one condition, as far as they were computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_film.inference.mixture import mix


@dataclass(frozen=True)
class Kept:
    """Probabilities in sliced layout, ``q`` (classes, N, H, W) in 256ths, and which slices (N,) were ``computed``."""

    q: NDArray[np.uint8]
    computed: NDArray[np.bool_]

    @property
    def complete(self) -> bool:
        """Whether every slice was computed."""
        return bool(self.computed.all())

    @classmethod
    def empty(cls, classes: int, shape: tuple[int, int, int]) -> "Kept":
        """Nothing computed yet of a source of ``shape`` (N, H, W)."""
        return cls(np.zeros((classes, *shape), dtype=np.uint8), np.zeros(shape[0], dtype=np.bool_))

    @classmethod
    def mixed(cls, parts: Sequence["Kept"], percent: Sequence[int]) -> "Kept":
        """Mean of ``parts``, of one shape, by their weights in ``percent``; computed is what all of them have computed.

        A single part is given as it is, not copied.
        """
        if len(parts) == 1:
            return parts[0]
        computed = np.logical_and.reduce([part.computed for part in parts])
        q = np.zeros_like(parts[0].q)
        for index in np.flatnonzero(computed):
            mix([part.q[:, index] for part in parts], percent, out=q[:, index])
        return cls(q, computed)

    def put(self, index: int, q: NDArray[np.uint8]) -> None:
        """Keep slice ``index``: ``q`` (classes, H, W); one that is there already stays, since another thread may be reading it."""
        if not self.computed[index]:
            self.q[:, index] = q
            self.computed[index] = True  # last: who sees this sees the voxels

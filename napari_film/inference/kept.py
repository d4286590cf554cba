"""Probabilities of one patient under one condition, as far as they were computed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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

    def put(self, index: int, q: NDArray[np.uint8]) -> None:
        """Keep slice ``index``: ``q`` (classes, H, W)."""
        self.q[:, index] = q
        self.computed[index] = True

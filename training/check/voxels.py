"""What can be said of a volume's voxels in one walk through them: in pieces, so that no copy of the whole is made."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film.volume import pieces

LABELS = 256  # of a mask: whole numbers from 0 on
_SAMPLE = 1 << 18  # voxels that percentiles are taken of: the 0.5th percentile is still of some thousand


@dataclass(frozen=True)
class Voxels:
    """What the voxels (I, J, K) of a file hold.

    Parameters
    ----------
    count
        How many there are.
    bad
        How many are NaN, infinite or beyond float32.
    low, high
        Least and greatest of the others; 0 where there are none.
    fractional
        How many of the others are no whole number.
    strange
        Whole numbers that no mask can have, below 0 or above 255: some of them.
    labels
        Voxels of each whole number from 0 to 255, as far as they occur.
    digest
        SHA-256 over shape and values: the same however they are compressed, and in whatever type.
    """

    count: int
    bad: int
    low: float
    high: float
    fractional: int
    strange: tuple[int, ...]
    labels: dict[int, int]
    digest: str

    @property
    def constant(self) -> bool:
        """Whether all finite voxels have one value."""
        return self.low == self.high


def look(data: NDArray[Any]) -> Voxels:
    """Walk once through ``data`` (I, J, K)."""
    digest = hashlib.sha256(repr(data.shape).encode())
    bad = fractional = 0
    low, high = np.inf, -np.inf
    counts = np.zeros(LABELS, dtype=np.int64)
    strange: set[int] = set()
    limit = np.finfo(np.float32).max
    for piece in pieces(data):
        values = piece.ravel(order="K").astype(np.float64)
        digest.update(values.data)
        if data.dtype.kind == "f":
            good = np.abs(values) <= limit
            values = values[good]
            bad += piece.size - len(values)
        if not len(values):
            continue
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        if data.dtype.kind == "f":
            whole = values == np.rint(values)
            fractional += len(values) - int(np.count_nonzero(whole))
            values = values[whole]
        usual = (values >= 0) & (values < LABELS)
        counts += np.bincount(values[usual].astype(np.intp), minlength=LABELS)
        if len(strange) < LABELS and not usual.all():
            strange |= {int(value) for value in np.unique(values[~usual])[:LABELS]}
    if not np.isfinite(low):
        low = high = 0.0
    return Voxels(
        count=data.size,
        bad=bad,
        low=low,
        high=high,
        fractional=fractional,
        strange=tuple(sorted(strange)),
        labels={label: int(count) for label, count in enumerate(counts) if count},
        digest=digest.hexdigest(),
    )


def lattice(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Give the index of a regular lattice of at most some 2^18 voxels of an array (I, J, K)."""
    steps = [1, 1, 1]
    while np.prod([-(-length // step) for length, step in zip(shape, steps, strict=True)]) > _SAMPLE:
        steps[int(np.argmax([length / step for length, step in zip(shape, steps, strict=True)]))] += 1
    return tuple(slice((step - 1) // 2, None, step) for step in steps)

"""Whether one Dice is higher than another on the same subjects: Wilcoxon's signed-rank test, corrected by Holm.

The test is one-sided, as the paper's: is the first higher? One number a subject goes into it, the mean over its sessions and
raters and over the models that were tested on it, since neither are independent samples. Of n differences other than
zero the smallest p there can be is 2^-n.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

ALPHA = 0.05


@dataclass(frozen=True)
class PairedTest:
    """A paired test over ``n`` subjects, of which ``differing`` differ: ``p`` by itself, ``p_holm`` among ``family`` tests."""

    p: float
    p_holm: float
    n: int
    differing: int
    family: int

    @property
    def decidable(self) -> bool:
        """Whether so many subjects could have come below 0.05 after the correction at all."""
        return 2.0**-self.n * self.family < ALPHA


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values of one family (Holm 1979), in their order: the k-th smallest of m times m - k + 1, never falling, at most 1."""
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def paired_tests(differences: Sequence[NDArray[np.float64]]) -> list[PairedTest]:
    """Test each of ``differences``, (S,) one number a subject, as one family; p is 1 where nothing differs."""
    differing = [one[one != 0] for one in differences]
    found = [float(wilcoxon(one, alternative="greater").pvalue) if len(one) else 1.0 for one in differing]
    return [
        PairedTest(p, p_holm, len(all_of_them), len(one), len(found))
        for p, p_holm, all_of_them, one in zip(found, holm(found), differences, differing, strict=True)
    ]

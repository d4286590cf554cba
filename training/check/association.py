"""How far one column of a data set tells another: Cramér's V, and how likely chance alone would do as much.

    φ² = χ² / n          φ̃² = max(0, φ² - (r-1)(c-1)/(n-1))          V = sqrt(φ̃² / min(r̃-1, c̃-1))
    r̃ = r - (r-1)²/(n-1)                                              c̃ likewise

for an r x c table of n subjects (bias-corrected: Bergsma 2013, J. Korean Stat. Soc. 42:323). Counts are small, so p is that of a
permutation test on χ², seeded: p = (1 + permutations with at least this χ²) / (1 + permutations).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 1999


@dataclass(frozen=True)
class Association:
    """Cramér's V (0 none, 1 complete; bias-corrected) and the p of a permutation test."""

    v: float
    p: float


def associate(pairs: Sequence[tuple[str, str]]) -> Association:
    """Measure how far the first of each pair tells the second; without two values of both there is nothing to tell: V = 0, p = 1."""
    rows, first = np.unique([one for one, _ in pairs], return_inverse=True)
    columns, second = np.unique([other for _, other in pairs], return_inverse=True)
    n, r, c = len(pairs), len(rows), len(columns)
    if r < 2 or c < 2:
        return Association(0.0, 1.0)
    expected = np.outer(np.bincount(first, minlength=r), np.bincount(second, minlength=c)) / n

    def chi2(shuffled: NDArray[np.intp]) -> float:
        table = np.bincount(first * c + shuffled, minlength=r * c).reshape(r, c)
        return float(((table - expected) ** 2 / expected).sum())

    found = chi2(second)
    phi2 = max(0.0, found / n - (r - 1) * (c - 1) / (n - 1))
    sides = (r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1))
    v = math.sqrt(phi2 / (min(sides) - 1)) if min(sides) > 1 else 0.0
    rng = np.random.default_rng(0)
    as_much = sum(chi2(rng.permutation(second)) >= found - 1e-9 for _ in range(PERMUTATIONS))
    return Association(min(v, 1.0), (1 + as_much) / (1 + PERMUTATIONS))

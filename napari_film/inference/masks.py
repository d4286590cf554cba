"""From kept probabilities (256ths) to integer labels.

    label(x) = 1 + argmax_c q_c(x)  over the classes with q_c(x) >= t_c;   0 where there is none

Where masks overlap the higher probability wins, the first where they are equal. What was not computed is neither
background nor a class: it is NOT_COMPUTED.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NOT_COMPUTED = 255
"""Label of voxels that no network has looked at yet."""


def label_mask(q: NDArray[np.uint8], thresholds: Sequence[int]) -> NDArray[np.uint8]:
    """Labels (...) of ``q`` (K, ...) under one threshold per class, 256ths.

    Raises
    ------
    ValueError
        If the thresholds are not one per class, or the classes more than labels of 8 bits can tell apart.
    """
    if len(thresholds) != len(q) or len(q) >= NOT_COMPUTED:
        raise ValueError(f"{len(thresholds)} thresholds for {len(q)} classes; expected one each, for at most {NOT_COMPUTED - 1}")
    if len(q) == 1:
        above: NDArray[np.bool_] = q[0] >= thresholds[0]
        return above.view(np.uint8)
    mask = np.zeros(q.shape[1:], dtype=np.uint8)
    best = np.zeros(q.shape[1:], dtype=np.uint8)
    for label, (probability, threshold) in enumerate(zip(q, thresholds, strict=True), start=1):
        wins = probability > best
        wins &= probability >= threshold
        np.copyto(mask, np.uint8(label), where=wins)
        np.copyto(best, probability, where=wins)
    return mask

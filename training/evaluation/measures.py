"""What is measured of one mask against its truth, in 3D and on the voxels of the image as stored.

Numbers are those of `napari_film.comparison`, with the conventions that an evaluation needs where nothing is to be found:

    |                          | Dice | surface Dice | HD95 | volume error, ml | %       | false positive, ml |
    | truth and mask           | 0..1 | 0..1         | mm   | mask - truth     | of truth| not measured       |
    | truth, but an empty mask | 0    | 0            | inf  | - truth          | -100    | not measured       |
    | empty truth              | not measured                                           | volume of the mask |

What is not measured is left out of every mean, and so is an infinite HD95; how often a structure was missed stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_film.comparison.scores import dice, surface_scores, volume_ml
from napari_film.comparison.surface import Surface

CONVENTIONS = {
    "measures": "In 3D, per case, on the voxels of the image as stored, by the inference and the thresholds that a user gets.",
    "dice": "2 |mask and truth| / (|mask| + |truth|); 0 where the mask is empty; not measured where the truth is empty.",
    "surface_dice": "Normalised surface distance: the part of both surfaces that lies within tolerance_mm of the other; 0 where "
    "the mask is empty; not measured where the truth is empty.",
    "hd95_mm": "The larger of the two 95th percentiles of the distances between the surfaces; inf where the mask is empty, which "
    "no mean contains (see missed); not measured where the truth is empty.",
    "volume_error_ml": "Volume of the mask less volume of the truth; not measured where the truth is empty.",
    "volume_error_percent": "The same in percent of the truth.",
    "absolute_volume_error_percent": "The same without its sign.",
    "false_positive_ml": "Volume of the mask where the truth is empty; not measured elsewhere.",
    "missed": "Cases that have something to segment and an empty mask.",
}
"""What each number means, as an evaluation's files say it."""


@dataclass(frozen=True)
class Measures:
    """The numbers of one mask; None where there is nothing to measure."""

    truth_ml: float
    mask_ml: float
    dice: float | None = None
    surface_dice: float | None = None
    hd95_mm: float | None = None
    volume_error_ml: float | None = None
    volume_error_percent: float | None = None
    absolute_volume_error_percent: float | None = None
    false_positive_ml: float | None = None


SUMMARISED = (
    "dice",
    "surface_dice",
    "hd95_mm",
    "volume_error_ml",
    "volume_error_percent",
    "absolute_volume_error_percent",
    "false_positive_ml",
)
"""Of which measures there is a mean."""


class Truth:
    """What is to be found in one case; its surface is looked for once, however many masks are held against it.

    Parameters
    ----------
    voxels
        (I, J, K), in any one layout.
    spacing
        mm along its axes.
    voxel_mm3
        Volume of a voxel.
    """

    def __init__(self, voxels: NDArray[np.bool_], spacing: Sequence[float], voxel_mm3: float) -> None:
        self.voxels = voxels
        self.spacing = tuple(spacing)
        self.voxel_mm3 = voxel_mm3
        self.ml = volume_ml(voxels, voxel_mm3)
        self._surface = Surface(voxels, spacing)

    def measure(self, mask: NDArray[np.bool_], *, tolerance: float) -> Measures:
        """Hold ``mask`` (I, J, K) against the truth; ``tolerance`` is the surface Dice's, in mm."""
        found = volume_ml(mask, self.voxel_mm3)
        if not self.ml:
            return Measures(self.ml, found, false_positive_ml=found)
        near, far = surface_scores(Surface(mask, self.spacing), self._surface, tolerance=tolerance)
        error = found - self.ml
        percent = 100 * error / self.ml
        return Measures(self.ml, found, dice(mask, self.voxels), near, far, error, percent, abs(percent))

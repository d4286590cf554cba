"""What is done to probabilities after the network: a threshold, and a clean-up of the mask that it gives.

Never runs the network again. First components are taken away from every label, the largest kept and then the small ones gone;
then the holes of every label are filled, label 1 first. Voxels are neighbours in a label where they share a face, an edge or a
corner (26), and in a hole where they share a face (6), so that a skin of voxels that only touch by corners still closes it.

Nothing depends on where an axis begins or which comes first: the mask of a flipped or permuted image is the flipped or permuted mask.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from napari_film.inference.components import Components, components
from napari_film.inference.masks import NOT_COMPUTED

# Spacings come from affines, whose rounding shall not tell 50 voxels of 1 mm3 from 50 mm3.
_ROUNDING = 1e-6


class Postprocessing(BaseModel):
    """From kept probabilities to the mask that a person sees.

    Parameters
    ----------
    threshold
        256ths of probability, for every class; None takes the checkpoint's for the metadata.
    largest_component
        Keep the largest component of each label alone; of equally large ones, all.
    smallest_mm3
        Components smaller than this are taken away; one of this size stays.
    fill_holes
        Holes that are closed on all sides become part of the label.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    threshold: Annotated[int, Field(ge=1, le=255)] | None = None
    largest_component: bool = False
    smallest_mm3: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    fill_holes: bool = False

    @property
    def cleans(self) -> bool:
        """Whether anything but a threshold is asked for: that needs the whole mask."""
        return self.largest_component or self.smallest_mm3 > 0 or self.fill_holes

    def thresholds(self, own: Sequence[int]) -> tuple[int, ...]:
        """Give the threshold of each class in 256ths, where ``own`` are the checkpoint's."""
        return tuple(own) if self.threshold is None else (self.threshold,) * len(own)

    def words(self) -> list[str]:
        """The options of `napari-film predict` that say the same; none for what is left as it is."""
        words = []
        if self.threshold is not None:
            words += ["--threshold", f"{self.threshold / 256:.4f}".rstrip("0")]  # steps are 0.0039: rounding finds it again
        if self.largest_component:
            words.append("--largest-component")
        if self.smallest_mm3 > 0:
            words += ["--min-volume", repr(self.smallest_mm3).removesuffix(".0")]
        if self.fill_holes:
            words.append("--fill-holes")
        return words

    def apply(self, labels: NDArray[np.uint8], voxel_mm3: float, *, cancelled: Callable[[], bool] | None = None) -> NDArray[np.uint8]:
        """Clean ``labels``; thresholds were applied before.

        Parameters
        ----------
        labels
            (N, H, W) in any one layout: 0 for background, NOT_COMPUTED where no network has looked. Not written to.
        voxel_mm3
            Volume of a voxel.
        cancelled
            Asked before each step of each label; once it says so, what is given back is good for nothing.

        Returns
        -------
        numpy.ndarray
            (N, H, W). Voxels that were not computed stay so. Holes take background alone, never another label, and what
            reaches the border, or a part that was not computed, is no hole: what is beyond may open it. An axis of a single
            voxel, as 2D images have, has no border.
        """
        cleaned = np.array(labels, order="C")
        boxes = ndimage.find_objects(cleaned, max_label=NOT_COMPUTED - 1) if self.cleans else []
        present = [(label, box) for label, box in enumerate(boxes, start=1) if box is not None]
        for label, box in present if self.largest_component or self.smallest_mm3 > 0 else ():
            if cancelled is not None and cancelled():
                return cleaned
            self._take_away(cleaned[box], label, voxel_mm3)
        for label, box in present if self.fill_holes else ():
            if cancelled is not None and cancelled():
                return cleaned
            _fill_holes(cleaned[box], label, tuple(length > 1 for length in cleaned.shape))
        return cleaned

    def _take_away(self, part: NDArray[np.uint8], label: int, voxel_mm3: float) -> None:
        """Take what is not wanted of ``label`` out of ``part``, the box around it."""
        found = components(part == label)
        unwanted = found.sizes * voxel_mm3 < self.smallest_mm3 * (1 - _ROUNDING)
        if self.largest_component:
            unwanted |= found.sizes < found.sizes.max()
        _paint(part, found, unwanted, 0, over=label)


def _fill_holes(part: NDArray[np.uint8], label: int, bordered: tuple[bool, ...]) -> None:
    """Give background inside ``label`` to it; ``part`` is a box around it, ``bordered`` tells which axes of the volume can end.

    Whatever reaches a side of the box is open: beyond it there is nothing of the label.
    """
    outside = part != label
    if outside.all():  # all of it was taken away
        return
    found = components(outside, corners=False)
    _, height, width = part.shape
    row, column = np.divmod(found.starts, width)
    places = [row // height, row % height, column]
    ends = [places[0], places[1], column + (found.stops - found.starts) - 1]
    opens = np.zeros(len(found.starts), dtype=np.bool_)
    for first, last, length, ends_here in zip(places, ends, part.shape, bordered, strict=True):
        if ends_here:
            opens |= (first == 0) | (last == length - 1)
    unknown = part == NOT_COMPUTED
    if unknown.any() and len(found.starts):
        cuts = np.column_stack([found.starts, found.stops]).reshape(-1)
        opens |= np.logical_or.reduceat(np.append(unknown, False), cuts)[::2]
    hole = np.ones(len(found.sizes), dtype=np.bool_)
    hole[found.owners[opens]] = False
    _paint(part, found, hole, label, over=0)


def _paint(part: NDArray[np.uint8], found: Components, chosen: NDArray[np.bool_], value: int, *, over: int) -> None:
    """Put ``value`` into the ``chosen`` components of ``part``, where ``over`` stands."""
    if chosen.any():
        places = np.unravel_index(found.voxels(chosen), part.shape)
        part[places] = np.where(part[places] == over, value, part[places])

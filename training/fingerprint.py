"""What the training data were like: stored in the checkpoint, so that an unusual image can be told from a usual one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from pydantic import BaseModel

from napari_film.header import Fingerprint, Range
from napari_film.volume import SliceAxis, Volume, described

from .cases.case import Case
from .recipe import Recipe

TAILS = (0.5, 50.0, 99.5)  # percentiles of intensity


class Measures(BaseModel, frozen=True):
    """One case's images as they are stored: the reference's spacing (mm) and size (voxels); `TAILS` of each channel.

    Along R, A, S, of acquired slices along columns, rows, slices.
    """

    spacing: tuple[float, float, float]
    size: tuple[int, int, int]
    intensity: tuple[tuple[float, float, float], ...]


class Measured(Protocol):
    """A case with its measures."""

    @property
    def case(self) -> Case:
        """Where it came from."""

    @property
    def measures(self) -> Measures:
        """What its images were like."""


def measure(volumes: Sequence[Volume], slice_axis: SliceAxis = "axial") -> Measures:
    """Measure the images of one case, the reference first; ``slice_axis`` is the model's."""
    reference = described(volumes[0].grid, slice_axis)
    intensity = []
    for volume in volumes:
        low, middle, high = (float(value) for value in np.percentile(volume.data, TAILS))
        intensity.append((low, middle, high))
    return Measures(spacing=reference.spacing, size=reference.shape, intensity=tuple(intensity))


def take_fingerprint(cases: Sequence[Measured], recipe: Recipe) -> Fingerprint:
    """Put the measures of ``cases`` together: the lowest, the middle and the highest of each quantity."""
    measures = [case.measures for case in cases]
    return Fingerprint(
        subjects=len({case.case.subject for case in cases}),
        spacing=_along_axes(one.spacing for one in measures),
        size=_along_axes(one.size for one in measures),
        intensity=tuple(
            Range(low=round(min(low), 3), median=round(float(np.median(middle)), 3), high=round(max(high), 3))
            for low, middle, high in (zip(*channel, strict=True) for channel in zip(*(one.intensity for one in measures), strict=True))
        ),
        metadata=_counts([case.case for case in cases], recipe),
    )


def _along_axes(measures: Iterable[Sequence[float]]) -> tuple[Range, Range, Range]:
    r, a, s = (
        Range(low=round(float(axis.min()), 3), median=round(float(np.median(axis)), 3), high=round(float(axis.max()), 3))
        for axis in np.array(list(measures)).T
    )
    return r, a, s


def _counts(cases: Sequence[Case], recipe: Recipe) -> dict[str, dict[str, int]]:
    """Subjects per condition value of each categorical field."""
    counts = {}
    for field in recipe.fields:
        if field.kind != "categorical":
            continue
        target = field.role == "target"
        pairs = {(case.subject, value) for case in cases for value in (case.values if target else (case.metadata[field.name],))}
        counts[field.name] = dict(sorted(Counter(str(value) for _, value in pairs).items()))
    return counts

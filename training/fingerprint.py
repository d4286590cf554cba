"""What the training data were like: stored in the checkpoint, so that an unusual image can be told from a usual one."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from napari_film import nifti
from napari_film.header import Fingerprint, Range
from napari_film.volume import canonical

from .cases.case import Case
from .recipe import Recipe

TAILS = (0.5, 50.0, 99.5)  # percentiles of intensity


def take_fingerprint(cases: Sequence[Case], recipe: Recipe) -> Fingerprint:
    """Measure the images of ``cases`` as they are stored: the lowest, the middle and the highest of each quantity."""
    spacings, sizes = [], []
    intensities: list[list[tuple[float, ...]]] = [[] for _ in recipe.channels]
    for case in cases:
        for found, path in zip(intensities, case.images, strict=True):
            volume = canonical(nifti.read(path))
            if path is case.images[0]:
                spacings.append(volume.spacing)
                sizes.append(volume.data.shape[:3])
            found.append(tuple(float(value) for value in np.percentile(volume.data, TAILS)))
    return Fingerprint(
        subjects=len({case.subject for case in cases}),
        spacing=_along_axes(spacings),
        size=_along_axes(sizes),
        intensity=tuple(
            Range(low=round(min(low), 3), median=round(float(np.median(middle)), 3), high=round(max(high), 3))
            for low, middle, high in (zip(*found, strict=True) for found in intensities)
        ),
        metadata=_counts(cases, recipe),
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

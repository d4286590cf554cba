"""What the images of a data set are like: the lowest, middle and highest spacing, size and intensity of the files as stored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from napari_film.header import Range
from napari_film.volume import SliceAxis, axis_names, described

from .measuring import Measured, Seen

Axes = tuple[Range, Range, Range]


@dataclass(frozen=True)
class Profile:
    """``spacing`` (mm) and ``size`` (voxels) of the reference channel along ``axes``; ``intensity`` by channel.

    An intensity's range goes from the lowest 0.5th to the highest 99.5th percentile over the images, and its middle is that of
    their medians: as in a checkpoint's fingerprint. ``foreground`` is the same of the reference's voxels inside the masks.
    """

    images: int
    spacing: Axes
    size: Axes
    intensity: dict[str, Range]
    foreground: Range | None
    axes: tuple[str, str, str] = ("R", "A", "S")


def take_profile(seen: Sequence[Seen], slice_axis: SliceAxis = "axial") -> Profile | None:
    """Give the profile of all images that could be read; None where there are none. An image of several raters counts once.

    Along R, A, S; where ``slice_axis`` says that slices are as they were acquired, along columns, rows, slices.
    """
    images: dict[str, dict[int, Measured]] = {}
    for case in seen:
        for channel, image in case.images.items():
            images.setdefault(channel, {})[id(image)] = image
    reference = list(images.get(next(iter(seen[0].record.images), ""), {}).values()) if seen else []
    if not reference:
        return None
    foreground = [case.foreground for case in seen if case.foreground is not None]
    grids = [described(image.grid, slice_axis) for image in reference]
    return Profile(
        images=len(reference),
        spacing=_along_axes(grid.spacing for grid in grids),
        size=_along_axes(grid.shape for grid in grids),
        intensity={
            channel: _range(found)
            for channel, files in images.items()
            if (found := [image.percentiles for image in files.values() if image.percentiles is not None])
        },
        foreground=_range(foreground) if foreground else None,
        axes=axis_names(slice_axis),
    )


def profile_lines(profile: Profile) -> list[str]:
    """Lines of a table: what down, lowest, middle and highest across."""
    rows = [(f"spacing {axis}, mm", of) for axis, of in zip(profile.axes, profile.spacing, strict=True)]
    rows += [(f"voxels {axis}", of) for axis, of in zip(profile.axes, profile.size, strict=True)]
    rows += [(f"intensity {channel}", of) for channel, of in profile.intensity.items()]
    rows += [("inside the masks", profile.foreground)] if profile.foreground else []
    first = max(len(name) for name, _ in rows)
    lines = [f"{'':{first}}  {'lowest':>9}  {'median':>9}  {'highest':>9}"]
    return lines + [f"{name:{first}}  {of.low:>9.5g}  {of.median:>9.5g}  {of.high:>9.5g}" for name, of in rows]


def _along_axes(measures: Iterable[Sequence[float]]) -> Axes:
    r, a, s = (_rounded(axis.min(), float(np.median(axis)), axis.max()) for axis in np.array(list(measures), dtype=np.float64).T)
    return r, a, s


def _range(percentiles: Sequence[tuple[float, float, float]]) -> Range:
    low, middle, high = zip(*percentiles, strict=True)
    return _rounded(min(low), float(np.median(middle)), max(high))


def _rounded(low: float, median: float, high: float) -> Range:
    return Range(low=round(float(low), 3), median=round(median, 3), high=round(float(high), 3))

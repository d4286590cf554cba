"""Faults of single files: not there, not readable, voxels that are no numbers or all the same, grids that do not fit each other."""

from collections.abc import Iterator, Sequence

import numpy as np

from napari_film.preprocessing import LEAST_COVERAGE
from napari_film.volume import Grid, reordering

from .finding import Finding
from .measuring import Measured, Seen


def file_findings(seen: Sequence[Seen]) -> Iterator[Finding]:
    """Tell the files that are missing or cannot be read, and the images and masks whose voxels are no image."""
    for case in seen:
        where = case.record.where
        for fault in case.record.faults:
            yield Finding("line", "error", where, fault)
        for problem in case.problems:
            yield Finding("missing-file" if problem.missing else "unreadable", "error", where, problem.text)
        for file in (*case.images.values(), *([case.mask] if case.mask else [])):
            if file.voxels.bad:
                share = f"{file.voxels.bad} of {file.voxels.count} voxels"
                yield Finding(
                    "not-finite", "error", where, f"{file.name} holds {share} that are NaN, infinite or beyond float32; replace them."
                )
        for image in case.images.values():
            if image.voxels.constant and not image.voxels.bad:
                text = f"{image.name} holds {image.voxels.low:g} in every voxel: there is no image in it; export it again."
                yield Finding("constant-image", "error", where, text)


def grid_findings(seen: Sequence[Seen]) -> Iterator[Finding]:
    """Tell the masks that are not on the voxels of their image, and the channels that show another part of the body.

    The same voxels in another storage order are no fault.
    """
    for case in seen:
        where, reference = case.record.where, _reference(case)
        if reference is None:
            continue
        if case.mask is not None and (text := _mismatch(case.mask, reference)):
            yield Finding("grid", "error", where, text)
        for channel, coverage in case.coverage.items():
            if coverage < LEAST_COVERAGE:
                expected = f"and at least {LEAST_COVERAGE:.0%} is expected; check that both are of one patient and session"
                text = f"{case.images[channel].name} covers {coverage:.0%} of {reference.name}, {expected}."
                yield Finding("overlap", "error", where, text)


def _reference(case: Seen) -> Measured | None:
    return case.images.get(next(iter(case.record.images), ""))


def _mismatch(mask: Measured, image: Measured) -> str:
    """Say how a mask is on other voxels than its image; nothing where it is not."""
    if mask.axes != 3:
        return f"{mask.name} has {mask.axes} axes; a mask needs three, so save one label per voxel."
    if reordering(mask.grid, image.grid) is not None:
        return ""
    advice = "resample it onto its image's voxels"
    if mask.size != image.size or not np.allclose(mask.spacing, image.spacing, rtol=1e-3):
        return f"{mask.name} is {_described(mask)}, while its image {image.name} is {_described(image)}; {advice}."
    return f"{mask.name} lies up to {_apart(mask.grid, image.grid):.3g} mm away from the voxels of its image {image.name}; {advice}."


def _described(file: Measured) -> str:
    size, spacing = (" x ".join(f"{value:.4g}" for value in values) for values in (file.size, file.spacing))
    return f"{size} voxels of {spacing} mm (R, A, S)"


def _apart(one: Grid, other: Grid) -> float:
    """Greatest distance, in mm, from a corner of ``one`` to the nearest of ``other``."""
    distances = np.linalg.norm(one.corners[:, None] - other.corners[None], axis=-1)
    return float(distances.min(axis=1).max())

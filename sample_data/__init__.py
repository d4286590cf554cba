"""Phantom generators: seeded synthetic data sets in BIDS layout, to try the tool out and to test it.

    from napari_film.sample_data import write_phantom
    write_phantom("spinal_tumor", "phantom", subjects=30, seed=1)

What they model, why each number was chosen, and what is not realistic: docs/phantoms.md. They need numpy and scipy.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

KINDS = ("spinal_tumor", "abdomen", "cardiac")

__all__ = ["KINDS", "write_phantom"]


def write_phantom(
    kind: str,
    directory: str | Path,
    *,
    subjects: int,
    seed: int,
    one_organ_per_scan: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a phantom data set of ``subjects`` subjects as a BIDS tree, and return its folder.

    Parameters
    ----------
    kind
        One of `KINDS`.
    directory
        A new or empty folder.
    subjects
        How many, 1 to 999. Subject i is the same whatever their number.
    seed
        Zero or more. The same seed gives the same bytes.
    one_organ_per_scan
        For `abdomen`: label a single organ in each scan, the one its source was collected for. The full truth stays in derivatives/truth.
    progress
        Called with (subjects written, subjects in all) after each subject.

    Raises
    ------
    InputError
        For an unknown kind, a number out of range, a folder that is not empty, or one organ a scan where there are no organs.
    """
    from napari_film.errors import InputError

    if kind not in KINDS:
        raise InputError(f"There is no phantom {kind!r}; choose one of: {', '.join(KINDS)}.")
    if not 1 <= subjects <= 999:
        raise InputError(f"Got {subjects} subjects; a phantom has 1 to 999.")
    if seed < 0:
        raise InputError(f"Got the seed {seed}; give a whole number from 0 on.")
    if one_organ_per_scan and kind != "abdomen":
        raise InputError(f"The phantom {kind} has no organs to label one at a time; leave one_organ_per_scan out, or choose abdomen.")
    from .dataset import write

    return write(kind, Path(directory), subjects=subjects, seed=seed, one_organ_per_scan=one_organ_per_scan, progress=progress)

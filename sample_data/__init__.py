"""Phantom generators: seeded synthetic data sets, in BIDS layout or as tables, to try the tool out and to test it.

    from napari_film.sample_data import write_phantom
    write_phantom("spinal_tumor", "phantom", subjects=30, seed=1)

What they model, why each number was chosen, and what is not realistic: docs/phantoms.md. They need numpy and scipy.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

KINDS = ("spinal_tumor", "abdomen", "cardiac", "clevr_seg")
_MOST = {"clevr_seg": 10_000}  # subjects; of the others 999

__all__ = ["KINDS", "write_phantom"]


def write_phantom(
    kind: str,
    directory: str | Path,
    *,
    subjects: int,
    seed: int,
    one_organ_per_scan: bool = False,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a phantom data set of ``subjects`` subjects, and return its folder.

    `spinal_tumor` and `abdomen` are BIDS trees, `cardiac` is laid out as ACDC and has a table, `clevr_seg` is pictures and tables.

    Parameters
    ----------
    kind
        One of `KINDS`.
    directory
        A new or empty folder.
    subjects
        How many, 1 to 999; of `clevr_seg` scenes, 1 to 10,000. Subject i is the same whatever their number.
    seed
        Zero or more. The same seed gives the same bytes.
    one_organ_per_scan
        For `abdomen`: label a single organ in each scan, the one its source was collected for. The full truth stays in derivatives/truth.
    processes
        How many draw at once (`clevr_seg` alone, whose sets are large); the bytes are the same. More than one need a script that can be
        imported, its work under ``if __name__ == "__main__":``.
    progress
        Called with (subjects written, subjects in all) after each subject.

    Raises
    ------
    InputError
        For an unknown kind, a number out of range, a folder that is not empty or cannot be written, or one organ a scan where there
        are no organs.
    """
    from napari_film.errors import InputError

    if kind not in KINDS:
        raise InputError(f"There is no phantom {kind!r}; choose one of: {', '.join(KINDS)}.")
    most = _MOST.get(kind, 999)
    if not 1 <= subjects <= most:
        raise InputError(f"Got {subjects} subjects; the phantom {kind} has 1 to {most}.")
    if seed < 0:
        raise InputError(f"Got the seed {seed}; give a whole number from 0 on.")
    if one_organ_per_scan and kind != "abdomen":
        raise InputError(f"The phantom {kind} has no organs to label one at a time; leave one_organ_per_scan out, or choose abdomen.")
    try:
        if kind == "clevr_seg":
            from .clevr import dataset as scenes

            return scenes.write(Path(directory), scenes=subjects, seed=seed, processes=processes, progress=progress)
        from .dataset import write

        return write(kind, Path(directory), subjects=subjects, seed=seed, one_organ_per_scan=one_organ_per_scan, progress=progress)
    except OSError as error:
        raise InputError(f"{directory} cannot be written ({error.strerror or error}); make room, or name another folder.") from error

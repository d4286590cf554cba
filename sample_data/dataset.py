"""Write a whole phantom data set: its subjects one by one, then the tables that describe them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import bids_tree


def write(
    kind: str,
    directory: Path,
    *,
    subjects: int,
    seed: int,
    one_organ_per_scan: bool,
    progress: Callable[[int, int], None] | None,
) -> Path:
    """Write ``subjects`` subjects of ``kind`` into ``directory``; see `napari_film.sample_data.write_phantom`."""
    bids_tree.start(directory)
    if kind == "cardiac":
        from . import cardiac

        return cardiac.write(directory, subjects=subjects, seed=seed, progress=progress)
    parameters: dict[str, object] = {"kind": kind, "seed": seed, "one_organ_per_scan": one_organ_per_scan}
    if kind == "spinal_tumor":
        from . import spinal_tumor as room
        from .tumor import LABELS

        columns, labels, about = room.COLUMNS, LABELS, room.ABOUT
    else:
        from . import abdomen

        columns, labels, about = abdomen.columns(one_organ_per_scan), abdomen.LABELS, abdomen.ABOUT
    bids_tree.describe(directory, kind, about, parameters)
    bids_tree.write_json(directory / "participants.json", columns)
    for tree in ("labels", "truth"):
        bids_tree.describe_derivative(directory / "derivatives" / tree, f"{kind}, {tree}", labels, parameters)
    rows = []
    for index in range(subjects):
        if kind == "spinal_tumor":
            rows.append(room.write_subject(directory, seed, index))
        else:
            rows.append(abdomen.write_subject(directory, seed, index, one_organ_per_scan=one_organ_per_scan))
        if progress is not None:
            progress(index + 1, subjects)
    bids_tree.write_table(directory / "participants.tsv", rows)
    return directory

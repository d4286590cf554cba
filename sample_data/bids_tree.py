"""Write a phantom as a BIDS tree: images, sidecars, participants and labels.

The room's one module that knows files. Bytes depend on the content alone (no time stamp, no file name in the gzip header).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film import nifti
from napari_film.errors import InputError
from napari_film.volume import Volume

BIDS_VERSION = "1.9.0"


def start(directory: Path) -> Path:
    """Create ``directory``, or accept it if it is empty.

    Raises
    ------
    InputError
        If it is a file, or holds anything: a phantom never mixes with, or replaces, what is there.
    """
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} already exists and is a file; name a folder that is new or empty.")
    if directory.is_dir() and any(directory.iterdir()):
        raise InputError(f"{directory} already exists and is not empty; name a new folder, or empty this one.")
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def write_image(path: Path, data: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write ``data`` (I, J, K) as a NIfTI-1 in its own dtype, its sform set to ``affine`` (voxel -> RAS+ mm)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.write(path, data, Volume(data, affine, path.name), dtype=data.dtype)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as indented JSON."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` with the same line ends on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write ``rows``, all with the same keys, as a tab-separated table; None becomes ``n/a``."""
    lines = ["\t".join(rows[0])]
    lines += ["\t".join("n/a" if value is None else str(value) for value in row.values()) for row in rows]
    write_text(path, "\n".join(lines) + "\n")


def describe(directory: Path, name: str, text: str, parameters: Mapping[str, object]) -> None:
    """Write the data set's description and README, which say that it is a phantom."""
    write_json(
        directory / "dataset_description.json",
        {
            "Name": f"PHANTOM (synthetic): {name}",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "License": "CC0",
            "Acknowledgements": "Synthetic phantom drawn from a formula. No person was scanned; not for clinical use.",
            "GeneratedBy": [{"Name": "napari_film.sample_data", "Parameters": dict(parameters)}],
        },
    )
    write_text(directory / "README", f"PHANTOM: synthetic images, no person was scanned.\n\n{text}\n")


def describe_derivative(directory: Path, name: str, labels: Mapping[int, str], parameters: Mapping[str, object]) -> None:
    """Write a derivative's description and the table that names its labels."""
    write_json(
        directory / "dataset_description.json",
        {
            "Name": f"PHANTOM (synthetic): {name}",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "napari_film.sample_data", "Parameters": dict(parameters)}],
        },
    )
    write_table(directory / "dseg.tsv", [{"index": index, "name": label} for index, label in labels.items()])

"""The JSON file beside a mask: from what, by what and how it was made.

Names files without their folders, since a folder can name a patient. The keys GeneratedBy and Sources are those of
BIDS derivatives. The recorded plan can be replayed: ``napari-film predict --plan SIDECAR``.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_film.errors import InputError
from napari_film.header import Header
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.plan import Plan
from napari_film.inference.prediction import Prediction
from napari_film.normalisation import slabs

_PACKAGES = ("napari-film", "torch", "numpy", "scipy", "nibabel")


def package_versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Versions of Python and of the installed ones of ``packages``."""
    found = {package: _version(package) for package in packages}
    return {"python": platform.python_version()} | {package: number for package, number in found.items() if number is not None}


@cache
def _version(package: str) -> str | None:
    """Look a version up, once: that reads files, and a swap waits for it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def sidecar_path(mask: Path) -> Path:
    """Where the sidecar of a .nii or .nii.gz file stands."""
    return mask.with_name(mask.name.removesuffix(".gz").removesuffix(".nii") + ".json")


def label_names(header: Header, predictions: Sequence[Prediction]) -> dict[int, str]:
    """Names of the labels of `joint_mask`: the classes, or the target's values where there are several predictions."""
    target = header.metadata_schema.target
    names: list[str] = []
    for prediction in predictions:
        value = str(prediction.metadata.values[target.name]) if target else ""
        if value and len(header.classes) == 1:
            names.append(value)
        else:
            names += [f"{value} {name}".strip() for name in header.classes]
    labels = dict(enumerate(names, start=1))
    if not all(prediction.kept.complete for prediction in predictions):
        labels[NOT_COMPUTED] = "not computed"
    return labels


def describe(
    predictions: Sequence[Prediction],
    mask: NDArray[np.uint8] | None,
    header: Header,
    *,
    model: str,
    model_hash: str,
    sources: Sequence[str],
    command: str | None = None,
) -> dict[str, Any]:
    """Content of the sidecar of ``mask`` (I, J, K), which `joint_mask` made of ``predictions``.

    Parameters
    ----------
    predictions
        One, or one per value of a target field.
    mask
        The labels that are saved; None leaves the volumes out, for :func:`with_volumes` to add when they are saved.
    header
        Header of the checkpoint.
    model, model_hash
        File name of the checkpoint and its SHA-256.
    sources
        File names of the channels, in the model's order.
    command
        The command line that made the mask, with file names alone.

    Returns
    -------
    dict
        Ready for JSON. Volumes in ml are given only where every slice was computed.
    """
    first = predictions[0]
    labels = label_names(header, predictions)
    content: dict[str, Any] = {
        "GeneratedBy": [{"Name": "napari-film", "Version": package_versions(["napari-film"]).get("napari-film", "unknown")}],
        "Sources": list(sources),
        "Model": {"Name": header.name, "File": model, "SHA256": model_hash},
        "Metadata": [dict(prediction.metadata.values) for prediction in predictions]
        if len(predictions) > 1
        else dict(first.metadata.values),
        "Labels": {str(label): name for label, name in labels.items()},
        "Thresholds": [threshold / 256 for prediction in predictions for threshold in prediction.thresholds],
        "Plan": first.plan.model_dump(),
        "Coverage": {
            "SliceAxis": first.prepared.preprocessing.slice_axis,
            "Slices": first.prepared.shape[0],
            "SlicesComputed": int(np.logical_and.reduce([prediction.kept.computed for prediction in predictions]).sum()),
            "ChannelOverlap": [round(part, 4) for part in first.prepared.coverage],
        },
        "Versions": package_versions(),
    }
    notices = tuple(dict.fromkeys(notice for prediction in predictions for notice in prediction.notices))
    if notices:
        content["Notices"] = list(notices)
    if command is not None:
        content["Command"] = command
    if mask is not None and NOT_COMPUTED not in labels:
        return with_volumes(content, mask, first.prepared.reference.affine)
    return content


def with_volumes(content: Mapping[str, Any], mask: NDArray[np.uint8], affine: NDArray[np.float64]) -> dict[str, Any]:
    """Add the volume of each label in ml, counted in ``mask`` (I, J, K), whose voxels lie as ``affine`` says."""
    counts = dict.fromkeys(content["Labels"], 0)
    for slab in slabs(mask):
        for label in counts:
            counts[label] += int(np.count_nonzero(slab == int(label)))
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    return {**content, "VolumesMl": {name: round(counts[label] * voxel_ml, 4) for label, name in content["Labels"].items()}}


def to_json(content: Mapping[str, Any]) -> str:
    """Text of a sidecar file."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read_plan(path: Path) -> Plan:
    """Read the plan that a sidecar recorded.

    Raises
    ------
    InputError
        If the file is missing, no JSON, or holds no plan.
    """
    try:
        return Plan.model_validate(json.loads(path.read_text(encoding="utf-8"))["Plan"])
    except OSError as error:
        raise InputError(f"{path.name} cannot be read; give the JSON file beside a mask that napari-film wrote.") from error
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise InputError(f"{path.name} holds no plan; give the JSON file beside a mask that napari-film wrote.") from error

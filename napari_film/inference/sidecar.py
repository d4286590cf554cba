"""The JSON file beside a mask: from what, by what and how it was made.

Names files without their folders, since a folder can name a patient; so Sources are bare names where BIDS has paths. The keys
Description, Sources, SpatialReference, Type and Manual are those that BIDS asks of a segmentation's sidecar, GeneratedBy is
that of a derivative dataset. The recorded plan can be replayed: ``napari-film predict --plan SIDECAR``.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_film.conditioning import Metadata
from napari_film.errors import InputError
from napari_film.header import Header
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import Plan
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import Prediction, is_cleaned, joint_thresholds
from napari_film.normalisation import slabs
from napari_film.picture import is_picture

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


@cache
def _generated_by() -> dict[str, str]:
    """Give what BIDS calls GeneratedBy: name, version and, where the package is installed, the address of its code."""
    made = {"Name": "napari-film", "Version": _version("napari-film") or "unknown"}
    try:
        urls = dict(url.split(", ", 1) for url in metadata("napari-film").get_all("Project-URL") or ())
    except PackageNotFoundError:
        urls = {}
    return made | ({"CodeURL": urls["Source Code"]} if "Source Code" in urls else {})


def sidecar_path(mask: Path) -> Path:
    """Where the sidecar of a .nii or .nii.gz file stands, or of a picture."""
    if is_picture(mask):
        return mask.with_suffix(".json")
    return mask.with_name(mask.name.removesuffix(".gz").removesuffix(".nii") + ".json")


def label_names(header: Header, metadata: Sequence[Metadata], *, complete: bool = True) -> dict[int, str]:
    """Names of the labels of `joint_mask`: the classes, or the target's values where there are several predictions.

    ``metadata`` are those of the predictions; ``complete`` says whether every slice was computed.
    """
    target = header.metadata_schema.target
    names: list[str] = []
    for each in metadata:
        value = str(each.values[target.name]) if target else ""
        if value and len(header.classes) == 1:
            names.append(value)
        else:
            names += [f"{value} {name}".strip() for name in header.classes]
    labels = dict(enumerate(names, start=1))
    if not complete:
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
    origins: Mapping[str, str] | None = None,
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
    origins
        Where the values of fields are from: "participants.tsv", "you", "default", "command line"; other fields are left out.

    Returns
    -------
    dict
        Ready for JSON. Volumes in ml are given only where every slice was computed. A mixture's field stands under Mixture in
        place of Metadata; Postprocessing is there where something was asked for.
    """
    first = predictions[0]
    complete = all(prediction.kept.complete for prediction in predictions)
    labels = label_names(header, [prediction.metadata for prediction in predictions], complete=complete)
    sure = [prediction.sure_metadata for prediction in predictions]
    content: dict[str, Any] = {
        "Description": f"Segmentation by the model {header.name}.",
        "GeneratedBy": [dict(_generated_by())],
        "Sources": list(sources),
        "SpatialReference": "orig",
        "Type": "ROI",
        "Manual": False,
        "Model": {"Name": header.name, "File": model, "SHA256": model_hash},
        "Metadata": sure if len(sure) > 1 else sure[0],
    }
    if origins:
        known = {field.name for field in header.metadata_schema}
        content["MetadataOrigin"] = {name: origin for name, origin in origins.items() if name in known}
    if first.mixture is not None:
        content["Mixture"] = _mixture(first.mixture)
    content |= {
        "Labels": {str(label): name for label, name in labels.items()},
        "Thresholds": [threshold / 256 for threshold in joint_thresholds(predictions)],
    }
    if first.postprocessing != Postprocessing():
        content["Postprocessing"] = _postprocessing(first.postprocessing, cleaned=is_cleaned(predictions))
    content |= {
        "Plan": first.plan.model_dump(),
        "Coverage": {
            "SliceAxis": first.prepared.preprocessing.slice_axis,
            "Slices": first.prepared.shape[0],
            "SlicesComputed": int(np.logical_and.reduce([prediction.kept.computed for prediction in predictions]).sum()),
            "ChannelOverlap": [round(part, 4) for part in first.prepared.coverage],
        },
        "Versions": package_versions(),
    }
    notices = dict.fromkeys(notice for prediction in predictions for notice in _notices(prediction))
    if first.postprocessing.cleans and not complete:
        notices["The mask is not cleaned up, because not every slice was computed."] = None
    if notices:
        content["Notices"] = list(notices)
    if command is not None:
        content["Command"] = command
    if mask is not None and complete:
        return with_volumes(content, mask, first.prepared.reference.affine)
    return content


def _notices(prediction: Prediction) -> tuple[str, ...]:
    """What a person must be told of a prediction, its mixture's included, each sentence once."""
    return tuple(dict.fromkeys((*prediction.notices, *(prediction.mixture.notices if prediction.mixture else ()))))


def _mixture(mixture: Mixture) -> dict[str, Any]:
    percent = {value: weight for value, weight in mixture.percent.items() if weight}
    content = {"Field": mixture.field, "Percent": percent, "Mode": mixture.mode}
    return content | ({"OffTrainingDistribution": True} if mixture.off_distribution else {})


def _postprocessing(postprocessing: Postprocessing, *, cleaned: bool) -> dict[str, Any]:
    asked: dict[str, Any] = {} if postprocessing.threshold is None else {"Threshold": postprocessing.threshold / 256}
    if postprocessing.cleans:
        asked |= {
            "LargestComponent": postprocessing.largest_component,
            "SmallestMm3": postprocessing.smallest_mm3,
            "FillHoles": postprocessing.fill_holes,
            "CleanedUp": cleaned,
        }
    return asked


def with_volumes(content: Mapping[str, Any], mask: NDArray[np.uint8], affine: NDArray[np.float64]) -> dict[str, Any]:
    """Add the volume of each label in ml, counted in ``mask`` (I, J, K), whose voxels lie as ``affine`` says."""
    counts = dict.fromkeys(content["Labels"], 0)
    for slab in slabs(mask):
        for label in counts:
            counts[label] += int(np.count_nonzero(slab == int(label)))
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    return {**content, "VolumesMl": {name: round(counts[label] * voxel_ml, 4) for label, name in content["Labels"].items()}}


def discard(path: Path) -> None:
    """Take a sidecar of ours away: the mask that it tells of was written over, by one that nothing is told of."""
    try:
        ours = any(step["Name"] == "napari-film" for step in json.loads(path.read_text(encoding="utf-8"))["GeneratedBy"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if ours:
        path.unlink()


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

"""The cases of a data set: per subject and session the images, the mask and the metadata.

A first cut of BIDS: images are found by suffix, masks as ``derivatives/<labels>/<same folder>/<image>_dseg.nii.gz``,
metadata in participants.tsv.
"""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_film.conditioning import UNKNOWN, MetadataError, Value
from napari_film.errors import InputError

from ..recipe import Recipe

EVERYTHING = "all"
"""Stands for the condition value of a model that has no categorical field."""


class ManifestError(InputError):
    """Data that a recipe cannot be trained on."""


@dataclass(frozen=True)
class Case:
    """One patient at one time.

    ``metadata`` holds the context fields. ``values`` are the values of the swapped field that the case can be trained
    and scored under: the labelled ones of a target field, or its own of a context field.
    """

    subject: str
    images: tuple[Path, ...]
    mask: Path
    metadata: Mapping[str, Value]
    values: tuple[str, ...]
    session: str = ""
    rater: str = ""
    split: str = ""
    source: str = ""


def given(recipe: Recipe, case: Case, value: str) -> dict[str, Value]:
    """Metadata of ``case`` with the swapped field set to ``value``."""
    swapped = recipe.swapped()
    return dict(case.metadata) if swapped is None else {**case.metadata, swapped.name: value}


def given_values(recipe: Recipe) -> tuple[str, ...]:
    """Every value that can be given for the swapped field, *unknown* last where it is one."""
    swapped = recipe.swapped()
    return (EVERYTHING,) if swapped is None else swapped.field().choices


def read_bids(folder: Path, recipe: Recipe) -> tuple[Case, ...]:
    """Find the cases under the BIDS folder ``folder``, in the order of their names.

    Raises
    ------
    ManifestError
        If an image, a mask or a metadata value that the recipe needs is missing.
    """
    if not folder.is_dir():
        raise ManifestError(f"The data folder {folder} does not exist; correct data.bids in the recipe, or give --data.")
    reference = recipe.channels[0].suffix
    participants = _participants(folder / "participants.tsv") if recipe.fields else {}
    cases = []
    for path in sorted(folder.glob("sub-*/**/*.nii*")):
        entities = _entities(path)
        if entities["suffix"] == reference:
            cases.append(_case(path, entities, folder, recipe, participants))
    if not cases:
        raise ManifestError(f"{folder} has no image named sub-*_{reference}.nii.gz; correct the suffix of channel 1 in the recipe.")
    return tuple(cases)


def data_hash(cases: Sequence[Case]) -> str:
    """SHA-256 over the names, files and metadata of ``cases``."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(repr((case.subject, sorted(case.metadata.items()), case.values)).encode())
        for path in (*case.images, case.mask):
            digest.update(path.name.encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _entities(path: Path) -> dict[str, str]:
    """Subject and session of a BIDS file, and all that its name says after them ("ce-gadolinium_T1w")."""
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    parts = stem.split("_")
    found = {"sub": "", "ses": ""}
    while parts and parts[0][:4] in {"sub-", "ses-"}:
        key, _, value = parts.pop(0).partition("-")
        found[key] = value
    return {**found, "stem": stem, "suffix": "_".join(parts)}


def _case(path: Path, entities: Mapping[str, str], folder: Path, recipe: Recipe, participants: Mapping[str, Mapping[str, str]]) -> Case:
    subject = f"sub-{entities['sub']}"
    images = [path]
    for channel in recipe.channels[1:]:
        start = entities["stem"].removesuffix(entities["suffix"])
        found = [path.with_name(f"{start}{channel.suffix}{ending}") for ending in (".nii.gz", ".nii")]
        images.append(_existing(found, f"{subject} has no image of channel {channel.name} (suffix {channel.suffix})"))
    where = folder / "derivatives" / recipe.data.labels / path.parent.relative_to(folder)
    masks = [where / f"{entities['stem']}_dseg{ending}" for ending in (".nii.gz", ".nii")]
    mask = _existing(masks, f"{subject} has no mask")
    metadata, values = _metadata(subject, recipe, participants)
    return Case(subject, tuple(images), mask, metadata, values)


def _existing(paths: Sequence[Path], problem: str) -> Path:
    for path in paths:
        if path.is_file():
            return path
    raise ManifestError(f"{problem}: {paths[0].name} does not exist; add it, or take the subject out of the data.")


def _participants(path: Path) -> dict[str, dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read; it holds the metadata of the recipe's fields, one row a subject.") from error
    if not rows or "participant_id" not in rows[0]:
        raise ManifestError(f"{path} has no column participant_id; it needs one row a subject, tab-separated.")
    return {row["participant_id"]: row for row in rows}


def _metadata(subject: str, recipe: Recipe, participants: Mapping[str, Mapping[str, str]]) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Give the context fields of ``subject``, and its values of the swapped field."""
    metadata: dict[str, Value] = {}
    values: tuple[str, ...] = (EVERYTHING,)
    swapped = recipe.swapped()
    for field in recipe.fields:
        column = field.column or field.name
        if field.role == "target" and field.column is None:
            values = field.field().choices
            continue
        row = participants.get(subject)
        if row is None:
            raise ManifestError(f"{subject} has no row in participants.tsv; add one, or take the subject out of the data.")
        if column not in row:
            raise ManifestError(f"participants.tsv has no column {column!r}, which field {field.name!r} is read from; name it by column.")
        stored = (row[column] or "").strip()
        try:
            value, _ = field.field().resolve(UNKNOWN if stored in {"", "n/a"} else stored)
        except MetadataError as error:
            raise ManifestError(f"participants.tsv, {subject}: {error}") from error
        if field.role != "target":
            metadata[field.name] = value
        if field is swapped:
            values = (str(value),)
    return metadata, values

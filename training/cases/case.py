"""A case: one patient at one time, with one rater's mask, ready to be trained on.

`make_case` is strict: whatever the recipe needs of a record and does not find there is one sentence.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_film.errors import InputError
from napari_film.fields import BY_SLICE, UNKNOWN, MetadataError, Value, folded

from ..recipe import Recipe
from ..recipe.fields import FieldRecipe
from .record import Record

EVERYTHING = "all"
"""Stands for the condition value of a model that has no categorical field."""

SPLITS = ("train", "validation", "test")


class ManifestError(InputError):
    """Data that a recipe cannot be trained on."""


@dataclass(frozen=True)
class Case:
    """One patient at one time.

    ``metadata`` holds the context fields. ``values`` are the values of the swapped field that the case can be trained
    and scored under: the labelled ones of a target field, or its own of a context field. ``subject`` is distinct over all
    data sets of a run.
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
    """Metadata of ``case`` with the swapped field set to ``value``; all *unknown* where the recipe trains without prior."""
    if recipe.training.prior == "none":
        return {field.name: UNKNOWN for field in recipe.fields}
    swapped = recipe.swapped()
    return dict(case.metadata) if swapped is None else {**case.metadata, swapped.name: value}


def given_values(recipe: Recipe) -> tuple[str, ...]:
    """Every value that can be given for the swapped field, *unknown* last where it is one."""
    swapped = recipe.swapped()
    if swapped is None:
        return (EVERYTHING,)
    return (UNKNOWN,) if recipe.training.prior == "none" else swapped.field().choices


def make_case(record: Record, recipe: Recipe, *, subject: str = "") -> Case:
    """Make a case of ``record``, called ``subject`` where that is not the record's own name.

    Raises
    ------
    ManifestError
        If an image, the mask or a metadata value that the recipe needs is missing or of no use.
    """
    for fault in (*record.faults, *record.refused.values()):
        raise ManifestError(fault)
    if not record.subject:
        raise ManifestError(f"{record.where}: the subject is missing; each case needs one, or it could be in two parts of the split.")
    if record.split and record.split not in SPLITS:
        raise ManifestError(f"{record.where}: split is {record.split!r}; write one of {', '.join(SPLITS)}, or leave it out.")
    images = []
    for channel in recipe.image_channels():
        path = record.images.get(channel.name)
        suffix = f" (suffix {' or '.join(channel.suffixes)})" if channel.suffixes else ""
        images.append(_file(path, record, f"has no image of channel {channel.name}{suffix}"))
    mask = _file(record.mask, record, "has no mask")
    metadata = {field.name: _value(field, record) for field in recipe.fields if field.role == "context"}
    swapped = recipe.swapped()
    if swapped is None:
        values: tuple[str, ...] = (EVERYTHING,)
    elif swapped.role == "target":
        values = _labelled(record, recipe)
    else:
        values = (str(metadata[swapped.name]),)
    return Case(
        subject=subject or record.subject,
        images=tuple(images),
        mask=mask,
        metadata=metadata,
        values=values,
        session=record.session,
        rater=record.rater,
        split=record.split,
        source=record.source,
    )


def data_hash(cases: Sequence[Case], content_hash: Callable[[Path], str] | None = None) -> str:
    """SHA-256 over the names, files and metadata of ``cases``; ``content_hash`` gives a file's, where something remembers it."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(repr((case.subject, sorted(case.metadata.items()), case.values)).encode())
        for path in (*case.images, case.mask):
            digest.update(path.name.encode())
            digest.update(bytes.fromhex(content_hash(path)) if content_hash else hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _file(path: Path | None, record: Record, problem: str) -> Path:
    who = " ".join(filter(None, (record.subject, record.session)))
    if path is None:
        raise ManifestError(f"{record.where}: {who} {problem}; add it, or take the case out of the data.")
    if not path.is_file():
        raise ManifestError(f"{record.where}: {who} {problem}: {path} does not exist; add it, or take the case out of the data.")
    return path


def _value(field: FieldRecipe, record: Record) -> Value:
    """Give the value of a context field: what was understood, or *unknown*; of one that is per slice, that the program fills it in."""
    if field.filled_in:
        return BY_SLICE
    if field.name in record.understood:
        return record.understood[field.name]
    if field.unknown:
        return UNKNOWN
    column = field.column or field.name
    why = " ".join(record.notices[:1])
    raise ManifestError(
        f"{record.where}: nothing is said of {column}, and field {field.name!r} has no unknown; "
        f"fill it in, name its column, or set unknown = true.{' ' + why if why else ''}"
    )


def _labelled(record: Record, recipe: Recipe) -> tuple[str, ...]:
    """Values of the target field that the case has labels for: its column's (several between semicolons), its data set's, or all."""
    swapped = recipe.swapped()
    if swapped is None:
        raise ValueError("the recipe has no target field")
    said = {folded(key): text for key, text in record.cells.items()}
    text = said.get(folded(swapped.column), "") if swapped.column else ""
    names = [name.strip() for name in text.split(";") if name.strip()] or list(record.labelled)
    if not names and swapped.column:
        raise ManifestError(
            f"{record.where}: nothing in column {swapped.column} says which {swapped.name} is labelled; "
            "name the labelled values, several between semicolons."
        )
    try:
        found = [swapped.field().resolve(name)[0] for name in names]
    except MetadataError as error:
        raise ManifestError(f"{record.where}: {error}") from error
    return tuple(value for value in swapped.values if value in found) if found else swapped.values

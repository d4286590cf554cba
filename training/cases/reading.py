"""The cases of a run, from its data sets: lenient, as records, and strict, as cases.

A folder is a BIDS tree (`tree`), a .csv or .tsv file a table (`table`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from napari_film.errors import InputError

from ..recipe import Recipe
from ..recipe.data import Source
from .case import Case, ManifestError, make_case
from .record import Record
from .table import table_records
from .tree import tree_records

_TABLES = {".csv", ".tsv"}


def source_at(path: Path, like: Source | None = None) -> Source:
    """Give the data set at ``path``, its derivatives, labelled values and cells as those of ``like``.

    Raises
    ------
    InputError
        If it is neither a folder nor a table.
    """
    kept = {} if like is None else like.model_dump(exclude={"bids", "table", "phantom"})
    if path.is_dir():
        return Source(bids=path, **kept)
    if path.suffix.lower() in _TABLES and path.is_file():
        return Source(table=path, **kept)
    problem = "is neither a folder nor a table" if path.exists() else "does not exist"
    raise InputError(f"{path} {problem}; give a BIDS folder, or a .csv or .tsv file with one case a line.")


def read_records(source: Source, recipe: Recipe) -> tuple[Record, ...]:
    """Give the records of one data set, in its order, as they stand there.

    Raises
    ------
    ManifestError
        If it does not exist or cannot be read at all.
    """
    if source.bids is not None:
        records = tree_records(source.bids, source, recipe)
    elif source.table is not None:
        records = table_records(source.table, source, recipe)
    else:
        raise ValueError("a phantom is drawn before it is read")
    return tuple(replace(record, source=source.name) for record in records) if source.name else records


def read_cases(sources: Sequence[Source], recipe: Recipe, *, tell: Callable[[str], None] | None = None) -> tuple[Case, ...]:
    """Give the cases of all data sets of a run, in their order.

    Where there are several, a subject of one is another person than a subject of that name in another, and is called
    "SOURCE.SUBJECT", unless the recipe says that they share their subjects. ``tell`` is given what a person should know.

    Raises
    ------
    ManifestError
        If a case lacks what the recipe needs, or nothing is said of a field in all of the data.
    """
    cases: list[Case] = []
    said: set[str] = set()
    left_out = 0
    names = _names(sources)
    for source, name in zip(sources, names, strict=True):
        records = read_records(source, recipe)
        if recipe.data.unlabelled == "skip":
            labelled = [record for record in records if record.mask is not None]
            left_out += len(records) - len(labelled)
            records = tuple(labelled)
        apart = len(sources) > 1 and not recipe.data.shared_subjects
        for record in records:
            said |= record.understood.keys()
            case = make_case(record, recipe, subject=f"{name}.{record.subject}" if apart and record.subject else "")
            cases.append(replace(case, source=name if len(sources) > 1 else record.source))
    if not cases:
        raise ManifestError("The data have no case with a mask; correct the data of the recipe, or data.mask_suffix.")
    for field in recipe.fields:
        if field.role == "context" and field.name not in said and not field.filled_in:
            column = field.column or field.name
            raise ManifestError(
                f"No case says anything of {column}, which field {field.name!r} is read from; name its column in the recipe."
            )
    if tell is not None and left_out:
        tell(f"{left_out} image(s) without a mask are left out, as data.unlabelled says.")
    return tuple(cases)


def _names(sources: Sequence[Source]) -> tuple[str, ...]:
    """A name for each data set: its own, or by its place, where no other one is called so."""
    taken = {source.name for source in sources}
    free = (name for number in count(1) if (name := f"data{number}") not in taken)
    return tuple(source.name or next(free) for source in sources)

"""The metadata of an image, looked up in the files around it.

Most specific first: the JSON sidecars by the inheritance principle, then the image's row of scans.tsv, its session's of
sessions.tsv and its person's of participants.tsv. The first that says something of a field decides; if the model does not
take that, the field stays as it is and a notice says why, since a less specific file is no better witness.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_film.bids.files import BidsError, read_json, read_table
from napari_film.bids.matching import Statement, statement_about, understood
from napari_film.bids.tree import Tree, sidecars
from napari_film.conditioning import MetadataSchema
from napari_film.fields import Value

Said = Mapping[str, Statement]
"""What one file says, by key."""


@dataclass(frozen=True)
class Found:
    """A condition value that a file gives: as the schema spells it, the file's name without its folders, and as it stood there."""

    value: Value
    origin: str
    text: str


@dataclass(frozen=True)
class FoundMetadata:
    """What the files say, by field, and what a person must be told about what could not be used.

    ``refused`` gives, of these, what is said about a field and not taken by the model: one sentence a field.
    """

    values: Mapping[str, Found]
    notices: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def find_metadata(image: Path, schema: MetadataSchema) -> FoundMetadata:
    """Look up the fields of ``schema`` in the files around ``image``, a NIfTI file in a BIDS tree or with a JSON file beside it.

    Nothing in the files, nor their absence, is an error. Files are read only as long as a field is open, and folders beside or
    below the way up to the data set's root are never looked into.
    """
    notices: list[str] = []
    return understand(_sources(Tree.around(image), notices), schema, notices)


def statements_around(image: Path, root: Path) -> tuple[tuple[Said, ...], tuple[str, ...]]:
    """Give what each file around ``image`` in the data set ``root`` says, the most specific first, and what could not be read."""
    notices: list[str] = []
    tree = Tree(Path(os.path.abspath(image)), (Path(os.path.abspath(root)),))
    return tuple(_sources(tree, notices)), tuple(notices)


def understand(sources: Iterable[Said], schema: MetadataSchema, notices: list[str] | None = None) -> FoundMetadata:
    """Take the fields of ``schema`` from ``sources``, the most specific first; none is asked for once no field is open.

    What is told is added to ``notices``, to which those who read the sources may add too.
    """
    values: dict[str, Found] = {}
    refused: dict[str, str] = {}
    notices = [] if notices is None else notices
    missing = list(schema)
    for said in sources if missing else ():
        for open_field in tuple(missing):
            statement = statement_about(open_field, said)
            if statement is None:
                continue
            try:
                answer = understood(statement, open_field)
            except BidsError as error:
                notices.append(str(error))
                refused[open_field.name] = str(error)
                missing.remove(open_field)
                continue
            if answer is not None:
                value, notice = answer
                values[open_field.name] = Found(value, statement.origin, statement.text)
                missing.remove(open_field)
                notices += [notice] if notice else []
            elif statement.remark:
                notices.append(statement.remark)
        if not missing:
            break
    return FoundMetadata(values, tuple(dict.fromkeys(notices)), refused)


def _sources(tree: Tree, notices: list[str]) -> Iterator[Said]:
    """What each file says, the most specific first; what keeps a file from being read is added to ``notices``."""
    for path in tree.sidecars():
        try:
            yield {key: Statement(key, value, path.name) for key, value in read_json(path).items()}
        except BidsError as error:
            notices.append(str(error))
    for path, root, key, label in tree.tables():
        try:
            yield _row(path, key, label, _columns(path, root, notices))
        except BidsError as error:
            notices.append(str(error))


def _row(path: Path, key: str, label: str, columns: Mapping[str, Mapping[str, Any]]) -> Said:
    """What a table says of ``label``. A row of another length than the heading could be shifted, so it says nothing."""
    table = read_table(path, key, label)
    width, rows = len(table.columns), []
    remark = "" if table.rows else f"{path.name} has no row for {label}."
    for row in table.rows:
        if len(row) < width or any(row[width:]):
            remark = f"{path.name} has a row for {label} of {len(row)} cells under a heading of {width}, so it is not used."
        else:
            rows.append(row)
    said: dict[str, Statement] = {}
    for place, column in enumerate(table.columns):
        cells = list(dict.fromkeys(row[place] for row in rows))
        value, doubt = cells[0] if cells else None, remark
        if len(cells) > 1:
            value, doubt = None, f"{path.name} has rows for {label} that differ in {column} ({', '.join(cells)}), so it is not used."
        described = columns.get(column, {})
        said.setdefault(column, Statement(column, value, path.name, _levels(described), _unit(described), doubt))
    return said


def _columns(path: Path, root: Path, notices: list[str]) -> dict[str, Mapping[str, Any]]:
    """What the JSON files of a table say of its columns; the nearest one decides on a column."""
    described: dict[str, Mapping[str, Any]] = {}
    for sidecar in sidecars(path, root):
        try:
            content = read_json(sidecar)
        except BidsError as error:
            notices.append(str(error))
            continue
        for column, description in content.items():
            if isinstance(description, dict):
                described.setdefault(column, description)
    return described


def _levels(described: Mapping[str, Any]) -> dict[str, str]:
    """What the codes of a column mean."""
    levels = described.get("Levels")
    if not isinstance(levels, dict):
        return {}
    meanings = {code: meaning.get("Description") if isinstance(meaning, dict) else meaning for code, meaning in levels.items()}
    return {code: meaning.strip() for code, meaning in meanings.items() if isinstance(meaning, str)}


def _unit(described: Mapping[str, Any]) -> str:
    unit = described.get("Units")
    return unit.strip() if isinstance(unit, str) else ""

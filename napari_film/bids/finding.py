"""The metadata of an image, looked up in the files around it.

Most specific first: the JSON sidecars by the inheritance principle, then the image's row of scans.tsv, its session's of
sessions.tsv and its person's of participants.tsv. The first that says something of a field decides; if the model does not
take that, the field stays as it is and a notice says why, since a less specific file is no better witness.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_film.bids.files import BidsError, read_json, read_table
from napari_film.bids.matching import Statement, statement_about, understood
from napari_film.bids.tree import Tree, sidecars
from napari_film.conditioning import MetadataSchema, Value

_Said = dict[str, Statement]


@dataclass(frozen=True)
class Found:
    """A condition value that a file gives: as the schema spells it, the file's name without its folders, and as it stood there."""

    value: Value
    origin: str
    text: str


@dataclass(frozen=True)
class FoundMetadata:
    """What the files say, by field, and what a person must be told about what could not be used."""

    values: Mapping[str, Found]
    notices: tuple[str, ...] = ()


def find_metadata(image: Path, schema: MetadataSchema) -> FoundMetadata:
    """Look up the fields of ``schema`` in the files around ``image``, a NIfTI file in a BIDS tree or with a JSON file beside it.

    Nothing in the files, nor their absence, is an error. Files are read only as long as a field is open, and folders beside or
    below the way up to the data set's root are never looked into.
    """
    values: dict[str, Found] = {}
    notices: list[str] = []
    missing = list(schema)
    for said in _sources(image, notices) if missing else ():
        for field in tuple(missing):
            statement = statement_about(field, said)
            if statement is None:
                continue
            try:
                answer = understood(statement, field)
            except BidsError as error:
                notices.append(str(error))
                missing.remove(field)
                continue
            if answer is not None:
                value, notice = answer
                values[field.name] = Found(value, statement.origin, statement.text)
                missing.remove(field)
                notices += [notice] if notice else []
            elif statement.remark:
                notices.append(statement.remark)
        if not missing:
            break
    return FoundMetadata(values, tuple(dict.fromkeys(notices)))


def _sources(image: Path, notices: list[str]) -> Iterator[_Said]:
    """What each file says, the most specific first; what keeps a file from being read is added to ``notices``."""
    tree = Tree.around(image)
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


def _row(path: Path, key: str, label: str, columns: Mapping[str, Mapping[str, Any]]) -> _Said:
    """What a table says of ``label``. A row of another length than the heading could be shifted, so it says nothing."""
    table = read_table(path, key, label)
    width, rows = len(table.columns), []
    remark = "" if table.rows else f"{path.name} has no row for {label}."
    for row in table.rows:
        if len(row) < width or any(row[width:]):
            remark = f"{path.name} has a row for {label} of {len(row)} cells under a heading of {width}, so it is not used."
        else:
            rows.append(row)
    said: _Said = {}
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

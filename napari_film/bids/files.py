"""Reading of JSON and TSV files that people and programs have left: whatever is in them, a mapping or one sentence.

Text is UTF-8 with or without a byte-order mark, UTF-16 with one (as Excel saves it), else it is taken for Windows-1252.
"""

import codecs
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_film.errors import InputError

_LARGEST = 50_000_000  # bytes: more than any metadata file should have
_LINE_END = re.compile(r"\r\n|\r|\n")


class BidsError(InputError):
    """A metadata file that cannot be used, or a value in one that the model does not take."""


@dataclass(frozen=True)
class Table:
    """A TSV file: its columns, and those rows that were asked for, each as many cells long as it was written."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file.

    Raises
    ------
    BidsError
        If the file cannot be read, or holds something else.
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BidsError(f"{path.name} is no valid JSON{place}, so nothing is taken from it.") from error
    if not isinstance(content, dict):
        raise BidsError(f"{path.name} holds no names with values, as a JSON file of metadata does, so nothing is taken from it.")
    return content


def read_table(path: Path, key: str, wanted: str) -> Table:
    """Read those rows of a TSV file that are for ``wanted`` in the column ``key``, such as "sub-01" in "participant_id".

    A label without its "sub-" or "ses-" is taken for it; of a file, only the name counts and neither the folder nor the ending.

    Raises
    ------
    BidsError
        If the file cannot be read or has no such column.
    """
    lines = _lines(read_text(path))
    columns = next(lines, ())
    if key not in columns:
        raise BidsError(f"{path.name} has no column {key}, which tells whose its rows are, so nothing is taken from it.")
    place = columns.index(key)
    return Table(columns, tuple(row for row in lines if len(row) > place and _label(row[place], key) == _label(wanted, key)))


def _lines(text: str) -> Iterator[tuple[str, ...]]:
    """Cells of each line that is not empty."""
    for line in _LINE_END.split(text):
        if line.strip():
            yield tuple(_cell(cell) for cell in line.split("\t"))


def _cell(text: str) -> str:
    """A cell without the quotes that spreadsheets put around it."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"').strip()
    return text


def _label(text: str, key: str) -> str:
    if key == "filename":
        return re.sub(r"\.nii(\.gz)?$", "", re.split(r"[/\\]", text)[-1], flags=re.IGNORECASE)
    return text[4:] if text[:4] in {"sub-", "ses-"} else text


def read_text(path: Path) -> str:
    """Read a file that people or programs have left, in whatever of the encodings above; raises BidsError."""
    raw = _bytes(path)
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _bytes(path: Path) -> bytes:
    try:
        status = os.stat(path)
        raw = path.read_bytes() if stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST else None
    except OSError as error:
        raise BidsError(f"{path.name} cannot be read ({error.strerror or error}), so nothing is taken from it.") from error
    if raw is None:
        problem = f"has more than {_LARGEST // 10**6} MB, too much for metadata" if stat.S_ISREG(status.st_mode) else "is no file"
        raise BidsError(f"{path.name} {problem}, so nothing is taken from it.")
    return raw

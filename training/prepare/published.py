"""A public data set as read from its published layout, and how it is written for training.

    OUT/cases.tsv                   one case a line; paths relative to OUT
    OUT/recipe.toml                 ready for `napari-film-train fit`
    OUT/slices.tsv                  where slices have values of their own
    OUT/dataset_description.json    the data set's name, which goes into the checkpoint

Nothing of the data set is copied or changed.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_film.atomic import write_text
from napari_film.errors import InputError

TABLE, SLICES, RECIPE, DESCRIPTION = "cases.tsv", "slices.tsv", "recipe.toml", "dataset_description.json"

Row = Mapping[str, str | Path]
"""Cells by column; a file is a path."""


@dataclass(frozen=True)
class Published:
    """What a published data set holds.

    Parameters
    ----------
    title
        Its name.
    cases
        One row a case, all with the same columns.
    recipe
        A recipe in TOML whose data are the table.
    slices
        One row a slice where slices have values of their own; empty where not.
    notices
        What a person should know: what was left out, and why.
    """

    title: str
    cases: tuple[Row, ...]
    recipe: str
    slices: tuple[Row, ...] = ()
    notices: tuple[str, ...] = ()


def prepare(read: Callable[[Path], Published], source: Path, output: Path) -> Published:
    """Read the data set in the folder ``source`` and write its table and recipe into the folder ``output``.

    Raises
    ------
    InputError
        If the source is not in the layout that ``read`` knows, or the output already holds one of the files or cannot be written.
    """
    if not source.is_dir():
        hint = "; unpack it first, and give the folder" if source.is_file() else ""
        raise InputError(f"{source} is no folder{hint}.")
    held = [name for name in (TABLE, SLICES, RECIPE, DESCRIPTION) if (output / name).exists()]
    if held:
        raise InputError(f"{output} already holds {', '.join(held)}; name another folder.")
    published = read(source)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output} cannot be made ({error.strerror or error}); name another folder.") from error
    texts = {TABLE: _table(published.cases, output), RECIPE: published.recipe}
    if published.slices:
        texts[SLICES] = _table(published.slices, output)
    texts[DESCRIPTION] = json.dumps({"Name": published.title, "BIDSVersion": "1.10.0", "DatasetType": "derivative"}, indent=1) + "\n"
    written: list[Path] = []
    try:
        for name, text in texts.items():
            write_text(output / name, text)
            written.append(output / name)
    except InputError:
        for path in written:
            path.unlink()
        raise
    return published


def require_files(paths: Sequence[Path], source: Path) -> None:
    """Raise where any of ``paths``, which the data set says it has, is not there."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{_relative(missing[0], source)} and {len(missing) - 1} other file(s) of {len(paths)} that {source} should hold are missing; "
            "download or unpack it again."
        )


def recipe_text(*, name: str, about: str, model: str, channels: Sequence[tuple[str, str]], rest: str) -> str:
    """Give a recipe in TOML: ``model`` are its keys, ``channels`` are names and suffixes, ``rest`` what follows them."""
    parts = [f"# {about}", "", "[model]", f"name = {quoted(name)}", model.strip(), "", "[data]", f'table = "{TABLE}"', ""]
    for channel, suffix in channels:
        parts += ["[[channels]]", f"name = {quoted(channel)}", *([f"suffix = {quoted(suffix)}"] if suffix else []), ""]
    return "\n".join([*parts, rest.strip()]) + "\n"


def quoted(text: str) -> str:
    """Give ``text`` as a string of TOML, whose basic strings are those of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _table(rows: Sequence[Row], folder: Path) -> str:
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(rows[0])
    for row in rows:
        table.writerow([_relative(cell, folder) if isinstance(cell, Path) else cell for cell in row.values()])
    return text.getvalue()


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive
        return path.resolve().as_posix()

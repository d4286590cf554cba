"""What is told at the end of a run: the scores as tables, where the checkpoint is, and how to try it."""

import re
import shlex
from collections.abc import Mapping

from napari_film.picture import is_picture

from .cases.case import given
from .fit import Fitted
from .recipe import Recipe


def closing_words(fitted: Fitted, recipe: Recipe) -> str:
    """Several lines of plain text."""
    lines = ["", f"Dice on {len(fitted.split.test)} test cases (row: true value, column: given value)"]
    for name, table in fitted.scores["tables"]["test"].items():
        lines += [f"  {name}", *(f"  {line}" for line in table_lines(table))]
    lines += ["", f"Checkpoint: {fitted.checkpoint}", "Try it on a test subject:", f"  {predict_command(fitted, recipe)}"]
    return "\n".join(lines)


def table_lines(table: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Lines of a table: true values down, given values across."""
    columns = list(next(iter(table.values()), {}))
    first = max([len(row) for row in table] + [0])
    widths = [max(len(column), 5) for column in columns]
    lines = ["  ".join([" " * first, *(column.rjust(width) for column, width in zip(columns, widths, strict=True))])]
    for row, scores in table.items():
        cells = ["-" if scores[column] is None else f"{scores[column]:.3f}" for column in columns]
        lines.append("  ".join([row.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))]))
    return lines


def predict_command(fitted: Fitted, recipe: Recipe) -> str:
    """Give the command that segments one test subject with the new checkpoint."""
    case = fitted.split.test[0]
    words = ["napari-film", "predict", *map(str, case.images), "--model", str(fitted.checkpoint)]
    for name, value in given(recipe, case, case.values[0]).items():
        words += ["--metadata", f"{name}={value}"]
    name = re.sub(r"[^\w.-]+", "-", case.subject)  # a table may call a subject what no file can be called
    return shlex.join([*words, "--output", f"{name}_mask{'.png' if all(map(is_picture, case.images)) else '.nii.gz'}"])

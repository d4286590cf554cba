"""What an evaluation leaves: evaluation.csv, evaluation.json and a grid of pictures a class; all of them, or none.

No file says where anything lies: a folder can name a patient.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from napari_film.atomic import atomic_path, write_text
from napari_film.errors import InputError
from napari_film.inference.sidecar import package_versions

from . import measures, summary
from .evaluation import Evaluation
from .measures import Measures
from .picture import draw, make_rows
from .replicate import Network
from .score import Runner

TABLE, SUMMARY, PICTURES = "evaluation.csv", "evaluation.json", "values*.png"
_KEYS = ("model", "subject", "session", "rater", "source", "part", "true", "given")
_NUMBERS = tuple(field.name for field in fields(Measures))


def open_folder(output: Path) -> None:
    """Make the folder ``output``; raises InputError where it cannot be written to, or holds another evaluation."""
    held = [path.name for pattern in (TABLE, SUMMARY, PICTURES) for path in sorted(output.glob(pattern))]
    if held:
        raise InputError(f"{output} already holds an evaluation ({', '.join(held)}); name another folder with --output.")
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_text(output / TABLE, "")
        (output / TABLE).unlink()
    except OSError as error:
        raise InputError(f"{output} cannot be written to ({error.strerror}); name another folder with --output.") from error


def write_files(evaluation: Evaluation, output: Path, runner_of: Callable[[str], Runner]) -> tuple[Path, ...]:
    """Write everything into ``output``; give the paths. ``runner_of`` gives the networks of a model by its name."""
    classes = list(dict.fromkeys(score.class_name for score in evaluation.scores))
    with ExitStack() as together:
        found = []

        def place(name: str) -> Path:
            found.append(output / name)
            return together.enter_context(atomic_path(output / name))

        place(TABLE).write_text(_table(evaluation), encoding="utf-8")
        place(SUMMARY).write_text(json.dumps(_summary(evaluation), indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        for name in classes:
            rows = make_rows(evaluation.scores, name, evaluation.cases, evaluation.recipe, runner_of)
            if rows:
                title = f"{name} by {evaluation.scores[0].model}: what being told {_field(evaluation)} changes"
                path = place("values.png" if len(classes) == 1 else f"values-{_plain(name)}.png")
                draw(rows, path, title=title, slice_axis=evaluation.recipe.preprocessing.slice_axis, target=evaluation.target)
    return tuple(found)


def _table(evaluation: Evaluation) -> str:
    """A line for each network, case, class, true and given value; cells are empty where nothing is measured."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*_KEYS, "class", *_NUMBERS])
    for score in evaluation.scores:
        numbers = (getattr(score.measures, name) for name in _NUMBERS)
        lines.writerow([*(getattr(score, key) for key in _KEYS), score.class_name, *(_written(number) for number in numbers)])
    return text.getvalue()


def _written(number: float | None) -> str:
    return "" if number is None else f"{number:.6g}"


def _summary(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "models": [
            {"name": replicate.network.label, **_network(replicate.network)}
            | ({} if replicate.control is None else {"without_prior": _network(replicate.control)})
            for replicate in evaluation.replicates
        ],
        "data": {
            "name": evaluation.data,
            "hash": evaluation.data_hash,
            "subjects": _subjects(evaluation),
            "asked_for": evaluation.subjects,
        },
        "settings": {
            "tolerance_mm": evaluation.tolerance_mm,
            "draws": evaluation.draws,
            "seed": evaluation.seed,
            "precision": "float32",
        },
        "notices": list(evaluation.notices),
        "summary": {group: {name: asdict(found) for name, found in classes.items()} for group, classes in evaluation.summary.items()},
        "conventions": measures.CONVENTIONS | summary.CONVENTIONS,
        "versions": package_versions(),
    }


def _network(network: Network) -> dict[str, Any]:
    return {
        "seed": network.header.provenance.seed,
        "sha256": hashlib.sha256(network.path.read_bytes()).hexdigest(),
        "trained_on": network.header.provenance.data_hash,
        "versions": dict(network.header.provenance.versions),
    }


def _subjects(evaluation: Evaluation) -> dict[str, dict[str, list[str]]]:
    """Subjects by model and part; "" where the part is not known."""
    found: dict[str, dict[str, set[str]]] = {}
    for score in evaluation.scores:
        found.setdefault(score.model, {}).setdefault(score.part, set()).add(score.subject)
    return {model: {part: sorted(names) for part, names in parts.items()} for model, parts in found.items()}


def _field(evaluation: Evaluation) -> str:
    swapped = evaluation.recipe.swapped()
    return "the metadata" if swapped is None else swapped.name


def _plain(name: str) -> str:
    """A class's name as part of a file's."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "class"

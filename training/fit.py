"""One training run, from a recipe to a checkpoint that is ready to be shared. `RunFolder` says what it leaves."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from napari_film.atomic import write_text
from napari_film.checkpoint import load_checkpoint, save_checkpoint
from napari_film.header import Fingerprint, Header, Provenance, read_header
from napari_film.recent import RecentFiles

from .cache import Cache
from .card import model_card
from .cases.case import Case, data_hash, given
from .data import find_cases
from .dataset import prepare_cases
from .fingerprint import take_fingerprint
from .folder import RunFolder
from .processes import check_processes, is_first
from .progress import counted
from .recipe import Recipe
from .recipe.reading import without_paths
from .resume import ResumeError, State, check_data, check_same, read_state
from .scoring import Reading, per_subject, read_cases, score_table
from .splits import Split, split_cases
from .thresholds import tune_thresholds
from .trainer import Interrupted, train, what_is_kept

__all__ = ["Fitted", "Interrupted", "fit"]

PACKAGES = ("napari-film", "torch", "lightning", "numpy", "nibabel")


@dataclass(frozen=True)
class Fitted:
    """A finished run: its checkpoint, the subjects by part, and the scores as they stand in ``scores.json``.

    Of several processes that train together the first one alone has scores.
    """

    checkpoint: Path
    split: Split
    scores: dict[str, Any]


def fit(
    recipe: Recipe,
    text: str,
    output: Path,
    *,
    data: Path | None = None,
    cache: Path | None = None,
    console: Console | None = None,
    resume: bool = False,
) -> Fitted:
    """Train ``recipe`` (whose TOML is ``text``) into the folder ``output``.

    Parameters
    ----------
    recipe, text
        As ``load_recipe`` gives them.
    output
        A folder without another run in it; made if need be.
    data
        A data set to use instead of the recipe's own.
    cache
        Where prepared slices are kept between runs; None for the user's cache folder.
    console
        Where progress is shown; None for nowhere.
    resume
        Go on with the run in ``output`` from the end of its last whole epoch; from the start where there is none.

    Raises
    ------
    InputError
        If data, recipe or output folder cannot be used, or the training fails for a reason that a person can mend.
    Interrupted
        If the person stops the training; the best network so far is kept.
    """
    first = is_first()
    console = console if console is not None and first else Console(quiet=True)
    start = time.monotonic()
    check_processes(recipe.training)
    folder = RunFolder(output)
    if first:
        folder.open(resume=resume)
    state = read_state(folder.last) if resume else None
    if resume:
        _tell_resumed(state, recipe, folder, lambda sentence: console.print(sentence, highlight=False, markup=False, soft_wrap=True))
    cases, origin = find_cases(recipe, output, data=data, console=console)
    split = split_cases(cases, recipe.training.split, seed=recipe.training.seed)
    kept = Cache(cache)
    content = data_hash(cases, kept.content_hash)
    if state is not None:
        check_data(state, content)
    with counted(console, "reading images", len(split.train) + len(split.validation)) as advance:
        training = prepare_cases(split.train, recipe, kept, progress=advance)
        validation = prepare_cases(split.validation, recipe, kept, progress=advance)
    console.print(kept.told((*training, *validation)), highlight=False, soft_wrap=True)
    header = _header(recipe, text, split, content, origin, take_fingerprint(training, recipe))
    if first:
        write_text(folder.recipe, text)
        folder.scores.unlink(missing_ok=True)  # of a finished run that is gone on with: not those of its network any more
    best, last = train(recipe, header, training, validation, folder, console, data=content, done=state.epochs if state else 0)
    trained = time.monotonic() - start
    if not first:
        return Fitted(folder.best, split, {})

    try:
        scores = _finish(recipe, header, split, folder, console)
    except KeyboardInterrupt as error:
        raise Interrupted(what_is_kept(best, last)) from error
    scores |= {
        "best_epoch": best.epoch,
        "epochs": last.epochs,
        "processes": recipe.training.devices * recipe.training.nodes,
        "seconds": {"training": round(trained), "all": round(time.monotonic() - start)},
    }
    write_text(folder.card, model_card(read_header(folder.best), scores, checkpoint=folder.best.name))
    write_text(folder.scores, json.dumps(scores, indent=1) + "\n")  # last: it says that the run is finished
    RecentFiles().add(folder.best)
    return Fitted(folder.best, split, scores)


def _tell_resumed(state: State | None, recipe: Recipe, folder: RunFolder, tell: Callable[[str], None]) -> None:
    """Say from where the run goes on, and which settings win; refuse what cannot be gone on with."""
    if state is None:
        tell(f"{folder.path} holds no finished epoch to go on from; the training begins.")
        return
    changed = check_same(state, recipe)
    if folder.scores.exists() and is_first():
        went_on = state.recipe.training.epochs < recipe.training.epochs or state.recipe.training.patience < recipe.training.patience
        if not went_on:
            raise ResumeError(
                f"{folder.path} holds a finished run; there is nothing to resume "
                "(more --set training.epochs or training.patience would go on with it)."
            )
    for sentence in changed:
        tell(sentence)
    tell(f"Going on after epoch {state.epochs} of {recipe.training.epochs}.")


def _finish(recipe: Recipe, header: Header, split: Split, folder: RunFolder, console: Console) -> dict[str, Any]:
    """Tune thresholds on the validation cases, score on the test cases, and write both into the checkpoint."""
    checkpoint = load_checkpoint(folder.best)
    with counted(console, "tuning thresholds", len(split.validation)) as advance:
        tuning = read_cases(checkpoint, split.validation, recipe, progress=advance)
    header = header.model_copy(update={"thresholds": tune_thresholds(tuning, recipe)})
    with counted(console, "scoring on test subjects", len(split.test)) as advance:
        testing = read_cases(checkpoint, split.test, recipe, progress=advance)
    tables = {"test": _tables(testing, header, recipe, split.test), "validation": _tables(tuning, header, recipe, split.validation)}
    flat = {f"{part}, {name}": table for part, found in tables.items() for name, table in found.items()}
    header = header.model_copy(update={"provenance": header.provenance.model_copy(update={"scores": flat})})
    save_checkpoint(folder.best, checkpoint.network, header)
    return {
        "thresholds": [entry.model_dump(mode="json") for entry in header.thresholds],
        "tables": tables,
        "subjects": {part: sorted({case.subject for case in getattr(split, part)}) for part in ("train", "validation", "test")},
        "test": per_subject(testing, header.classes, lambda value: _thresholds(header, recipe, split.test[0], value)),
    }


def _header(recipe: Recipe, text: str, split: Split, content: str, origin: str, fingerprint: Fingerprint) -> Header:
    return Header(
        name=recipe.model.name,
        description=recipe.model.description,
        licence=recipe.model.licence,
        architecture=recipe.architecture(),
        metadata_schema=recipe.metadata_schema(),
        channels=recipe.checkpoint_channels(),
        classes=recipe.class_names(),
        preprocessing=recipe.checkpoint_preprocessing(),
        fingerprint=fingerprint,
        provenance=Provenance(
            recipe=without_paths(text),
            seed=recipe.training.seed,
            versions={package: version(package) for package in PACKAGES},
            data_hash=content,
            data=f"{origin}: {split.told}",
        ),
    )


def _thresholds(header: Header, recipe: Recipe, case: Case, value: str) -> tuple[int, ...]:
    return header.thresholds_for(given(recipe, case, value))


def _tables(readings: Sequence[Reading], header: Header, recipe: Recipe, cases: Sequence[Case]) -> dict[str, Any]:
    """Dice per class: true condition value, given condition value."""
    return {
        name: score_table(readings, index, lambda value: _thresholds(header, recipe, cases[0], value))
        for index, name in enumerate(header.classes)
    }

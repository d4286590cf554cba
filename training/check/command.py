"""What `napari-film-train check` does: find the data, look at them, tell."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from napari_film.errors import InputError

from ..cases.case import ManifestError
from ..cases.reading import read_cases, read_records, source_at
from ..cases.record import Record
from ..recipe import Recipe, load_recipe
from ..recipe.data import Source
from ..splits import split_cases
from .finding import Finding
from .guess import guess_recipe
from .inspection import Inspection, inspect


def check(
    dataset: str, *, recipe: str | None = None, jobs: int = 1, bar: Callable[[int], Callable[[int], None]] | None = None
) -> Inspection:
    """Look at a data set before any training.

    Parameters
    ----------
    dataset
        A recipe (its own data are looked at), a BIDS folder, or a table.
    recipe
        For a folder or a table: which channels, classes and fields count; None looks at all that is there.
    jobs
        Processes that read.
    bar
        Called with the number of cases; what it gives is called with the number of those that are done.

    Raises
    ------
    InputError
        If there is nothing to look at, or the recipe cannot be used.
    """
    sources, rules, guessed = _found(dataset, recipe)
    records = _records(sources, rules)
    progress = bar(len(records)) if bar is not None else None
    found = inspect(records, rules, guessed=guessed, jobs=jobs, progress=progress)
    if guessed or found.errors:
        return found
    return replace(found, findings=(*found.findings, *_refusal(sources, rules)))


def _found(dataset: str, recipe: str | None) -> tuple[tuple[Source, ...], Recipe, bool]:
    """Give the data sets, the recipe, and whether that had to be guessed."""
    path = Path(dataset)
    if path.is_dir() or path.suffix.lower() in {".csv", ".tsv"}:
        if recipe is None:
            source = source_at(path)
            guessed = guess_recipe(source)
            return guessed.data.all_sources(), guessed, True
        rules, _ = load_recipe(recipe)
        own = rules.data.all_sources()
        return (source_at(path, like=own[0] if len(own) == 1 else None),), rules, False
    if recipe is not None:
        raise InputError(f"{dataset} is no BIDS folder and no table, which --recipe is for; give a recipe alone to check its own data.")
    rules, _ = load_recipe(dataset)
    for source in rules.data.all_sources():
        if source.phantom is not None:
            kind = source.phantom.kind
            raise InputError(
                f"{dataset} draws its data when it is trained; draw them by `napari-film-train phantom {kind} FOLDER`, "
                f"then `napari-film-train check FOLDER --recipe {dataset}`."
            )
    return rules.data.all_sources(), rules, False


def _records(sources: Sequence[Source], recipe: Recipe) -> tuple[Record, ...]:
    """Give the records of all data sets, subjects named as `read_cases` names them."""
    records: list[Record] = []
    for number, source in enumerate(sources, start=1):
        name = source.name or f"data{number}"
        apart = len(sources) > 1 and not recipe.data.shared_subjects
        for record in read_records(source, recipe):
            subject = f"{name}.{record.subject}" if apart and record.subject else record.subject
            records.append(replace(record, subject=subject, source=name if len(sources) > 1 else record.source))
    if recipe.data.unlabelled == "skip":
        records = [record for record in records if record.mask is not None]
    if not records:
        raise InputError("The data have no case to look at; correct the data of the recipe.")
    return tuple(records)


def _refusal(sources: Sequence[Source], recipe: Recipe) -> list[Finding]:
    """Tell what ``fit`` itself would say, should it find something that nothing here has."""
    try:
        split_cases(read_cases(sources, recipe), recipe.training.split, seed=recipe.training.seed)
    except ManifestError as error:
        return [Finding("refused", "error", "", str(error))]
    return []

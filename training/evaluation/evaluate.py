"""Evaluate checkpoints on a data set: from the files to the numbers, the tables and the pictures."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from rich.console import Console

from napari_film.comparison.table import TOLERANCE_MM
from napari_film.errors import InputError
from napari_film.inference.plan import DeviceName

from ..cases.case import data_hash
from ..data import find_cases
from ..progress import counted
from ..recipe import Recipe, bundled_recipes, load_recipe
from .evaluation import Evaluation, notices_of, summarise_groups
from .files import open_folder, write_files
from .parts import Parts, choose, parts_of
from .replicate import read_replicates, recipe_of
from .score import Runner, Score, score_cases

DRAWS = 10_000
_MOST_DRAWS = 1_000_000


def evaluate(
    models: Sequence[Path],
    dataset: str,
    output: Path,
    *,
    without_prior: Sequence[Path] = (),
    subjects: str = "test",
    tolerance: float = TOLERANCE_MM,
    draws: int = DRAWS,
    seed: int = 0,
    device: DeviceName = "auto",
    console: Console | None = None,
) -> Evaluation:
    """Evaluate ``models`` on ``dataset``, and leave the files in ``output``.

    Parameters
    ----------
    models
        Checkpoints: one, or several trainings of one recipe.
    dataset
        A BIDS folder, a table, or a recipe, whose data are taken. How images, masks and columns are found in it is what the
        recipe of the checkpoints says.
    output
        A folder without another evaluation in it; made if need be.
    without_prior
        The same network trained without prior, one for each model.
    subjects
        "test", "all", or a text file with one subject a line.
    tolerance
        How far apart two surfaces may be and still count as one, mm.
    draws, seed
        Of the bootstrap.
    device
        What to run on.
    console
        Where progress is shown; None for nowhere.

    Raises
    ------
    InputError
        If checkpoints, data or folder cannot be used.
    """
    if not 0 <= tolerance < float("inf"):
        raise InputError(f"The tolerance is {tolerance} mm; give a length of 0 mm or more.")
    if not 100 <= draws <= _MOST_DRAWS or seed < 0:
        raise InputError(f"{draws} draws of seed {seed}; give 100 to {_MOST_DRAWS} draws, and a seed of 0 or more.")
    console = console or Console(quiet=True)
    replicates = read_replicates(models, without_prior)
    first = replicates[0].network
    recipe = recipe_of(first.header, first.path.name)
    open_folder(output)
    recipe, data = _with_data(recipe, dataset)
    drawn = first.path.parent if (first.path.parent / "recipe.toml").is_file() else output  # where a phantom is, or comes
    cases, title = find_cases(recipe, drawn, data=data, console=console)
    found = data_hash(cases)
    scores: list[Score] = []
    known: list[Parts] = [parts_of(replicate, cases, recipe, found) for replicate in replicates]
    chosen = [choose(cases, parts, subjects) for parts in known]
    with counted(console, "evaluating", sum(map(len, chosen))) as advance:
        for replicate, own in zip(replicates, chosen, strict=True):
            scores += score_cases(replicate, cases, own, recipe, tolerance=tolerance, device=device, progress=advance)
    there = {score.subject for score in scores}
    left_out = sorted({case.subject for case in cases} - there) if subjects == "test" else []
    evaluation = Evaluation(
        replicates,
        recipe,
        cases,
        title,
        found,
        subjects if subjects in {"test", "all"} else Path(subjects).name,
        tolerance,
        draws,
        seed,
        tuple(scores),
        summarise_groups(scores, recipe, draws=draws, seed=seed),
        notices_of(scores, left_out, replicates),
    )
    by_name = {replicate.network.label: replicate for replicate in replicates}
    write_files(evaluation, output, lru_cache(maxsize=1)(lambda name: Runner(by_name[name], recipe, device)))
    return evaluation


def _with_data(recipe: Recipe, dataset: str) -> tuple[Recipe, Path | None]:
    """Give ``recipe`` with the data of the recipe ``dataset``; or as it is, and the path of a data set to use instead."""
    path = Path(dataset)
    if path.suffix.lower() == ".toml" or (not path.exists() and dataset in bundled_recipes()):
        return recipe.model_copy(update={"data": load_recipe(dataset)[0].data}), None
    return recipe, path

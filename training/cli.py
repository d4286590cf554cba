"""`napari-film-train`: train a model from a recipe, draw a phantom."""

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from napari_film import console
from napari_film.errors import InputError
from napari_film.inference.plan import DeviceName

app = typer.Typer(
    name="napari-film-train",
    help="Train FiLM-conditioned U-Nets for napari-film.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Published(StrEnum):
    """Public data sets that are read as they were published."""

    MSD = "msd"
    KITS19 = "kits19"
    ACDC = "acdc"


@app.command(name="fit")
def fit_command(
    recipe: Annotated[
        str,
        typer.Argument(help="A recipe (TOML), or the name of one that comes with the package: abdomen, cardiac, clevr_seg, spinal_tumor."),
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the run; runs/NAME by default.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="BIDS folder to train on instead of the recipe's own data.")] = None,
    cache: Annotated[Path | None, typer.Option("--cache", help="Folder of prepared slices, kept between runs; your cache folder.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe, such as training.epochs=20; as often as you like."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder, after its last whole epoch.")] = False,
    devices: Annotated[int | None, typer.Option("--devices", help="Devices (GPUs, or processes of a CPU) on each node.")] = None,
    nodes: Annotated[int | None, typer.Option("--nodes", help="Machines that train together.")] = None,
    strategy: Annotated[str | None, typer.Option("--strategy", help="How devices share the work: auto or ddp.")] = None,
    precision: Annotated[str | None, typer.Option("--precision", help="float32 or bfloat16.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes that load slices; 0 for none.")] = None,
) -> None:
    """Train the model that RECIPE describes; the checkpoint is RUN/best.safetensors."""
    from .allocator import keep_memory
    from .recipe import load_recipe

    named = {"devices": devices, "nodes": nodes, "strategy": strategy, "precision": precision, "workers": workers}
    options = [f"training.{name}={value}" for name, value in named.items() if value is not None]
    loaded, text = load_recipe(recipe, [*(settings or ()), *options])
    folder = output or Path("runs") / loaded.model.name
    keep_memory()
    try:
        from .fit import Interrupted, fit
    except ModuleNotFoundError as error:
        if error.name not in {"lightning", "matplotlib", "monai"}:
            raise
        raise InputError(f"Training needs {error.name}, which is not installed; install napari-film[train].") from error
    from rich.console import Console

    from .report import closing_words

    screen = Console()
    try:
        fitted = fit(loaded, text, folder, data=data, cache=cache, console=screen, resume=resume)
    except Interrupted as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(130) from error
    if fitted.scores:
        screen.print(closing_words(fitted, loaded), highlight=False, markup=False, soft_wrap=True)


@app.command(name="check")
def check_command(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A recipe, for its own data; or a BIDS folder, or a table (.csv, .tsv).")
    ],
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="For a folder or a table: the recipe that says which channels, classes and fields count.")
    ] = None,
    json_file: Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write all that was found as JSON; - prints it.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes that read, each one volume at a time.")] = 1,
) -> None:
    """Tell everything that is wrong with a data set before any training; ends with code 1 where there are errors."""
    import sys

    from napari_film.atomic import write_text

    from .check.command import check

    if json_file not in {None, "-"} and not Path(str(json_file)).parent.is_dir():
        raise InputError(f"The folder of {json_file} does not exist; make it first or name another one.")
    with ExitStack() as shown:

        def bar(cases: int) -> Callable[[int], None]:
            return shown.enter_context(typer.progressbar(length=cases, label="looking at the data", file=sys.stderr)).update

        found = check(dataset, recipe=recipe, jobs=jobs, bar=bar if sys.stderr.isatty() else None)
    if json_file == "-":
        typer.echo(found.to_json(), nl=False)
    else:
        if json_file is not None:
            write_text(json_file, found.to_json())
        typer.echo("\n".join(found.lines()))
    if found.errors:
        raise typer.Exit(1)


@app.command(name="prepare")
def prepare_command(
    kind: Annotated[Published, typer.Argument(help="Which data set: msd (any task of the Decathlon), kits19 or acdc.")],
    source: Annotated[Path, typer.Argument(help="Its folder, unpacked as it was published.")],
    output: Annotated[Path, typer.Argument(help="Where the table and the recipe go; no images are copied.")],
) -> None:
    """Write a table of cases and a recipe for a public data set."""
    from .prepare import READERS, RECIPE, prepare

    published = prepare(READERS[kind.value], source, output)
    for notice in published.notices:
        typer.echo(notice)
    typer.echo(f"{len(published.cases)} cases of {published.title} are in {output}")
    typer.echo(f"napari-film-train fit {shlex.quote(str(output / RECIPE))}")


@app.command(name="phantom")
def phantom_command(
    kind: Annotated[str, typer.Argument(help="spinal_tumor, abdomen, cardiac or clevr_seg.")],
    directory: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")],
    subjects: Annotated[int, typer.Option("--subjects", help="How many subjects to draw.")] = 30,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same files.")] = 0,
    one_organ_per_scan: Annotated[bool, typer.Option("--one-organ-per-scan", help="Label one organ in each scan (abdomen).")] = False,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes that draw (clevr_seg); one for each core.")] = None,
) -> None:
    """Draw a synthetic data set with its labels: in BIDS layout, or of pictures with tables (clevr_seg)."""
    from napari_film.sample_data import write_phantom

    with typer.progressbar(length=subjects, label=f"drawing {kind}") as bar:
        write_phantom(
            kind,
            directory,
            subjects=subjects,
            seed=seed,
            one_organ_per_scan=one_organ_per_scan,
            processes=jobs or os.cpu_count() or 1,
            progress=lambda done, total: bar.update(1),
        )
    typer.echo(f"{subjects} subjects are in {directory}")


@app.command(name="evaluate")
def evaluate_command(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="A checkpoint, or several trainings of one recipe; or a bundled one's name.")
    ],
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A BIDS folder, a table (.csv, .tsv), or a recipe, for its data.")],
    without_prior: Annotated[
        list[Path] | None,
        typer.Option(metavar="MODEL", help='The same network trained with training.prior = "none"; once for each MODEL.'),
    ] = None,
    subjects: Annotated[
        str, typer.Option(metavar="test|all|FILE", help="Those not trained on, all, or those named in a text file, one a line.")
    ] = "test",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the results; evaluations/NAME by default.")] = None,
    tolerance: Annotated[float, typer.Option(metavar="MM", help="How far surfaces may be apart and still count as one.")] = 2.0,
    draws: Annotated[int, typer.Option("--draws", help="Draws of the bootstrap.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same intervals.")] = 0,
    device: Annotated[DeviceName, typer.Option(help="Where to run.")] = "auto",
) -> None:
    """Score MODELs on DATASET: Dice, distances and volumes, what the metadata bring, and pictures."""
    from napari_film.bundled import find_checkpoint
    from napari_film.header import read_header

    paths = [find_checkpoint(model) for model in models]
    folder = output or Path("evaluations") / read_header(paths[0]).name
    try:
        from .evaluation.evaluate import evaluate
    except ModuleNotFoundError as error:
        if error.name not in {"lightning", "matplotlib", "monai"}:
            raise
        raise InputError(f"An evaluation needs {error.name}, which is not installed; install napari-film[train].") from error
    from rich.console import Console

    from .evaluation.words import told

    screen = Console()
    evaluation = evaluate(
        paths,
        dataset,
        folder,
        without_prior=without_prior or (),
        subjects=subjects,
        tolerance=tolerance,
        draws=draws,
        seed=seed,
        device=device,
        console=screen,
    )
    for line in (told(evaluation), "", *evaluation.notices, "", f"Table, summary and pictures are in {folder}"):
        screen.print(line, highlight=False, markup=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; what a person can mend is told in one line and ends with code 2."""
    console.run(app, "napari-film-train", arguments)

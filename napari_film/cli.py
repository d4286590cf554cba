"""`napari-film`: segment without a viewer, describe a checkpoint, or see the demo."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from napari_film import console
from napari_film.atomic import atomic_path
from napari_film.bundled import find_checkpoint
from napari_film.errors import InputError
from napari_film.fields import Value
from napari_film.header import Header, read_header
from napari_film.inference import options
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import DeviceName, PrecisionName
from napari_film.inference.postprocessing import Postprocessing
from napari_film.volume import axis_names

if TYPE_CHECKING:
    from napari_film.inference.prediction import Prediction
    from napari_film.inference.predictor import Predictor
    from napari_film.preprocessing import Prepared

_NAME = "napari-film"
_PATHS = {"images", "model", "output", "probabilities", "plan"}  # parameters of `predict` that name a file

_IMAGES = "One .nii or .nii.gz file per channel, in the model's order; or a picture (.png, .tif) with all channels."
_METADATA = (
    "A condition value; once per field of the model. A field that is known per slice is filled in where it is left out; it also takes "
    "one number for all slices, or one for each, in their order: 0,0.5,1."
)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def predict(
    context: typer.Context,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help=_IMAGES)],
    model: Annotated[str, typer.Option(help="A .safetensors checkpoint, or the name of a bundled one.")],
    output: Annotated[
        Path, typer.Option(help="Mask to write, .nii or .nii.gz, of a picture also .png or .tif; a JSON sidecar is written beside it.")
    ],
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help=_METADATA)] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD: VALUE=PERCENT, ...",
            help="Percents for the values of a context field that is not sure: their probabilities are averaged.",
        ),
    ] = None,
    blend: Annotated[bool, typer.Option("--blend", help="With --weights: blend the metadata instead, which no training did.")] = False,
    all_values: Annotated[bool, typer.Option("--all-values", help="All values of the model's target field in one mask.")] = False,
    probabilities: Annotated[Path | None, typer.Option(help="Also write probabilities; several classes lie along the fourth axis.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Probability threshold; by default the checkpoint's for these metadata.")] = None,
    largest_component: Annotated[bool, typer.Option("--largest-component", help="Keep the largest component of each label alone.")] = False,
    min_volume: Annotated[float | None, typer.Option(metavar="MM3", help="Take components away that are smaller.")] = None,
    fill_holes: Annotated[bool, typer.Option("--fill-holes", help="Fill holes that a label closes on all sides.")] = False,
    device: Annotated[DeviceName, typer.Option(help="Where to run.")] = "auto",
    precision: Annotated[PrecisionName, typer.Option(help="Arithmetic of the network.")] = "auto",
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="SIDECAR|PLAN", help="Replay the plan in the JSON sidecar of an earlier mask, or one in words: device=cpu,..."
        ),
    ] = None,
) -> None:
    """Segment one patient's IMAGEs under the given metadata."""
    checkpoint_path = find_checkpoint(model)
    header = read_header(checkpoint_path)
    given, mixture = options.read_metadata(header, metadata or []), options.read_mixture(header, weights, blend=blend)
    runs = options.runs_of(header, given, mixture, all_values=all_values)
    postprocessing = Postprocessing(
        threshold=None if threshold is None else options.read_threshold(threshold),
        largest_component=largest_component,
        smallest_mm3=0 if min_volume is None else options.read_volume(min_volume),
        fill_holes=fill_holes,
    )
    if plan is not None and (device, precision) != ("auto", "auto"):
        raise InputError("A replayed plan has a device and a precision of its own; leave out --device and --precision, or --plan.")
    options.check_outputs(images, [path for path in (output, probabilities) if path is not None])

    from napari_film import nifti, picture  # and torch below, once it is clear that there is something to do
    from napari_film.checkpoint import load_checkpoint
    from napari_film.inference import sidecar
    from napari_film.inference.prediction import JointProbabilities, joint_mask
    from napari_film.inference.predictor import Predictor

    recorded = None if plan is None else options.read_plan(plan)
    read = [picture.read_for_model(image, header.preprocessing) for image in images]
    checkpoint = load_checkpoint(checkpoint_path)
    predictor = Predictor(checkpoint, plan=recorded, device=device, precision=precision)
    predictions = _predict(predictor, predictor.prepare([volume for volume, _ in read]), runs, mixture)
    converted = [notice for _, notices in read for notice in notices]
    predictions = [
        replace(prediction, postprocessing=postprocessing, notices=(*converted, *prediction.notices)) for prediction in predictions
    ]
    mask = joint_mask(predictions)
    reference = predictions[0].prepared.reference
    content = sidecar.describe(
        predictions,
        mask,
        checkpoint.header,
        model=checkpoint.name,
        model_hash=checkpoint.hash,
        sources=[image.name for image in images],
        command=_command_line(context),
        origins=dict.fromkeys([*given, *([mixture.field] if mixture else [])], "command line"),
    )
    with ExitStack() as together:  # all of the files appear, or none
        names = sidecar.label_names(checkpoint.header, [prediction.metadata for prediction in predictions])
        if picture.is_picture(output):
            picture.write(together.enter_context(atomic_path(output)), mask)
        else:
            nifti.write(together.enter_context(atomic_path(output)), mask, reference, names=names)
        if probabilities is not None:
            nifti.write(together.enter_context(atomic_path(probabilities)), JointProbabilities(predictions), reference)
        together.enter_context(atomic_path(sidecar.sidecar_path(output))).write_text(sidecar.to_json(content), encoding="utf-8")
    for notice in dict.fromkeys(notice for prediction in predictions for notice in prediction.notices):
        console.tell(_NAME, notice)
    pixels = picture.is_picture(images[0])  # of which each counts as 1 mm³
    sizes = [
        f"{name} {round(1000 * volume):,} pixels" if pixels else f"{name} {volume:.2f} ml" for name, volume in content["VolumesMl"].items()
    ]
    typer.echo(f"{output.name}: {', '.join(sizes)}")


@app.command()
def info(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .safetensors checkpoint, or the name of a bundled one.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the header as JSON.")] = False,
) -> None:
    """Describe a checkpoint: what it expects, what it segments, how well it did."""
    header = read_header(find_checkpoint(model))
    if as_json:
        typer.echo(header.model_dump_json(indent=2))
        return
    typer.echo("\n".join(_description(header)))


@app.command()
def demo(
    headless: Annotated[bool, typer.Option("--headless", help="Run by itself, leave pictures and a table, and end.")] = False,
    output: Annotated[Path, typer.Option(help="Folder for the pictures of --headless.")] = Path("demo"),
) -> None:
    """Open napari with a phantom and its demo model; pick another condition value and see the mask change."""
    try:
        from napari_film.plugin import demo as window  # noqa: TID251  # the one way round the layering: needs napari, and only when called
    except ModuleNotFoundError as error:
        raise InputError(f'The demo needs napari ({error.name} is missing); install it with: pip install "napari-film[all]"') from error
    if headless:
        typer.echo(window.run_headless(output))
    else:
        window.run()


def main() -> None:
    """Entry point: a person's mistakes are one line on stderr and exit code 2."""
    console.run(app, _NAME)


def _predict(
    predictor: "Predictor", prepared: "Prepared", runs: Sequence[Mapping[str, Value]], mixture: Mixture | None
) -> "list[Prediction]":
    terminal = Console(stderr=True)
    with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        task = progress.add_task("slices", total=None)
        return predictor.predict_each(
            prepared, runs, mixture=mixture, progress=lambda done, total: progress.update(task, completed=done, total=total)
        )


def _command_line(context: typer.Context) -> str:
    """Give the command with file names only: a folder can name a patient."""
    words = context.command_path.split()
    for parameter in context.command.params:
        given = context.params[str(parameter.name)]
        if given == parameter.default:
            continue
        for value in given if isinstance(given, list | tuple) else [given]:
            if parameter.param_type_name == "option":
                words.append(parameter.opts[0])
            if value is not True:
                words.append(Path(value).name if parameter.name in _PATHS else str(value))
    return shlex.join(words)


def _description(header: Header) -> list[str]:
    preprocessing = header.preprocessing
    axes = " x ".join(axis_names(preprocessing.slice_axis))
    spacing = " x ".join("any" if size is None else f"{size:g}" for size in preprocessing.spacing)
    lines = [header.name, *filter(None, [header.description]), ""]
    lines.append(f"Channels: {', '.join(filter(None, (f'{c.name} ({c.suffix})' if c.suffix else c.name for c in header.channels)))}")
    lines.append(f"Slices: {preprocessing.slice_axis}; spacing {axes}: {spacing} mm")
    lines.append(f"Classes: {', '.join(header.classes)}")
    for field in header.metadata_schema:
        lines.append(f"Field {field.name} ({field.role}): {field.expected}")
    if not header.metadata_schema.fields:
        lines.append("Fields: none; this model takes no metadata")
    for title, table in header.provenance.scores.items():
        lines += ["", f"{title} (rows: true value; columns: value given to the network)"]
        columns = list(dict.fromkeys(column for row in table.values() for column in row))
        width = max(len(word) for word in (*table, *columns)) + 2
        lines.append("".join(word.ljust(width) for word in ("", *columns)).rstrip())
        for name, row in table.items():
            cells = ("-" if row.get(column) is None else f"{row[column]:.3f}" for column in columns)
            lines.append("".join(word.ljust(width) for word in (name, *cells)).rstrip())
    if header.licence:
        lines += ["", f"Licence: {header.licence}"]
    return lines

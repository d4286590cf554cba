"""`napari-film`: segment without a viewer, describe a checkpoint, or see the demo."""

import math
import os
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
from napari_film.conditioning import Value
from napari_film.errors import InputError
from napari_film.header import Header, read_header
from napari_film.inference.plan import DeviceName, PrecisionName

if TYPE_CHECKING:
    from napari_film.inference.prediction import Prediction
    from napari_film.inference.predictor import Predictor
    from napari_film.preprocessing import Prepared

_NAME = "napari-film"
_NIFTI = (".nii", ".nii.gz")
_PATHS = {"images", "model", "output", "probabilities", "plan"}  # parameters of `predict` that name a file

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def predict(
    context: typer.Context,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="One .nii or .nii.gz file per channel, in the model's order.")],
    model: Annotated[str, typer.Option(help="A .safetensors checkpoint, or the name of a bundled one.")],
    output: Annotated[Path, typer.Option(help="Mask to write, .nii or .nii.gz; a JSON sidecar is written beside it.")],
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A condition value; once per field of the model.")] = None,
    all_values: Annotated[bool, typer.Option("--all-values", help="All values of the model's target field in one mask.")] = False,
    probabilities: Annotated[Path | None, typer.Option(help="Also write probabilities; several classes lie along the fourth axis.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Probability threshold; by default the checkpoint's for these metadata.")] = None,
    device: Annotated[DeviceName, typer.Option(help="Where to run.")] = "auto",
    precision: Annotated[PrecisionName, typer.Option(help="Arithmetic of the network.")] = "auto",
    plan: Annotated[Path | None, typer.Option(metavar="SIDECAR", help="Replay the plan in the JSON sidecar of an earlier mask.")] = None,
) -> None:
    """Segment one patient's IMAGEs under the given metadata."""
    checkpoint_path = find_checkpoint(model)
    conditions = _conditions(read_header(checkpoint_path), metadata or [], all_values=all_values)
    steps = None if threshold is None else _threshold(threshold)
    if plan is not None and (device, precision) != ("auto", "auto"):
        raise InputError("A replayed plan has a device and a precision of its own; leave out --device and --precision, or --plan.")
    _check_outputs(images, [path for path in (output, probabilities) if path is not None])

    from napari_film import nifti  # and torch below, once it is clear that there is something to do
    from napari_film.checkpoint import load_checkpoint
    from napari_film.inference import sidecar
    from napari_film.inference.prediction import JointProbabilities, joint_mask
    from napari_film.inference.predictor import Predictor

    recorded = None if plan is None else sidecar.read_plan(plan)
    volumes = [nifti.read(image) for image in images]
    checkpoint = load_checkpoint(checkpoint_path)
    predictor = Predictor(checkpoint, plan=recorded, device=device, precision=precision)
    predictions = _predict(predictor, predictor.prepare(volumes), conditions)
    if steps is not None:
        predictions = [replace(prediction, thresholds=(steps,) * len(prediction.thresholds)) for prediction in predictions]
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
    )
    with ExitStack() as together:  # all of the files appear, or none
        names = sidecar.label_names(checkpoint.header, predictions)
        nifti.write(together.enter_context(atomic_path(output)), mask, reference, names=names)
        if probabilities is not None:
            nifti.write(together.enter_context(atomic_path(probabilities)), JointProbabilities(predictions), reference)
        together.enter_context(atomic_path(sidecar.sidecar_path(output))).write_text(sidecar.to_json(content), encoding="utf-8")
    for notice in dict.fromkeys(notice for prediction in predictions for notice in prediction.notices):
        console.tell(_NAME, notice)
    volumes_ml = ", ".join(f"{name} {volume:.2f} ml" for name, volume in content["VolumesMl"].items())
    typer.echo(f"{output.name}: {volumes_ml}")


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


def _conditions(header: Header, words: Sequence[str], *, all_values: bool) -> list[dict[str, Value]]:
    """Give the metadata of each run that is asked for, checked against the schema before anything is loaded."""
    metadata: dict[str, Value] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"The metadata are given as {word!r}; write KEY=VALUE, for example {_example(header)}.")
        if key in metadata:
            raise InputError(f"{key} is given twice; give it once.")
        metadata[key] = value
    schema = header.metadata_schema
    if not all_values:
        return [dict(schema.resolve(metadata).values)]
    if schema.target is None:
        raise InputError(f"The model {header.name} has no target field, so there is nothing to put together; leave --all-values out.")
    if schema.target.name in metadata:
        raise InputError(f"{schema.target.name} is given together with --all-values; leave one of them out.")
    return [dict(schema.resolve({**metadata, schema.target.name: value}).values) for value in schema.target.values]


def _example(header: Header) -> str:
    for field in header.metadata_schema:
        return f"{field.name}={field.example}"
    return "nothing: this model takes no metadata"


def _threshold(probability: float) -> int:
    steps = round(256 * probability) if math.isfinite(probability) else 0
    if not 1 <= steps <= 255:
        raise InputError(f"The threshold is {probability:g}; give a probability between 0 and 1 (steps of 1/256).")
    return steps


def _check_outputs(images: Sequence[Path], outputs: Sequence[Path]) -> None:
    taken = {_stem(path) for image in images for path in (image, image.resolve())}
    for output in outputs:
        if not output.name.endswith(_NIFTI):
            raise InputError(f"The output is {output.name}; give a name that ends in .nii or .nii.gz.")
        if not os.path.isdir(output.parent):
            raise InputError(f"The folder of {output.name} does not exist; make it first or name another one.")
        if os.path.isdir(output):
            raise InputError(f"The output {output.name} is a folder; name a file to write to.")
        if {_stem(output), _stem(output.resolve())} & taken:
            raise InputError(f"The output {output.name} has the name of one of the images, or of the JSON beside it; give another name.")
    if len({_stem(output) for output in outputs}) < len(outputs):
        raise InputError(f"Mask and probabilities are both to be written to {outputs[0].name}; give two names.")


def _stem(path: Path) -> Path:
    """Where a file stands, less the endings of NIfTI: what its JSON sidecar shares with it."""
    return path.parent.resolve() / path.name.removesuffix(".gz").removesuffix(".nii")


def _predict(predictor: "Predictor", prepared: "Prepared", conditions: Sequence[Mapping[str, Value]]) -> "list[Prediction]":
    terminal = Console(stderr=True)
    with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        task = progress.add_task("slices", total=prepared.shape[0] * len(conditions))
        return predictor.predict_each(prepared, conditions, progress=lambda done, _: progress.update(task, completed=done))


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
    spacing = " x ".join("any" if size is None else f"{size:g}" for size in preprocessing.spacing)
    lines = [header.name, *filter(None, [header.description]), ""]
    lines.append(f"Channels: {', '.join(filter(None, (f'{c.name} ({c.suffix})' if c.suffix else c.name for c in header.channels)))}")
    lines.append(f"Slices: {preprocessing.slice_axis}; spacing R x A x S: {spacing} mm")
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

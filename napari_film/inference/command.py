"""The line of `napari-film predict` that makes a mask again, voxel for voxel.

It says everything that decides the mask: images in order, model, metadata or weights, postprocessing and plan. `options` reads
the same words. It names files with their folders, so it is for a person's own terminal, and not for a sidecar.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from subprocess import list2cmdline

from napari_film.bundled import bundled_checkpoints, find_checkpoint
from napari_film.fields import Value
from napari_film.header import read_header
from napari_film.inference.prediction import Prediction


def predict_command(images: Sequence[Path], model: str | Path, output: Path, predictions: Sequence[Prediction], *, all_values: bool) -> str:
    """Write the command line that makes the mask of ``predictions``, quoted for this system's shell.

    Parameters
    ----------
    images
        One file per channel, in the model's order.
    model
        File or name of the checkpoint; a bundled one is named, wherever it is installed.
    output
        Where the command is to write the mask.
    predictions
        One, or one per value of the target field: as `joint_mask` takes them. Of slices that were not computed the command
        makes the rest.
    all_values
        Whether they are those of all values of the target field.

    Raises
    ------
    CheckpointError
        If there is no such checkpoint.
    """
    first = predictions[0]
    words = ["napari-film", "predict", *map(_operand, images), "--model", _model_name(model), "--output", str(output)]
    target = read_header(find_checkpoint(str(model))).metadata_schema.target if all_values else None
    for name, value in first.sure_metadata.items():
        if target is None or name != target.name:
            words += ["--metadata", f"{name}={_written(value)}"]
    if first.mixture is not None:
        words += ["--weights", first.mixture.text, *(["--blend"] if first.mixture.mode == "blended" else [])]
    if all_values:
        words.append("--all-values")
    words += [*first.postprocessing.words(), "--plan", first.plan.text]
    return list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _model_name(model: str | Path) -> str:
    path = Path(model).resolve()
    return next((name for name, bundled in bundled_checkpoints().items() if bundled.resolve() == path), str(model))


def _operand(path: Path) -> str:
    """Give a path that no option can be mistaken for."""
    return os.path.join(os.curdir, path) if str(path).startswith("-") else str(path)


def _written(value: Value) -> str:
    """Give a value so that the same number is read from it."""
    return value if isinstance(value, str) else repr(float(value)).removesuffix(".0")

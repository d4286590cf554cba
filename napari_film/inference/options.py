"""What a person writes after `napari-film predict`, read: each mistake is one sentence, before anything is loaded.

`command` writes the same words.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_film.errors import InputError
from napari_film.fields import Value
from napari_film.header import Header
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import Plan

_NIFTI = (".nii", ".nii.gz")
_PICTURES = (".png", ".tif", ".tiff")  # as in `picture`, which would be loaded for them


def read_metadata(header: Header, words: Sequence[str]) -> dict[str, Value]:
    """Read the words of --metadata, KEY=VALUE; the values as they are written.

    Raises
    ------
    InputError
        If one is not of that form, or a key comes twice.
    """
    metadata: dict[str, Value] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"The metadata are given as {word!r}; write KEY=VALUE, for example {_example(header)}.")
        if key in metadata:
            raise InputError(f"{key} is given twice; give it once.")
        metadata[key] = value
    return metadata


def read_mixture(header: Header, weights: str | None, *, blend: bool) -> Mixture | None:
    """Read --weights and --blend; None where nothing is weighed. Raises InputError, of which MetadataError is one."""
    if weights is not None:
        return Mixture.parse(weights, schema=header.metadata_schema, mode="blended" if blend else "expected")
    if blend:
        raise InputError("--blend says how --weights are meant; give --weights too, or leave it out.")
    return None


def runs_of(header: Header, given: Mapping[str, Value], mixture: Mixture | None, *, all_values: bool) -> list[dict[str, Value]]:
    """Give the metadata of each mask that is asked for: one, or with --all-values one per value of the target field.

    Raises
    ------
    InputError
        If the schema does not take them, or two options contradict each other.
    """
    schema = header.metadata_schema
    if mixture is not None and mixture.field in given:
        raise InputError(f"{mixture.field} is given by --metadata and by --weights; leave one of them out.")
    if not all_values:
        runs = [dict(given)]
    elif schema.target is None:
        raise InputError(f"The model {header.name} has no target field, so there is nothing to put together; leave --all-values out.")
    elif schema.target.name in given:
        raise InputError(f"{schema.target.name} is given together with --all-values; leave one of them out.")
    else:
        runs = [{**given, schema.target.name: value} for value in schema.target.values]
    for run in runs:
        if mixture is not None:
            mixture.components(schema, run)
        else:
            schema.resolve(run)
    return runs


def read_threshold(probability: float) -> int:
    """Read --threshold, a probability, as the nearest 256th; raises InputError where that is none from 1 to 255."""
    steps = round(256 * probability) if math.isfinite(probability) else 0
    if not 1 <= steps <= 255:
        raise InputError(f"The threshold is {probability:g}; give a probability between 0 and 1 (steps of 1/256).")
    return steps


def read_volume(mm3: float) -> float:
    """Read --min-volume; raises InputError where it is no volume."""
    if not (math.isfinite(mm3) and mm3 >= 0):
        raise InputError(f"The smallest volume is {mm3:g}; give a volume in mm3, 0 or more.")
    return mm3


def read_plan(words: str) -> Plan:
    """Read --plan: what a sidecar recorded, or a plan in words; a file of that name wins. Raises InputError."""
    from napari_film.inference import sidecar

    return Plan.parse(words) if "=" in words and not os.path.isfile(words) else sidecar.read_plan(Path(words))


def check_outputs(images: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Raise InputError where ``outputs`` cannot be written, or would take the place of ``images`` or of one another.

    The first is the mask, which of a picture may be one, too.
    """
    taken = {_stem(path) for image in images for path in (image, image.resolve())}
    for number, output in enumerate(outputs):
        if _is_picture(output) and number == 0:
            if volume := next((image for image in images if not _is_picture(image)), None):
                raise InputError(f"The output is {output.name}, and {volume.name} is no picture; give a name that ends in .nii or .nii.gz.")
        elif not output.name.endswith(_NIFTI):
            endings = ".nii or .nii.gz, or as a picture" if number == 0 and all(map(_is_picture, images)) else ".nii or .nii.gz"
            raise InputError(f"The output is {output.name}; give a name that ends in {endings}.")
        if not os.path.isdir(output.parent):
            raise InputError(f"The folder of {output.name} does not exist; make it first or name another one.")
        if os.path.isdir(output):
            raise InputError(f"The output {output.name} is a folder; name a file to write to.")
        if {_stem(output), _stem(output.resolve())} & taken:
            raise InputError(f"The output {output.name} has the name of one of the images, or of the JSON beside it; give another name.")
    if len({_stem(output) for output in outputs}) < len(outputs):
        mask, probabilities = outputs
        raise InputError(
            f"Mask and probabilities are to be written to {mask.name} and {probabilities.name}: but for endings that is one name; give two."
        )


def _is_picture(path: Path) -> bool:
    return path.name.lower().endswith(_PICTURES)


def _stem(path: Path) -> Path:
    """Where a file stands, less the endings of NIfTI and of pictures: what its JSON sidecar shares with it."""
    if _is_picture(path):
        return path.parent.resolve() / path.stem
    return path.parent.resolve() / path.name.removesuffix(".gz").removesuffix(".nii")


def _example(header: Header) -> str:
    for field in header.metadata_schema:
        return f"{field.name}={field.example}"
    return "nothing: this model takes no metadata"

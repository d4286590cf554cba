"""Several checkpoints of one experiment: the same recipe on the same data, trained again from other seeds.

What has to be the same: the recipe but for its training seed, the data, and what of the header decides about a mask
(architecture, metadata schema, channels, classes, preprocessing). The training seed also draws which subjects are trained
on, so these checkpoints differ by subjects as well as by chance. Needs no torch.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_film.errors import InputError
from napari_film.header import Header, read_header

_PARTS = {
    "architecture": "architecture",
    "metadata_schema": "metadata fields",
    "channels": "channels",
    "classes": "classes",
    "preprocessing": "preprocessing",
}


class ExperimentError(InputError):
    """Checkpoints that are not trainings of one experiment."""


def read_experiment(checkpoints: Sequence[Path]) -> dict[str, Header]:
    """Read the headers of checkpoints of one experiment, by names that tell the files apart.

    Raises
    ------
    CheckpointError
        If one of them cannot be read.
    ExperimentError
        If a file is named twice, or they are not of one experiment.
    """
    resolved = [path.resolve() for path in checkpoints]
    for path in resolved:
        if resolved.count(path) > 1:
            raise ExperimentError(f"{path.name} is named twice; each training counts once.")
    headers = dict(zip(distinct_names(checkpoints), map(read_header, checkpoints), strict=True))
    check_one_experiment(headers)
    return headers


def check_one_experiment(headers: Mapping[str, Header]) -> None:
    """Check that ``headers``, by the names of their files, are trainings of one experiment from different seeds.

    Raises
    ------
    ExperimentError
        If they are fewer than two, one does not say how it was trained, a seed is there twice, or something else differs.
    """
    if len(headers) < 2:
        raise ExperimentError(
            f"A noise floor needs at least two checkpoints of one experiment, and {len(headers) or 'none'} is given; add one."
        )
    (first, reference), *others = headers.items()
    for name, header in headers.items():
        if header.provenance.seed is None or not header.provenance.data_hash:
            raise ExperimentError(f"{name} does not say with which seed and data it was trained; use checkpoints of napari-film-train.")
    for name, header in others:
        for part, words in _PARTS.items():
            if getattr(header, part) != getattr(reference, part):
                raise ExperimentError(f"{name} and {first} differ in their {words}; choose checkpoints of one recipe.")
        if header.provenance.data_hash != reference.provenance.data_hash:
            raise ExperimentError(f"{name} and {first} were trained on different data; choose checkpoints of one data set.")
        if difference := recipe_difference(reference, header):
            raise ExperimentError(f"{name} and {first} differ in their recipe ({difference}); only training.seed may differ.")
    seeds: dict[int | None, str] = {}
    for name, header in headers.items():
        other = seeds.setdefault(header.provenance.seed, name)
        if other != name:
            raise ExperimentError(
                f"{name} and {other} were both trained with seed {header.provenance.seed}; choose checkpoints of different seeds."
            )


def recipe_difference(one: Header, other: Header, *, but_for: Sequence[str] = ("training.seed",)) -> str:
    """Tell where the recipes of two trainings differ first, as a dotted key, but for some keys; nothing where they do not."""
    return _difference(_recipe(one, but_for), _recipe(other, but_for))


def distinct_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Name files as shortly as tells them apart: runs leave a best.safetensors each, in folders of their own."""
    names = [path.name for path in paths]
    deepest = max((len(path.parts) for path in paths), default=1)
    for depth in range(2, deepest + 1):
        names = [Path(*path.parts[-depth:]).as_posix() if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)]
    return tuple(names)


def _recipe(header: Header, but_for: Sequence[str]) -> Any:
    """The recipe without some keys ("part.key"); as text where it is no TOML."""
    text = header.provenance.recipe
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return text
    for place in but_for:
        part, _, key = place.partition(".")
        if isinstance(content.get(part), dict):
            content[part].pop(key, None)
    return content


def _difference(one: Any, other: Any, where: str = "") -> str:
    """Where two recipes differ first, as a dotted key; nothing where they do not."""
    if one == other:
        return ""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if difference := _difference(one.get(key), other.get(key), f"{where}.{key}" if where else str(key)):
                return difference
    return where or "its text"

"""The networks that are evaluated: trainings of one recipe, each with its control, the same network without prior.

A control was trained with ``training.prior = "none"``: every field was told as *unknown*, always, so that the network got one
constant vector. It is of the same recipe but for that key and the seed.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_film.comparison.experiment import ExperimentError, distinct_names, read_experiment, recipe_difference
from napari_film.fields import UNKNOWN, Value
from napari_film.header import Header, read_header

from ..recipe import Recipe, parse_recipe

# What a control may have otherwise: what it is called decides nothing.
_BUT_FOR = ("training.prior", "training.seed", "model.name", "model.description", "model.licence")


@dataclass(frozen=True)
class Network:
    """A checkpoint and its header; ``label`` names it without saying where it lies, since a folder can name a patient."""

    path: Path
    header: Header
    label: str


@dataclass(frozen=True)
class Replicate:
    """One training of the recipe, and its control if there is one."""

    network: Network
    control: Network | None = None

    @property
    def networks(self) -> tuple[Network, ...]:
        """The network, and its control if there is one."""
        return (self.network,) if self.control is None else (self.network, self.control)


def read_replicates(models: Sequence[Path], controls: Sequence[Path] = ()) -> tuple[Replicate, ...]:
    """Read the headers of ``models``, trainings of one experiment, and pair each with its control.

    Controls belong to the model of their own seed; a single model takes a single control, whatever its seed.

    Raises
    ------
    CheckpointError
        If one of them cannot be read.
    ExperimentError
        If the models are not of one experiment, or a control is none of it.
    """
    headers = list(read_experiment(models).values()) if len(models) > 1 else [read_header(models[0])]
    names = distinct_names([*models, *controls])
    for name, header in zip(names, headers, strict=False):
        if _prior(header) == "none":
            raise ExperimentError(f"{name} was trained without prior, so there is nothing to tell it; give it with --without-prior.")
    networks = [_network(path, header) for path, header in zip(models, headers, strict=True)]
    if not controls:
        return tuple(Replicate(network) for network in networks)
    read = [read_header(path) for path in controls]
    for name, header in zip(names[len(models) :], read, strict=True):
        _check_control(name, header, names[0], headers[0])
    found = [_network(path, header) for path, header in zip(controls, read, strict=True)]
    if len(networks) == len(found) == 1:
        return (Replicate(networks[0], found[0]),)
    return _paired(networks, found)


def recipe_of(header: Header, name: str) -> Recipe:
    """Give the recipe that a checkpoint was trained from; raises ExperimentError where it does not say it."""
    if not header.provenance.recipe:
        raise ExperimentError(
            f"{name} does not say by which recipe it was trained, so how its images, masks and columns are found is not known; "
            "evaluate a checkpoint of napari-film-train."
        )
    return parse_recipe(header.provenance.recipe, name=f"the recipe in {name}")


def nothing_told(header: Header) -> dict[str, Value]:
    """Metadata of a control: every field *unknown*."""
    return {field.name: UNKNOWN for field in header.metadata_schema}


def _network(path: Path, header: Header) -> Network:
    seed = header.provenance.seed
    return Network(path, header, header.name if seed is None else f"{header.name}, seed {seed}")


def _prior(header: Header) -> str:
    try:
        training: Any = tomllib.loads(header.provenance.recipe).get("training", {})
    except tomllib.TOMLDecodeError:
        return ""
    return str(training.get("prior", "known")) if isinstance(training, dict) else ""


def _check_control(name: str, control: Header, first: str, header: Header) -> None:
    """Check that ``control`` is the network of ``header`` but for its prior and seed."""
    if header.metadata_schema.target is not None:
        raise ExperimentError(
            f"{first} is told what to segment ({header.metadata_schema.target.name}), which no network can do without; "
            "leave --without-prior out."
        )
    if _prior(control) != "none":
        raise ExperimentError(f'{name} was not trained without prior; train it with training.prior = "none", and the same recipe else.')
    if difference := recipe_difference(header, control, but_for=_BUT_FOR):
        raise ExperimentError(
            f"{name} and {first} differ in their recipe ({difference}); only training.prior and training.seed may differ."
        )
    if control.provenance.data_hash != header.provenance.data_hash:
        raise ExperimentError(f"{name} and {first} were trained on different data; train both on one data set.")
    if control.preprocessing != header.preprocessing or control.classes != header.classes:
        raise ExperimentError(f"{name} and {first} differ in preprocessing or classes; choose checkpoints of one recipe.")
    if not all(field.unknown for field in control.metadata_schema):
        raise ExperimentError(f"{name} has fields that cannot be unknown, so it was not trained without prior; train it again.")


def _paired(networks: Sequence[Network], controls: Sequence[Network]) -> tuple[Replicate, ...]:
    by_seed = {control.header.provenance.seed: control for control in controls}
    seeds = [network.header.provenance.seed for network in networks]
    if len(by_seed) < len(controls) or set(by_seed) != set(seeds):
        told = ", ".join(str(control.header.provenance.seed) for control in controls)
        raise ExperimentError(
            f"The networks without prior have the seeds {told}, and the models {', '.join(map(str, seeds))}; "
            "give one of the same seed for each model."
        )
    return tuple(Replicate(network, by_seed[seed]) for network, seed in zip(networks, seeds, strict=True))

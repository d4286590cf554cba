"""The state of a run at the end of its last whole epoch, and what it takes to go on from there.

``last.ckpt`` is a checkpoint of Lightning: network, optimiser, and what the callbacks know (best network, numbers, patience). It is
replaced as a whole after each epoch. Order, augmentation and dropout are keyed by seed, epoch and index, so nothing else is needed
to go on as if nothing had happened; what an unfinished epoch did is lost.
"""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from pydantic import ValidationError

from napari_film.atomic import atomic_path
from napari_film.errors import InputError

from .recipe import Recipe

KEY = "napari_film"

FREE = (
    "model.description",
    "model.licence",
    "training.epochs",
    "training.patience",
    "training.devices",
    "training.nodes",
    "training.strategy",
    "training.workers",
    "training.pictures",
    "training.tensorboard",
)
"""Keys that may change between two parts of a run: the newer value wins. Paths of data may, too: their content is compared."""

_PATHS = ("bids", "table")


class ResumeError(InputError):
    """A run that cannot be gone on with."""


@dataclass(frozen=True)
class State:
    """What ``last.ckpt`` says of its run: whole epochs, the recipe, and the `data_hash` of its cases."""

    epochs: int
    recipe: Recipe
    data: str


def read_state(path: Path) -> State | None:
    """Read what ``path`` says of its run; None where no epoch has ended yet.

    Raises
    ------
    ResumeError
        If the file cannot be used.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        said = content[KEY]
        return State(content["epoch"] + 1, Recipe.model_validate_json(said["recipe"]), said["data"])
    except (OSError, RuntimeError, KeyError, TypeError, ValidationError, pickle.UnpicklingError, EOFError) as error:
        raise ResumeError(f"{path} is damaged, or of another version; begin anew in another folder with --output.") from error


def check_same(state: State, recipe: Recipe) -> list[str]:
    """Compare ``recipe`` with that of the run; give a sentence for each key that wins over what was.

    Raises
    ------
    ResumeError
        If a key differs that what was trained so far depends on.
    """
    before, now = _flat(state.recipe.model_dump(mode="json")), _flat(recipe.model_dump(mode="json"))
    told = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if old == new or (key.startswith("data.") and key.rpartition(".")[2] in _PATHS):
            continue
        if key not in FREE:
            raise ResumeError(
                f"{key} is {new!r} in this recipe and {old!r} in the one that the run was trained with so far; "
                "set it back, or name another folder with --output."
            )
        told.append(f"{key} is {new!r} from here on; it was {old!r}.")
    if recipe.training.epochs < state.epochs:
        raise ResumeError(f"{state.epochs} epochs are trained already; training.epochs is {recipe.training.epochs} and has to be as many.")
    return told


def check_data(state: State, data: str) -> None:
    """Raise ResumeError if ``data``, the hash of the cases now, is not that of the run."""
    if state.data != data:
        raise ResumeError(
            "The data are not those that the run was trained on so far (files, metadata or subjects differ); "
            "bring them back, or name another folder with --output."
        )


class LastEpoch(Checkpoint):
    """Writes the state of the run to ``path`` at the end of each epoch, after all other callbacks."""

    def __init__(self, path: Path, recipe: Recipe, data: str) -> None:
        self.path = path
        self.recipe = recipe
        self.data = data
        self.epochs = 0

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write."""
        trainer.save_checkpoint(self.path)
        self.epochs = trainer.current_epoch + 1

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Say which run this is: as text, for a checkpoint that holds no other classes needs no pickle to be opened."""
        checkpoint[KEY] = {"recipe": self.recipe.model_dump_json(), "data": self.data}

    def on_load_checkpoint(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take over how far it came."""
        self.epochs = checkpoint["epoch"] + 1


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint whole or not at all, and executes nothing when it reads one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write ``checkpoint``."""
        content = io.BytesIO()  # torch tells a full disk as an error of its own; writing bytes tells it as what it is
        torch.save(checkpoint, content)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content.getbuffer())

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Read tensors and plain values."""
        return dict(torch.load(path, map_location="cpu", weights_only=True))


def _flat(content: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """Every value by its dotted key; an entry of a list by its name or its number from 1."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{start}{key}.")
        elif isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
            found |= _flat({str(entry.get("name", number)): entry for number, entry in enumerate(value, start=1)}, f"{start}{key}.")
        else:
            found[f"{start}{key}"] = value
    return found

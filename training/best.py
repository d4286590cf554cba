"""The best network so far, kept as the very file that is handed on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor

from napari_film.checkpoint import save_checkpoint
from napari_film.header import Header
from napari_film.models.unet import ConditionedUNet

from .module import MEAN_DICE, TrainingModule
from .prior import deaf


class KeepBest(lightning.Callback):
    """Writes ``path`` whenever the validation Dice is higher than ever before.

    The best weights are part of the run's state as well: a file that was written after the state is written again on resuming.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self.dice = -1.0
        self.epoch: int | None = None
        self._weights: Mapping[str, Tensor] = {}

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compare, and write."""
        dice = float(trainer.callback_metrics[MEAN_DICE])
        if dice > self.dice and isinstance(pl_module, TrainingModule):
            weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in pl_module.network.state_dict().items()}
            self._weights = (
                deaf(weights, self.header.metadata_schema, self.header.architecture)
                if pl_module.recipe.training.prior == "none"
                else weights
            )
            if trainer.is_global_zero:
                self._write()
            self.dice, self.epoch = dice, trainer.current_epoch + 1

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write what a resumed run has kept."""
        if self._weights and trainer.is_global_zero:
            self._write()

    def state_dict(self) -> dict[str, Any]:
        """Give what resuming needs."""
        return {"dice": self.dice, "epoch": self.epoch, "weights": dict(self._weights)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what was kept."""
        self.dice, self.epoch, self._weights = state_dict["dice"], state_dict["epoch"], state_dict["weights"]

    def _write(self) -> None:
        with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
            network = ConditionedUNet(self.header.architecture)
        network.load_state_dict(self._weights, assign=True)
        save_checkpoint(self.path, network, self.header)

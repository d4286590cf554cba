"""A training that has lost its way is stopped before anything of it is kept."""

import lightning
import torch
from torch import Tensor

from napari_film.errors import InputError


class Diverged(InputError):
    """Loss or weights are no longer numbers."""


class Divergence(lightning.Callback):
    """Adds up the losses of an epoch where they are, and looks at the sum and at the weights once, before validation.

    A look at every step would make a GPU wait for it.
    """

    def __init__(self) -> None:
        self._sum: Tensor | None = None

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begin a sum."""
        self._sum = None

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Add the loss of a step."""
        loss = outputs["loss"].detach() if isinstance(outputs, dict) else torch.as_tensor(outputs)
        self._sum = loss if self._sum is None else self._sum + loss

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Look before the network is scored, and perhaps kept."""
        self._look(trainer, pl_module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Look before the epoch's state is written."""
        self._look(trainer, pl_module)

    def _look(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self._sum is None:
            return
        loss = bool(torch.isfinite(self._sum))
        weights = all(bool(torch.isfinite(weight).all()) for weight in pl_module.parameters())
        self._sum = None
        # One process that stopped alone would leave the others waiting for it.
        if trainer.strategy.reduce_boolean_decision(not (loss and weights), all=False):
            what = "weights are" if loss else "loss is"
            raise Diverged(
                f"The {what} no longer finite in epoch {trainer.current_epoch + 1}: the training diverged; "
                "lower training.learning_rate, or use precision float32, and train anew."
            )

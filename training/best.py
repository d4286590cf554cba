"""The best network so far, kept as the very file that is handed on."""

from pathlib import Path

import lightning

from napari_film.checkpoint import save_checkpoint
from napari_film.header import Header

from .module import MEAN_DICE, TrainingModule


class KeepBest(lightning.Callback):
    """Writes ``path`` whenever the validation Dice is higher than ever before."""

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self.dice = -1.0
        self.epoch: int | None = None

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compare, and write."""
        dice = float(trainer.callback_metrics[MEAN_DICE])
        if dice > self.dice and isinstance(pl_module, TrainingModule):
            save_checkpoint(self.path, pl_module.network, self.header)
            self.dice, self.epoch = dice, trainer.current_epoch + 1

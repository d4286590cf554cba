"""When a training ends before its last epoch."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import EarlyStopping

from .module import MEAN_DICE


class Patience(EarlyStopping):
    """Stops once ``patience`` validations brought no gain of ``epsilon`` over the best Dice ever.

    A resumed training goes on counting where it was, under the patience that it is given now.
    """

    def __init__(self, *, epsilon: float, patience: int) -> None:
        super().__init__(MEAN_DICE, mode="max", min_delta=epsilon, patience=patience)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        super().load_state_dict({**state_dict, "patience": self.patience})

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop at once where patience was at its end before."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True

"""The numbers of every epoch: ``metrics.csv``, and TensorBoard where it is installed.

The table is part of the run's state and is written anew after each epoch, so a resumed run has no epoch twice and lacks none.
"""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning

from napari_film.atomic import write_text

from .module import MEAN_DICE

Row = dict[str, float]
"""Numbers of one epoch by name; ``epoch`` counts from 1."""

FIRST = ("epoch", "learning_rate", "loss", MEAN_DICE)


class History(lightning.Callback):
    """Collects a `Row` an epoch, and writes them.

    Parameters
    ----------
    path
        The CSV file.
    tensorboard
        Folder of TensorBoard's files; None for none.
    tell
        Takes a sentence for the person.
    """

    def __init__(self, path: Path, *, tensorboard: Path | None, tell: Callable[[str], None]) -> None:
        self.path = path
        self.rows: list[Row] = []
        self._folder = tensorboard
        self._tell = tell
        self._board: Any = None
        self._validated = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Open TensorBoard; what it has of epochs that are trained again is hidden."""
        if self._folder is None or not trainer.is_global_zero:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._tell("TensorBoard is not installed, so there are no logs for it; metrics.csv has all numbers.")
            return
        self._board = SummaryWriter(str(self._folder), purge_step=trainer.current_epoch + 1)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Remember that this epoch has scores."""
        self._validated = True

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add the epoch's row."""
        row: Row = {"epoch": trainer.current_epoch + 1, "learning_rate": float(trainer.optimizers[0].param_groups[0]["lr"])}
        for name, value in trainer.callback_metrics.items():
            if self._validated or not name.startswith(MEAN_DICE):
                row[name] = float(value)
        self._validated = False
        self.rows.append(row)
        if trainer.is_global_zero:
            write_text(self.path, table(self.rows))
        if self._board is not None:
            for name, number in row.items():
                if name != "epoch":
                    self._board.add_scalar(name, number, int(row["epoch"]))
            self._board.flush()

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Close TensorBoard."""
        self._close()

    def on_exception(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException) -> None:
        """Close TensorBoard."""
        self._close()

    def state_dict(self) -> dict[str, Any]:
        """Give what resuming needs."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the rows that were kept."""
        self.rows = state_dict["rows"]

    def _close(self) -> None:
        if self._board is not None:
            self._board.close()
            self._board = None


def table(rows: list[Row]) -> str:
    """CSV of ``rows``; what was not measured in an epoch is empty."""
    names = {name for row in rows for name in row}
    columns = [*FIRST, *sorted(names - set(FIRST))]
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()

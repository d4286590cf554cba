"""What a person sees while a model is trained."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import lightning
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .best import KeepBest
from .module import MEAN_DICE


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), console=console
    )


@contextmanager
def counted(console: Console, what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar called ``what`` while the block runs; call what is given after each of ``total`` steps."""
    with _bar(console) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


class EpochBar(lightning.Callback):
    """One bar over all batches, and after each validation one line with loss and Dice per condition value."""

    def __init__(self, console: Console, epochs: int, best: KeepBest) -> None:
        self.console = console
        self.epochs = epochs
        self.best = best
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the bar, where a resumed training stands."""
        self._bar = _bar(self.console)
        batches = int(trainer.num_training_batches)
        self._task = self._bar.add_task("training", total=self.epochs * batches, completed=trainer.current_epoch * batches)
        self._bar.start()

    def on_train_batch_end(self, trainer: lightning.Trainer, *rest: object) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=f"epoch {trainer.current_epoch + 1}/{self.epochs}")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Print the line of an epoch that was validated."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if MEAN_DICE not in metrics or (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1):
            return
        values = "  ".join(f"{name.partition('/')[2]} {value:.3f}" for name, value in metrics.items() if name.startswith(f"{MEAN_DICE}/"))
        mean = metrics[MEAN_DICE]
        star = "  best so far" if self.best.epoch == trainer.current_epoch + 1 else ""
        text = f"epoch {trainer.current_epoch + 1:>3}  loss {metrics.get('loss', float('nan')):.3f}  Dice {mean:.3f}  ({values}){star}"
        self.console.print(text, highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take the bar away."""
        self._stop()

    def on_exception(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException) -> None:
        """Take the bar away, or the terminal keeps its cursor hidden."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from napari_film.training.fit import Interrupted, fit
from napari_film.training.history import table
from napari_film.training.recipe import load_recipe
from napari_film.training.resume import LastEpoch

SETTINGS = ("training.epochs=3", "training.pictures=false")


def test_what_was_not_measured_is_empty() -> None:
    rows = [
        {"epoch": 1, "learning_rate": 0.1, "loss": 0.5},
        {"epoch": 2, "learning_rate": 0.05, "loss": 0.25, "dice": 0.5, "dice/b": 0.75, "dice/a": 0.25},
    ]
    assert table(rows).splitlines() == ["epoch,learning_rate,loss,dice,dice/a,dice/b", "1,0.1,0.5,,,", "2,0.05,0.25,0.5,0.25,0.75"]


def test_tensorboard_has_each_epoch_once_also_after_a_kill(
    write_recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.summary.writer import event_file_writer

    # Files of one second are read by their names' order, and a process numbers its own: the tenth would come before the ninth.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))
    recipe, text = load_recipe(str(write_recipe()), SETTINGS)
    write = LastEpoch.on_train_epoch_end

    def stop(self: LastEpoch, *rest: object) -> None:
        """The numbers of the second epoch are out, its state is not."""
        if self.epochs == 1:
            raise KeyboardInterrupt
        write(self, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LastEpoch, "on_train_epoch_end", stop)
        with pytest.raises(Interrupted, match="The state after epoch 1 is kept"):
            fit(recipe, text, tmp_path / "run")
    fit(recipe, text, tmp_path / "run", resume=True)
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert {"loss", "dice", "learning_rate", "dice/unknown"} <= set(board.Tags()["scalars"])
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()[1:]
    assert [event.step for event in board.Scalars("loss")] == [1, 2, 3]
    assert [event.value for event in board.Scalars("loss")] == pytest.approx([float(row.split(",")[2]) for row in rows], abs=1e-6)


def test_a_missing_tensorboard_is_told_once(write_recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    screen = StringIO()
    recipe, text = load_recipe(str(write_recipe()), SETTINGS)
    fitted = fit(recipe, text, tmp_path / "run", console=Console(file=screen, width=200))
    assert screen.getvalue().count("TensorBoard is not installed, so there are no logs for it; metrics.csv has all numbers.") == 1
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert fitted.scores["epochs"] == 3

"""The folder of a run, and what stands in it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from napari_film.atomic import write_text
from napari_film.errors import InputError


@dataclass(frozen=True)
class RunFolder:
    """Where a run puts what it makes."""

    path: Path

    @property
    def best(self) -> Path:
        """The model: weights and header."""
        return self.path / "best.safetensors"

    @property
    def card(self) -> Path:
        """What a person should know about the model."""
        return self.path / "best.md"

    @property
    def recipe(self) -> Path:
        """The recipe that the run was made from."""
        return self.path / "recipe.toml"

    @property
    def metrics(self) -> Path:
        """Numbers of every epoch."""
        return self.path / "metrics.csv"

    @property
    def scores(self) -> Path:
        """Scores of a finished run."""
        return self.path / "scores.json"

    @property
    def last(self) -> Path:
        """State at the end of the last whole epoch."""
        return self.path / "last.ckpt"

    @property
    def pictures(self) -> Path:
        """Learning curves and overlays."""
        return self.path / "pictures"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's files."""
        return self.path / "tensorboard"

    def open(self, *, resume: bool) -> None:
        """Make the folder; one that holds a run is only opened to go on with it.

        Raises
        ------
        InputError
            If it holds a run that is not to be resumed, or cannot be written to.
        """
        held = [path.name for path in (self.best, self.recipe, self.metrics, self.scores, self.last) if path.exists()]
        if held and not resume:
            raise InputError(
                f"{self.path} already holds a run ({', '.join(held)}); name another folder with --output, or go on with it by --resume."
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for left in self.path.glob(".*.writing"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            trial = self.path / "writing.txt"
            write_text(trial, "")
            trial.unlink()
        except (OSError, InputError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"{self.path} cannot be written to ({reason}); name another folder with --output.") from error

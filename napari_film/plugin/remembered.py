"""The dock's choices, remembered from one session to the next."""

import json
from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_state_path
from pydantic import BaseModel, ConfigDict

from napari_film.atomic import write_text
from napari_film.errors import InputError
from napari_film.fields import Value
from napari_film.inference.postprocessing import Postprocessing

_MOST = 20  # checkpoints whose metadata are remembered


class Remembered(BaseModel):
    """What was chosen with one checkpoint: the metadata of each slot, the field that was compared, threshold and clean-up."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    slots: Mapping[str, Mapping[str, Value]] = {}
    field: str | None = None
    postprocessing: Postprocessing = Postprocessing()


class DockState(BaseModel):
    """All that the dock remembers; the checkpoint used last comes last in ``checkpoints``, by path."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    checkpoint: str | None = None
    checkpoints: Mapping[str, Remembered] = {}
    layout: str = "grid"
    convention: str = "radiological"
    page: int = 0

    def with_checkpoint(self, path: Path, remembered: Remembered) -> "DockState":
        """Give the state with ``path`` as the checkpoint used last."""
        others = {name: kept for name, kept in self.checkpoints.items() if name != str(path)}
        kept = dict([*others.items(), (str(path), remembered)][-_MOST:])
        return self.model_copy(update={"checkpoint": str(path), "checkpoints": kept})


class RememberedState:
    """A file that holds a `DockState`.

    Losing it costs a person some clicks, so one that cannot be read or written is no error.

    Parameters
    ----------
    store
        The JSON file; None stands for ours in the user's folder for state.
    """

    def __init__(self, store: Path | None = None) -> None:
        self._store = store or user_state_path("napari-film") / "dock.json"

    def load(self) -> DockState:
        """Read the state; its defaults where there is none."""
        try:
            return DockState.model_validate(json.loads(self._store.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError):  # pydantic's errors are ValueErrors
            return DockState()

    def save(self, state: DockState) -> None:
        """Write the state."""
        try:
            self._store.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._store, state.model_dump_json(indent=1))
        except (OSError, InputError):
            return

"""The checkpoints used last, remembered between sessions."""

import json
from pathlib import Path

from platformdirs import user_state_path

from napari_film.atomic import write_text
from napari_film.errors import InputError

_LENGTH = 8


class RecentFiles:
    """A list of files, latest first, kept as JSON.

    Losing it costs a person a click, so a list that cannot be read or written is no error.

    Parameters
    ----------
    store
        The JSON file; None stands for ours in the user's folder for state.
    """

    def __init__(self, store: Path | None = None) -> None:
        self._store = store or user_state_path("napari-film") / "recent_checkpoints.json"

    def paths(self) -> list[Path]:
        """Files of the list that are still there."""
        try:
            content = json.loads(self._store.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        found = [Path(path) for path in content if isinstance(path, str)] if isinstance(content, list) else []
        return [path for path in found if _is_file(path)]

    def add(self, path: Path) -> None:
        """Put ``path`` first."""
        path = path.absolute()
        paths = [path, *(other for other in self.paths() if other != path)][:_LENGTH]
        try:
            self._store.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._store, json.dumps([str(path) for path in paths], indent=1))
        except (OSError, InputError):
            return


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no right to look, or no path at all
        return False

"""The demo checkpoints that come with the package, and how a person names a checkpoint."""

import os
from importlib.resources import files
from pathlib import Path

from napari_film.header import CheckpointError


def bundled_checkpoints() -> dict[str, Path]:
    """Bundled checkpoints by name, such as "spinal_tumor"."""
    folder = Path(str(files("napari_film.sample_data"))) / "checkpoints"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def find_checkpoint(name: str) -> Path:
    """Give the checkpoint file at the path ``name``, or the bundled one of that name.

    Raises
    ------
    CheckpointError
        If there is neither.
    """
    path = Path(name)
    if os.path.isfile(path):  # False, where Path.is_file raises for names that no file can have
        return path
    bundled = bundled_checkpoints()
    if name in bundled:
        return bundled[name]
    choices = f", or one of: {', '.join(bundled)}" if bundled else ""
    raise CheckpointError(f"There is no checkpoint {path.name or name}; give the path of a .safetensors file{choices}.")

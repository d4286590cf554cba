"""Segment medical volumes with networks that are told the metadata, and see what the metadata change.

The names below are imported when they are first used: importing ``napari_film`` costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_film.checkpoint import Checkpoint as Checkpoint
    from napari_film.checkpoint import load_checkpoint as load_checkpoint
    from napari_film.checkpoint import save_checkpoint as save_checkpoint
    from napari_film.conditioning import MetadataSchema as MetadataSchema
    from napari_film.errors import InputError as InputError
    from napari_film.header import read_header as read_header
    from napari_film.inference.predictor import Predictor as Predictor
    from napari_film.nifti import read as read
    from napari_film.nifti import write as write
    from napari_film.preprocessing import Preprocessing as Preprocessing
    from napari_film.volume import Volume as Volume

_HOMES = {
    "Checkpoint": "checkpoint",
    "InputError": "errors",
    "MetadataSchema": "conditioning",
    "Predictor": "inference.predictor",
    "Preprocessing": "preprocessing",
    "Volume": "volume",
    "load_checkpoint": "checkpoint",
    "read": "nifti",
    "read_header": "header",
    "save_checkpoint": "checkpoint",
    "write": "nifti",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

"""Reader of NIfTI files for napari: canonical axes, millimetres, and all that saving needs to be exact."""

import re
from collections.abc import Callable, Sequence
from os import PathLike, fspath
from pathlib import Path

from napari_film.plugin.layers import LayerData, is_whole, layer_data_from_volume

_MASK_NAME = re.compile(r"(?:^|[_-])(?:dseg|seg|mask|labels?|lesion)(?=[._-]|$)|_label", re.IGNORECASE)
_Paths = str | PathLike[str] | Sequence[str | PathLike[str]]


def napari_get_reader(path: _Paths) -> Callable[[_Paths], list[LayerData]] | None:
    """Give a reader if every path is named for NIfTI, else None; reads nothing and never raises."""
    try:
        suitable = all(file.name.lower().endswith((".nii", ".nii.gz")) for file in _files(path)) and bool(_files(path))
    except TypeError:
        return None
    return read_layers if suitable else None


def read_layers(path: _Paths) -> list[LayerData]:
    """Read each file into one layer: Labels for masks, else Image.

    A mask is a file of whole numbers that is named like one in BIDS (``_dseg``, ``_mask``, ``_label-``, ``_seg``) or
    that holds names of labels.

    Raises
    ------
    InputError
        If a file cannot be read; napari shows its sentence.
    """
    return [_read_layer(file) for file in _files(path)]


def _read_layer(file: Path) -> LayerData:
    from napari_film import nifti

    volume = nifti.read(file)
    names = nifti.label_names(file)
    mask = (names or _MASK_NAME.search(file.name)) and is_whole(volume.data)
    if volume.file is not None and not volume.file.orientation_known:
        from napari.utils.notifications import show_warning

        show_warning(
            f"{file.name} does not tell left from right: its header has neither an sform nor a qform. The letters at the edges are a guess."
        )
    return layer_data_from_volume(volume, kind="labels" if mask else "image", names=names, path=file.absolute())


def _files(path: _Paths) -> list[Path]:
    paths = [path] if isinstance(path, str | PathLike) else path
    return [Path(fspath(one)) for one in paths]

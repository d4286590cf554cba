"""A case as the network sees it: slices prepared as inference prepares them, on disk, looked into when they are asked for.

An entry of the cache is a folder with ``images.npy`` and ``labels.npy``. They are mapped for as long as a slice is read and no longer:
a thousand cases hold neither memory nor open files, and a case goes to another process as a path.

Axes: n slices, C channels, (h, w) the padded network grid, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film.errors import InputError
from napari_film.models.position import Position
from napari_film.preprocessing import Prepared, prepare
from napari_film.volume import Volume

from .cases.case import Case
from .cases.image import read_images
from .cases.mask import read_mask
from .fingerprint import Measures, measure
from .recipe import Recipe

IMAGES, LABELS = "images.npy", "labels.npy"


@dataclass(frozen=True)
class PreparedCase:
    """One case in the cache.

    Parameters
    ----------
    case
        Where it came from.
    folder
        Its entry in the cache.
    shape
        (n, C, h, w) of the images, padded.
    whole
        (h, w) of the images without padding.
    shown
        For each label of the mask, whether each slice shows it: (n,).
    measures
        What its images were like as they are stored.
    """

    case: Case
    folder: Path
    shape: tuple[int, int, int, int]
    whole: tuple[int, int]
    shown: Mapping[int, NDArray[np.bool_]]
    measures: Measures

    @property
    def images(self) -> NDArray[np.float16]:
        """Normalised slices, (n, C, h, w); mapped anew each time."""
        return self._map(IMAGES)

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Integers as in the mask, 0 in the padding, (n, h, w); mapped anew each time."""
        return self._map(LABELS)

    @property
    def position(self) -> Position:
        """Where a slice lies in the whole image: it begins where that does."""
        return Position(0.0, 0.0, float(self.whole[0]), float(self.whole[1]))

    @property
    def size(self) -> int:
        """Bytes of images and labels on disk."""
        slices, channels, height, width = self.shape
        return slices * height * width * (2 * channels + 1)

    def truth(self, recipe: Recipe, value: str) -> NDArray[np.bool_]:
        """What to segment under ``value``: (n, K, h, w)."""
        return np.moveaxis(_wanted(recipe, value)[:, self.labels], 0, 1)

    def truth_of(self, index: int, recipe: Recipe, value: str) -> NDArray[np.bool_]:
        """What to segment in slice ``index`` under ``value``: (K, h, w)."""
        return _wanted(recipe, value)[:, self.labels[index]]

    def shows(self, recipe: Recipe, value: str) -> NDArray[np.bool_]:
        """Say for each slice whether there is something to segment under ``value``, (n,); reads nothing."""
        found = np.zeros(self.shape[0], dtype=np.bool_)
        for label in {label for labels in recipe.class_labels(value) for label in labels}:
            if label in self.shown:
                found |= self.shown[label]
        return found

    def _map(self, name: str) -> NDArray[Any]:
        try:
            return np.asarray(np.load(self.folder / name, mmap_mode="r"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"The cache's entry of {self.case.subject} went away or was damaged while it was needed ({self.folder}); "
                "leave the cache alone while a training runs, and start again."
            ) from error


def open_case(case: Case, recipe: Recipe) -> Prepared:
    """Read the images of ``case`` and make them ready, by the recipe's preprocessing."""
    return prepare(read_images(case.images, recipe.checkpoint_preprocessing()), recipe.checkpoint_preprocessing())


@dataclass(frozen=True)
class Written:
    """What was written of a case: see `PreparedCase`; ``shown`` has the slices that show each label."""

    shape: tuple[int, int, int, int]
    whole: tuple[int, int]
    shown: dict[int, tuple[int, ...]]
    measures: Measures


def write_case(folder: Path, case: Case, recipe: Recipe) -> Written:
    """Prepare ``case`` into the empty ``folder``, slice by slice.

    Raises
    ------
    InputError
        If a file cannot be used.
    OSError
        If the disk is full.
    """
    prepared = open_case(case, recipe)
    labels = prepared.labels(read_mask(case.mask, soft=recipe.data.soft_masks))
    slices, height, width = len(labels), *prepared.padded_shape
    padding = [(0, padded - side) for padded, side in zip((height, width), labels.shape[1:], strict=True)]
    shape = (slices, len(prepared.channels), height, width)
    # Written, not mapped: where the disk is full a write raises, and a mapping would kill the process.
    _write(folder / IMAGES, np.dtype(np.float16), shape, (prepared.image(k) for k in range(slices)))
    _write(folder / LABELS, np.dtype(np.uint8), (slices, height, width), (np.pad(one, padding) for one in labels))
    shown = {int(label): tuple(np.flatnonzero((labels == label).any(axis=(1, 2))).tolist()) for label in np.unique(labels) if label}
    volumes = [Volume(channel.data, channel.grid.affine) for channel in prepared.channels]
    measures = measure(volumes, prepared.preprocessing.slice_axis)
    return Written(shape, (int(labels.shape[1]), int(labels.shape[2])), shown, measures)


def _write(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], slices: Any) -> None:
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for one in slices:
            file.write(np.ascontiguousarray(one, dtype=dtype).data)
        file.flush()


def _wanted(recipe: Recipe, value: str) -> NDArray[np.bool_]:
    """Which integers belong to each class: (K, 256), to be indexed with labels."""
    table = np.zeros((len(recipe.class_labels(value)), 256), dtype=np.bool_)
    for row, labels in zip(table, recipe.class_labels(value), strict=True):
        row[[label for label in labels if 0 <= label < 256]] = True
    return table

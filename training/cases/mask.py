"""Masks as training and scoring read them: whole numbers, one label a voxel."""

from pathlib import Path

import numpy as np

from napari_film import nifti, picture
from napari_film.volume import Volume, pieces

from .case import ManifestError


def read_mask(path: Path, *, soft: bool = False) -> Volume:
    """Read the mask ``path``.

    Parameters
    ----------
    path
        A NIfTI file, or a picture.
    soft
        Whether it may hold fractional values, the part of each voxel that belongs to the structure. Half of it or more is label 1,
        less is background: loss and scores know whole voxels.

    Raises
    ------
    ManifestError
        If it holds fractional values and may not, or values that are no parts.
    """
    volume = picture.read_labels(path) if picture.is_picture(path) else nifti.read(path)
    if volume.data.dtype.kind != "f":
        return volume
    fraction = next((found[0] for part in pieces(volume.data) if (found := part[part != np.rint(part)]).size), None)
    if fraction is None:
        return volume
    if not soft:
        raise ManifestError(
            f"{path.name} holds fractional values such as {fraction:.3g}, where a mask has one whole number a voxel; "
            "set data.soft_masks = true in the recipe to take the voxels of one half or more, or round it first."
        )
    if any(bool(((part < 0) | (part > 1)).any()) for part in pieces(volume.data)):
        raise ManifestError(
            f"{path.name} holds fractional values outside of 0 to 1; a soft mask gives the part of each voxel that is inside."
        )
    return Volume((np.asarray(volume.data) >= 0.5).astype(np.uint8), volume.affine, volume.name, volume.file)

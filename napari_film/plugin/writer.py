"""Writers for napari: a layer goes back onto the voxels of the file it came from, as NIfTI, or a mask of a picture as PNG."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_film.atomic import write_text
from napari_film.errors import InputError
from napari_film.plugin.layers import GeometryNeeded, LayerError, borrow_geometry, label_names, volume_from_layer

if TYPE_CHECKING:
    from napari.layers import Image, Labels


def write_labels(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save a Labels layer with the names of its labels; the file appears whole or not at all.

    Beside a mask of ours goes the file that says how it was made, unless a part was not computed or painted over.
    A layer drawn by hand has the geometry of the image that it lies on, or else its own scale and affine.

    Raises
    ------
    OSError
        If the layer has no geometry, or the file cannot be written: one sentence.
    """
    return _write(path, data, attributes, "labels")


def write_picture(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save a Labels layer of two axes as a grey PNG of its rows and columns; raises as :func:`write_labels`.

    napari's own writer of Labels has no PNG. Beside a mask of ours goes the file that says how it was made.
    """
    return _write(path, data, attributes, "labels")


def write_image(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an Image layer in its own dtype; the file appears whole or not at all. Raises as :func:`write_labels`."""
    return _write(path, data, attributes, "image")


def _write(path: str, data: Any, attributes: Mapping[str, Any], kind: Literal["image", "labels"]) -> list[str]:
    import napari
    from napari.layers import Layer

    layer = Layer.create(data, dict(attributes), kind)
    viewer = napari.current_viewer()
    if viewer is not None:
        borrow_geometry(layer, viewer.layers)
    try:
        return _write_layer(path, layer)
    except InputError as error:
        # napari takes a ValueError of a writer for "no writer found", and says that instead.
        raise OSError(str(error)) from error


def _write_layer(path: str, layer: "Image | Labels") -> list[str]:
    from napari.layers import Labels

    from napari_film import nifti, picture
    from napari_film.inference import sidecar
    from napari_film.plugin.mask_layer import provenance

    try:
        volume = volume_from_layer(layer)
    except GeometryNeeded as error:
        raise LayerError(
            f"{layer.name} does not say how large its voxels are, so no NIfTI can be written; set its scale and its units to mm first."
        ) from error
    if not isinstance(layer, Labels):
        nifti.write(path, volume.data, volume, dtype=volume.data.dtype)
        return [path]
    if picture.is_picture(path):
        picture.write(path, volume.data)
    else:
        nifti.write(path, volume.data, volume, names=label_names(layer))
    made = provenance(layer)
    beside = sidecar.sidecar_path(Path(path))
    if made is None:
        sidecar.discard(beside)
        return [path]
    write_text(beside, sidecar.to_json(sidecar.with_volumes(made, volume.data, volume.affine)))
    return [path, str(beside)]

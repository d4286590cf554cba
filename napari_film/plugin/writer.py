"""Writers of NIfTI for napari: a layer goes back onto the voxels of the file it came from."""

from collections.abc import Mapping
from typing import Any, Literal

from napari_film.plugin.layers import LayerError, borrow_geometry, has_geometry, label_names, volume_from_layer


def write_labels(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save a Labels layer with the names of its labels; the file appears whole or not at all.

    A layer drawn by hand has the geometry of the image that it lies on, or else its own scale and affine.

    Raises
    ------
    InputError
        If the layer has no geometry, or the file cannot be written.
    """
    return _write(path, data, attributes, "labels")


def write_image(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an Image layer in its own dtype; the file appears whole or not at all. Raises as :func:`write_labels`."""
    return _write(path, data, attributes, "image")


def _write(path: str, data: Any, attributes: Mapping[str, Any], kind: Literal["image", "labels"]) -> list[str]:
    import napari
    from napari.layers import Layer

    from napari_film import nifti

    layer = Layer.create(data, dict(attributes), kind)
    viewer = napari.current_viewer()
    if viewer is not None:
        borrow_geometry(layer, viewer.layers)
    if not has_geometry(layer):
        raise LayerError(
            f"{layer.name} does not say how large its voxels are, so no NIfTI can be written; set its scale and its units to mm first."
        )
    volume = volume_from_layer(layer)
    if kind == "labels":
        nifti.write(path, volume.data, volume, names=label_names(layer))
    else:
        nifti.write(path, volume.data, volume, dtype=volume.data.dtype)
    return [path]

"""Which layers a model takes as its images, and the volumes that these are.

A model of red, green and blue takes one layer, a picture in colour, for all three; any other model takes a layer a channel.
Pictures go to models whose slices are those that were acquired: only these know no patient's axes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_film.errors import InputError
from napari_film.header import Channel, Header
from napari_film.picture import for_model
from napari_film.plugin.layers import is_picture, volume_from_layer
from napari_film.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Image

_COLOURS = Channel(name="picture", description="The picture, whose red, green and blue the model takes.")
_RED_GREEN_BLUE = ["red", "green", "blue"]


def in_colour(header: Header) -> bool:
    """Whether a model takes one picture in colour for its three channels."""
    return header.preprocessing.fourth_axis == "channels" and [each.name.casefold() for each in header.channels] == _RED_GREEN_BLUE


def rows(header: Header | None) -> tuple[Channel, ...]:
    """What a person chooses a layer for; nothing without a model."""
    if header is None:
        return ()
    return (_COLOURS,) if in_colour(header) else header.channels


def suits(layer: "Image", header: Header | None) -> bool:
    """Whether ``layer`` is of the kind that a model takes: a picture, in colour or grey, or a volume."""
    if header is None or not is_picture(layer):
        return header is None or not in_colour(header)
    return _takes_pictures(header) and bool(layer.rgb) == in_colour(header)


def inputs(layers: "Sequence[Image | None]", header: Header) -> tuple[list[Volume], tuple[str, ...]]:
    """Give the volumes of ``layers``, one for each of `rows`, and what was done to pictures so that they fit.

    Raises
    ------
    GeometryNeeded
        If a layer does not say how large its voxels are.
    InputError
        If a layer is missing, or is not what the model takes.
    """
    volumes: list[Volume] = []
    notices: list[str] = []
    for layer, row in zip(layers, rows(header), strict=True):
        if layer is None:
            raise InputError(f"No image is chosen for {row.name}; open one and choose it.")
        if is_picture(layer) and not _takes_pictures(header):
            kind = "a colour (RGB) picture" if layer.rgb else "a picture"
            axis = header.preprocessing.slice_axis
            raise InputError(f"{layer.name} is {kind} of two axes; {header.name} takes volumes, in {axis} slices, so open one.")
        volume = volume_from_layer(layer)
        if is_picture(layer):
            volume, told = for_model(volume, header.preprocessing)
            notices += told
        elif in_colour(header) and volume.data.ndim == 3:
            raise InputError(
                f"{layer.name} is a volume of one number per voxel; {header.name} takes colour (RGB) pictures, so open a PNG or TIFF."
            )
        volumes.append(volume)
    return volumes, tuple(dict.fromkeys(notices))


def _takes_pictures(header: Header) -> bool:
    return header.preprocessing.slice_axis == "acquired"

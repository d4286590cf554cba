"""The layer that shows the session's mask: one array, written slice by slice, swapped whole with the condition value.

What was not computed is veiled in grey: it is neither background nor a class. The layer is not for painting.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_film.inference.masks import NOT_COMPUTED
from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.plugin.layers import METADATA_KEY, mask_layer_kwargs
from napari_film.volume import SliceAxis

if TYPE_CHECKING:
    from napari.layers import Image

# Okabe and Ito's colours, which colour-blind people can tell apart, the brightest first
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")
VEIL = (0.5, 0.5, 0.5, 0.35)


class MaskLayer:
    """A Labels layer on the reference's grid.

    Parameters
    ----------
    reference
        The image layer of the reference channel, whose geometry the mask gets.
    geometry
        Of that layer.
    slice_axis
        How the masks are sliced.
    mask
        Labels (N, H, W) in sliced layout.
    """

    def __init__(self, reference: "Image", geometry: LayerGeometry, slice_axis: SliceAxis, mask: NDArray[np.uint8]) -> None:
        self._geometry = geometry
        self._slice_axis: SliceAxis = slice_axis
        self._mask = mask
        arguments = mask_layer_kwargs(reference, name="FiLM mask")
        self.layer: Labels = Labels(geometry.to_layer(mask, slice_axis), opacity=0.6, **arguments)
        self.layer.editable = False

    def show(self, mask: NDArray[np.uint8], *, name: str, names: Mapping[int, str], first_colour: int, result: Mapping[str, Any]) -> None:
        """Show another mask (N, H, W) under its own name; ``result`` says for saving how it came to be."""
        self._mask = mask
        colours: dict[int | None, Any] = {label: COLOURS[(first_colour + place) % len(COLOURS)] for place, label in enumerate(names)}
        self.layer.name = name
        self.layer.colormap = DirectLabelColormap(color_dict={**colours, NOT_COMPUTED: VEIL, None: "transparent"})
        self.layer.features = {"index": [0, *names], "label": ["background", *names.values()]}
        self.layer.metadata = {**self.layer.metadata, METADATA_KEY: {**self.layer.metadata[METADATA_KEY], "names": dict(names), **result}}
        self.layer.data = self._geometry.to_layer(mask, self._slice_axis)
        self.layer.editable = False  # setting the data makes it editable again

    def put(self, slices: Sequence[int], labels: Sequence[NDArray[np.uint8]], *, seen: bool) -> None:
        """Write some slices (H, W) of the mask; ``seen`` when one of them is in view."""
        for index, label in zip(slices, labels, strict=True):
            self._mask[index] = label
        if seen:
            self.layer.refresh()

    @property
    def complete(self) -> bool:
        """Whether every voxel was computed."""
        return not (self._mask == NOT_COMPUTED).any()

"""The layer that shows the session's mask: one array, written slice by slice, swapped whole with the condition value.

What was not computed is veiled in grey: it is neither background nor a class. The layer is not for painting as long as
it follows the session.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.request import voxel_hash
from napari_film.plugin.appearance import Appearance
from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.plugin.layers import METADATA_KEY, mask_layer_kwargs
from napari_film.volume import SliceAxis

if TYPE_CHECKING:
    from napari.layers import Image

# Okabe and Ito's colours, which colour-blind people can tell apart, the brightest first
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")
VEIL = (0.5, 0.5, 0.5, 0.65)


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
    appearance
        What the layer says of them.
    """

    def __init__(
        self, reference: "Image", geometry: LayerGeometry, slice_axis: SliceAxis, mask: NDArray[np.uint8], appearance: Appearance
    ) -> None:
        self._geometry = geometry
        self._slice_axis: SliceAxis = slice_axis
        self._mask = mask
        self._colours: dict[int | None, Any] = {}
        arguments = mask_layer_kwargs(reference, name=appearance.name)
        self.layer: Labels = Labels(geometry.to_layer(mask, slice_axis), opacity=0.6, **arguments)
        self.layer.editable = False
        self.describe(appearance)

    def show(self, mask: NDArray[np.uint8], appearance: Appearance) -> None:
        """Show another mask (N, H, W) under its own name."""
        self._mask = mask
        self.describe(appearance)
        self.layer.data = self._geometry.to_layer(mask, self._slice_axis)
        self.layer.editable = False  # setting the data makes it editable again

    def describe(self, appearance: Appearance) -> None:
        """Say something else of the same mask."""
        names = dict(appearance.names)
        place = appearance.first_colour
        colours: dict[int | None, Any] = {label: COLOURS[(place + number) % len(COLOURS)] for number, label in enumerate(names)}
        colours.update({NOT_COMPUTED: VEIL, None: "transparent"})
        self.layer.name = appearance.name
        if colours != self._colours:  # a colormap costs napari a refresh and a new shader, even where it is the same
            self._colours = colours
            self.layer.colormap = DirectLabelColormap(color_dict=colours)
        self.layer.features = {"index": [0, *names], "label": ["background", *names.values()]}
        self._note(names=names, sidecar=appearance.sidecar)

    def put(self, slices: Sequence[int], labels: Sequence[NDArray[np.uint8]]) -> None:
        """Write some slices (H, W) of the mask; seen after `Labels.refresh`."""
        for index, label in zip(slices, labels, strict=True):
            self._mask[index] = label

    def release(self) -> None:
        """Let the layer be an ordinary one from now on, that a person may paint in."""
        self._note(digest=voxel_hash(self.layer.data))
        self.layer.editable = True

    def _note(self, **facts: Any) -> None:
        """Keep ``facts`` with the layer, for the writer."""
        self.layer.metadata = {**self.layer.metadata, METADATA_KEY: {**self.layer.metadata[METADATA_KEY], **facts}}


def provenance(layer: Labels) -> Mapping[str, Any] | None:
    """What was kept with a mask for the file beside it; None where there is nothing, or where the mask was painted in since."""
    ours = layer.metadata.get(METADATA_KEY, {})
    content: Mapping[str, Any] | None = ours.get("sidecar")
    if content is None or ("digest" in ours and ours["digest"] != voxel_hash(layer.data)):
        return None
    return content

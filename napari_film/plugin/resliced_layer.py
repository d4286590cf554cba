"""A channel as the network sees it: resampled onto the reference's grid, so that what lies together is shown together.

Slices are resampled when they come into view, the others one at a time while nothing else is to do.
"""

import numpy as np
from napari.layers import Image

from napari_film.channels import Channel
from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.plugin.layers import METADATA_KEY, mask_layer_kwargs
from napari_film.preprocessing import Prepared
from napari_film.volume import SliceAxis


class ReslicedLayer:
    """An Image layer on the reference's grid, in place of one that is on another.

    Parameters
    ----------
    original
        The layer that was chosen for the channel; it is hidden as long as this one stands for it.
    reference
        The layer of the reference channel, and its geometry.
    geometry
        Of the reference.
    prepared
        The opened images.
    channel
        Which of its channels.
    """

    def __init__(self, original: Image, reference: Image, geometry: LayerGeometry, prepared: Prepared, channel: Channel) -> None:
        self._original = original
        self._was_visible = bool(original.visible)
        self._channel = channel
        axis: SliceAxis = prepared.preprocessing.slice_axis
        self._stack = np.full(prepared.shape, channel.fill, dtype=np.float32)
        self._unknown = set(range(prepared.shape[0]))
        arguments = mask_layer_kwargs(reference, name=f"{original.name} (on the grid of {reference.name})")
        arguments["metadata"][METADATA_KEY]["stand_in"] = True  # for a person to look at, not to be segmented in place of the original
        self.layer: Image = Image(
            geometry.to_layer(self._stack, axis),
            contrast_limits=tuple(original.contrast_limits),
            colormap=original.colormap,
            visible=self._was_visible,
            rgb=False,
            **arguments,
        )
        original.visible = False

    def fill(self, index: int | None) -> None:
        """Resample slice ``index`` if that was not done; None takes any."""
        if index is None and self._unknown:
            index = min(self._unknown)
        if index in self._unknown:
            self._unknown.remove(index)
            self._stack[index] = self._channel.slice(index)
            self.layer.refresh()

    @property
    def complete(self) -> bool:
        """Whether every slice was resampled."""
        return not self._unknown

    def give_back(self) -> None:
        """Let the original be seen again, as it was."""
        self._original.visible = self._was_visible

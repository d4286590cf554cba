"""A layer that shows a mask of the session's: nothing but a look into what was computed.

What was not computed is veiled in grey: it is neither background nor a class. The layer is not for painting as long as it
follows the session; released or copied, it becomes an ordinary one.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.request import voxel_hash
from napari_film.plugin.appearance import Appearance
from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.plugin.layers import METADATA_KEY, mask_layer_kwargs
from napari_film.plugin.live_array import Blank, LiveArray, Source

if TYPE_CHECKING:
    from napari.layers import Image

# Okabe and Ito's colours, which colour-blind people can tell apart
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")
VEIL = (0.5, 0.5, 0.5, 0.65)
OPACITY = 0.6


def palette(first: int, labels: int) -> dict[int | None, Any]:
    """Colours of 1..``labels``, the first of them COLOURS[first], of the veil, and none for the rest.

    Made once for a layer, for as many labels as it may ever show: another colormap costs napari a new shader, 100 ms.
    """
    colours: dict[int | None, Any] = {1 + label: COLOURS[(first + label) % len(COLOURS)] for label in range(labels)}
    return {**colours, NOT_COMPUTED: VEIL, None: "transparent"}


class MaskLayer:
    """A Labels layer on the reference's grid.

    Parameters
    ----------
    reference
        The image layer of the reference channel, whose geometry the mask gets.
    geometry
        Of that layer.
    colours
        Of its labels, see `palette`.
    """

    def __init__(self, reference: "Image", geometry: LayerGeometry, colours: Mapping[int | None, Any], *, name: str = "mask") -> None:
        blank = Blank(geometry.shape, NOT_COMPUTED, np.uint8)
        self._array = LiveArray(geometry.shape, np.uint8, blank)
        self._said: Appearance | None = None
        self._wanted: dict[str, Any] = {}
        arguments = mask_layer_kwargs(reference, name=name)
        self.layer: Labels = Labels(self._array, opacity=OPACITY, colormap=DirectLabelColormap(color_dict=dict(colours)), **arguments)
        self.layer.editable = False

    @property
    def source(self) -> Source:
        """What is looked into."""
        return self._array.source

    @property
    def finished(self) -> bool:
        """Whether what is said of the mask is said of a whole one."""
        return self._said is not None and self._said.sidecar is not None

    def want(self, **properties: Any) -> None:
        """Set what is to be otherwise than it was wanted before: what a person changed meanwhile stays as it is."""
        for name, value in properties.items():
            if self._wanted.get(name) != value:
                self._wanted[name] = value
                if getattr(self.layer, name) != value:  # setting it costs a drawing
                    setattr(self.layer, name, value)

    def show(self, source: Source, appearance: Appearance) -> None:
        """Look into another mask, under its own name."""
        self._array.source = source
        self.describe(appearance)
        self.layer.refresh(extent=False)

    def describe(self, appearance: Appearance) -> None:
        """Say something else of the mask that is shown."""
        said, self._said = self._said, appearance
        if said is None or said.name != appearance.name:
            self.layer.name = appearance.name
        if said is None or said.names != appearance.names:
            names = dict(appearance.names)
            self.layer.features = {"index": [0, *names], "label": ["background", *names.values()]}
        self._note(names=dict(appearance.names), sidecar=appearance.sidecar)

    def look_again(self) -> None:
        """Draw what is in view anew."""
        self.layer.refresh(extent=False)

    def release(self) -> None:
        """Let the layer be an ordinary one from now on, that a person sees and may paint in."""
        freeze(self.layer)
        self.layer.editable = True
        self.layer.opacity = OPACITY
        self.layer.visible = True

    def copy(self, appearance: Appearance) -> Labels:
        """Give an ordinary layer of the mask as it is, named and with the metadata among its features."""
        data, state, _ = self.layer.as_layer_data_tuple()
        copied = Labels(np.array(data), **{**state, "name": f"{appearance.name} (kept)", "visible": True, "opacity": OPACITY})
        told = {name: [value] * (1 + len(appearance.names)) for name, value in appearance.metadata.items()}
        names = dict(appearance.names)
        copied.features = {"index": [0, *names], "label": ["background", *names.values()], **told}
        _note(copied, names=names, sidecar=appearance.sidecar)
        freeze(copied)
        return copied

    def _note(self, **facts: Any) -> None:
        _note(self.layer, **facts)


def freeze(layer: Labels) -> None:
    """Make the voxels of ``layer`` its own, and remember which they were when its provenance was true of them."""
    ours = layer.metadata[METADATA_KEY]
    made = ours.get("sidecar")
    layer.data = np.array(layer.data)
    _note(layer, sidecar=made() if callable(made) else made, digest=voxel_hash(layer.data))


def provenance(layer: Labels) -> Mapping[str, Any] | None:
    """What was kept with a mask for the file beside it; None where there is nothing, or where the mask was painted in since.

    Only a layer that still looks into the session, or one whose voxels are those that were released, is known to be unpainted.
    """
    ours = layer.metadata.get(METADATA_KEY, {})
    made = ours.get("sidecar")
    if made is None:
        return None
    if isinstance(layer.data, LiveArray):
        content: Mapping[str, Any] = made()
        return content
    unpainted = ours.get("digest") == voxel_hash(layer.data)
    return made if unpainted and not callable(made) else None


def _note(layer: Labels, **facts: Any) -> None:
    """Keep ``facts`` with a layer, for the writer."""
    layer.metadata = {**layer.metadata, METADATA_KEY: {**layer.metadata[METADATA_KEY], **facts}}

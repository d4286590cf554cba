"""Image layers that say where condition values matter: sensitivity and disagreement over the masks that are compared."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import Colormap, ensure_colormap

from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.plugin.layers import METADATA_KEY, mask_layer_kwargs
from napari_film.plugin.live_array import LiveArray, LiveDisagreement, LiveLabels, LiveSensitivity, Source

if TYPE_CHECKING:
    import napari.viewer

Map = Literal["sensitivity", "disagreement"]
_COLOURMAPS: dict[Map, str] = {"sensitivity": "magma", "disagreement": "viridis"}
_POINTS = 64
_OPAQUE = 0.25  # from this share of the range on, as far as the map is opaque at all
_MOST = 0.85
_SOURCES: dict[Map, Callable[[Sequence[LiveLabels]], Source]] = {"sensitivity": LiveSensitivity, "disagreement": LiveDisagreement}


def rising(name: str) -> Colormap:
    """Give a colormap of napari's that lets the image below show through where there is little to see."""
    points = np.linspace(0, 1, _POINTS)
    colours = np.array(ensure_colormap(name).map(points))
    colours[:, 3] = np.minimum(1, points / _OPAQUE) * _MOST
    return Colormap(colours, name=f"{name}, rising")


class MapLayers:
    """At most one layer for each kind of map."""

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        self._viewer = viewer
        self._maps: dict[Map, tuple[Image, LiveArray]] = {}

    @property
    def shown(self) -> list[Map]:
        """The maps that there are."""
        return list(self._maps)

    def layer(self, kind: Map) -> Image | None:
        """The layer of a map; None where there is none."""
        return self._maps[kind][0] if kind in self._maps else None

    def show(self, kind: Map, masks: Sequence[LiveLabels], reference: Image, geometry: LayerGeometry) -> None:
        """Show a map over ``masks``: how far the probability moves, 0 to 1, or how many call a voxel foreground, 0 to all of them."""
        source = _SOURCES[kind](masks)
        limits = (0.0, 1.0) if kind == "sensitivity" else (0.0, float(max(len(masks), 1)))
        if kind in self._maps:
            layer, array = self._maps[kind]
            array.source = source
            if layer.metadata[METADATA_KEY]["masks"] != len(masks):
                layer.metadata[METADATA_KEY]["masks"] = len(masks)
                layer.name = _name(kind, masks)
                layer.contrast_limits_range = layer.contrast_limits = limits
            layer.name_overlay.visible = bool(self._viewer.canvas.grid.enabled)  # there it has a cell of its own
            layer.refresh(extent=False)
            return
        array = LiveArray(geometry.shape, np.float32, source)
        arguments = mask_layer_kwargs(reference, name=_name(kind, masks))
        arguments["metadata"][METADATA_KEY] |= {"stand_in": True, "masks": len(masks)}
        layer = Image(array, contrast_limits=limits, colormap=rising(_COLOURMAPS[kind]), rgb=False, **arguments)
        layer.name_overlay.visible = bool(self._viewer.canvas.grid.enabled)
        self._maps[kind] = (layer, array)
        self._viewer.add_layer(layer)

    def look_again(self) -> None:
        """Draw anew what is in view."""
        for layer, _ in self._maps.values():
            if layer.visible:
                layer.refresh(extent=False)

    def remove(self, kind: Map) -> None:
        """Take a map away."""
        found = self._maps.pop(kind, None)
        if found is not None and found[0] in self._viewer.layers:
            self._viewer.layers.remove(found[0])

    def lost(self, layer: Any) -> Map | None:
        """Take note that ``layer`` was removed; give which map it was."""
        for kind, (one, _) in list(self._maps.items()):
            if one is layer:
                del self._maps[kind]
                return kind
        return None

    def close(self) -> None:
        """Take all maps away."""
        for kind in list(self._maps):
            self.remove(kind)


def _name(kind: Map, masks: Sequence[LiveLabels]) -> str:
    return f"{kind} over {len(masks)} masks"

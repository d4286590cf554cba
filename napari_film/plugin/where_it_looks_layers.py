"""The layers that say where a model looks: its windows as ellipses, and their sum as a heat map that lets the image through."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Image, Layer, Shapes
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray

from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.plugin.layers import METADATA_KEY, mask_layer_kwargs
from napari_film.plugin.live_array import LiveArray
from napari_film.volume import SliceAxis

if TYPE_CHECKING:
    import napari.viewer

Kind = Literal["ellipses", "heat"]
_HEAT = 0.5  # opacity
_FAINTEST = 0.35  # opacity of the weakest ellipse that is drawn
_EDGE = 1 / 200  # of the image's longer side


@dataclass(frozen=True, eq=False)
class Ellipse:
    """A window: its outline (points, layer's axes) in the layer's voxels, its feature map from 1, its strength, its colour."""

    outline: NDArray[np.float64]
    number: int
    strength: float
    colour: str


class LiveHeat:
    """Planes of heat, made when somebody looks; what does not differ between slices is made once.

    Parameters
    ----------
    plane
        Gives (H, W) of slice N in sliced layout.
    alike
        Whether all slices have the same.
    geometry, slice_axis
        Of the layer that shows it.
    """

    def __init__(self, plane: Callable[[int], NDArray[np.float32]], geometry: LayerGeometry, slice_axis: SliceAxis, *, alike: bool) -> None:
        self._plane = plane
        self._geometry = geometry
        self._axis = slice_axis
        self._alike = alike
        self._last: tuple[int, NDArray[np.float32]] | None = None

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        geometry, dimension = self._geometry, self._geometry.slice_dimension(self._axis)
        whole = (*index, *[slice(None)] * 3)[: len(geometry.shape)] if isinstance(index, tuple) else (index,)
        if Ellipsis in whole or geometry.flat:
            return np.array(self._stack(range(geometry.lattice[dimension]))[index])
        whole = (*whole, *[slice(None)] * (3 - len(whole)))
        wanted = whole[dimension]
        if isinstance(wanted, slice):
            numbers: Sequence[int] = range(geometry.lattice[dimension])[wanted]
            inside: Any = slice(None)
        else:
            numbers, inside = [range(geometry.lattice[dimension])[int(wanted)]], 0
        return np.array(self._stack(numbers)[(*whole[:dimension], inside, *whole[dimension + 1 :])])

    def _stack(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """Give the layer's voxels at ``numbers`` along the dimension of its slices."""
        geometry, dimension = self._geometry, self._geometry.slice_dimension(self._axis)
        if self._alike:
            one = geometry.to_layer(self._kept(0)[None], self._axis)
            return one if geometry.flat else np.broadcast_to(one, (*one.shape[:dimension], len(numbers), *one.shape[dimension + 1 :]))
        planes = [geometry.to_layer(self._kept(geometry.slice_of(number, self._axis))[None], self._axis) for number in numbers]
        return planes[0] if geometry.flat else np.concatenate(planes, axis=dimension)

    def _kept(self, number: int) -> NDArray[np.float32]:
        """The plane of a slice; the last is kept, since napari reads a slice more than once."""
        number = 0 if self._alike else number
        if self._last is None or self._last[0] != number:
            self._last = number, self._plane(number)
        return self._last[1]


class WindowLayers:
    """At most one layer of ellipses and one of heat; what a person has selected stays selected."""

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        self._viewer = viewer
        self._layers: dict[Kind, Layer] = {}
        self._heat: LiveArray | None = None
        self._drawn_by: list[Any] = []
        self._aside = False
        self._hidden: list[Layer] = []  # by us, while they are set aside

    @property
    def shown(self) -> list[Kind]:
        """The kinds that there are."""
        return list(self._layers)

    def layer(self, kind: Kind) -> Layer | None:
        """The layer of a kind; None where there is none."""
        return self._layers.get(kind)

    def show_ellipses(self, ellipses: Sequence[Ellipse], reference: Image, geometry: LayerGeometry, name: str) -> None:
        """Draw ``ellipses``, at least one, each colour's strongest first."""
        ranks = Counter[str]()
        colours = []
        for ellipse in ellipses:
            colours.append((ellipse.colour, ranks[ellipse.colour]))
            ranks[ellipse.colour] += 1
        rgba = np.array([_colour(colour, rank / max(ranks[colour] - 1, 1)) for colour, rank in colours])
        paths = [ellipse.outline for ellipse in ellipses]
        features = {"feature map": [ellipse.number for ellipse in ellipses], "strength": [ellipse.strength for ellipse in ellipses]}
        layer = self._layers.get("ellipses")
        if layer is None:
            edge = max(max(geometry.shape) * _EDGE, 0.25)
            layer = Shapes(
                paths,
                shape_type="path",
                ndim=len(geometry.shape),
                edge_color=rgba,
                face_color="transparent",
                edge_width=edge,
                features=features,
                **_placed(reference, name),
            )
            layer.mode = "pan_zoom"
            layer.editable = False
            self._add("ellipses", layer)
            return
        if layer.name != name:
            layer.name = name
        layer.data = paths
        layer.editable = False  # setting data makes it editable again
        if not np.array_equal(layer.edge_color, rgba):
            layer.edge_color = rgba
        layer.features = features

    def show_heat(
        self,
        plane: Callable[[int], NDArray[np.float32]],
        reference: Image,
        geometry: LayerGeometry,
        slice_axis: SliceAxis,
        name: str,
        *,
        limits: tuple[float, float],
        alike: bool,
    ) -> None:
        """Show heat between ``limits``; ``plane`` and ``alike`` as `LiveHeat` takes them.

        It is drawn over the image, not added to it: a bright picture would swallow it.
        """
        source = LiveHeat(plane, geometry, slice_axis, alike=alike)
        layer = self._layers.get("heat")
        if layer is None or self._heat is None:
            self._heat = LiveArray(geometry.shape, np.float32, source)
            layer = Image(
                self._heat,
                contrast_limits=limits,
                colormap="inferno",
                blending="translucent",
                opacity=_HEAT,
                rgb=False,
                **_placed(reference, name),
            )
            self._add("heat", layer, above=reference)
            return
        self._heat.source = source
        if layer.name != name:
            layer.name = name
        if tuple(layer.contrast_limits) != limits:
            layer.contrast_limits = limits
        layer.refresh(extent=False)

    def set_aside(self, on: bool) -> None:
        """Take all out of view while the grid has the canvas to itself: a layer that is seen has a cell there.

        What a person hid stays hidden.
        """
        if on == self._aside:
            return
        self._aside = on
        hidden, self._hidden = self._hidden, []
        for layer in self._layers.values():
            if on:
                self._hide(layer)
            elif layer in hidden:
                layer.visible = True

    def remove(self, kind: Kind) -> None:
        """Take a layer away."""
        layer = self._layers.pop(kind, None)
        if kind == "heat":
            self._heat = None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def lost(self, layer: Any) -> Kind | None:
        """Take note that ``layer`` was removed; give which it was."""
        for kind, one in list(self._layers.items()):
            if one is layer:
                del self._layers[kind]
                return kind
        return None

    def close(self) -> None:
        """Take all away."""
        for kind in list(self._layers):
            self.remove(kind)

    def _add(self, kind: Kind, layer: Layer, above: Image | None = None) -> None:
        """Add a layer on top, or right ``above`` another, so that masks stay in their colours.

        What a person had selected stays so: an active Shapes layer takes letter keys itself.
        """
        self._layers[kind] = layer
        if self._aside:
            self._hide(layer)
        layers = self._viewer.layers
        selected, active = set(layers.selection), layers.selection.active
        layers.insert(layers.index(above) + 1 if above in layers else len(layers), layer)
        self._drawn_by += _visuals(layer)
        layers.selection.clear()
        layers.selection.update(selected)
        layers.selection.active = active if active in selected else layers.selection.active

    def _hide(self, layer: Layer) -> None:
        if layer.visible:
            layer.visible = False
            self._hidden.append(layer)


def _placed(reference: Image, name: str) -> dict[str, Any]:
    arguments = mask_layer_kwargs(reference, name=name)
    arguments["metadata"][METADATA_KEY] |= {"stand_in": True}  # for a person to look at, not to be segmented
    return arguments


def _colour(colour: str, place: float) -> NDArray[np.float32]:
    """RGBA of an ellipse that stands at ``place`` among those of its colour: 0 the strongest, 1 the last.

    By rank, not by strength: so a swap changes no colours, which costs napari more than the outlines do.
    """
    rgba = np.array(transform_color(colour)[0], dtype=np.float32)
    rgba[3] = 1 - (1 - _FAINTEST) * place
    return rgba


def _visuals(layer: Layer) -> list[Any]:
    """What draws a layer; to be kept alive when that is gone.

    Once the visual of such a layer was freed, OpenGL in software crashes on drawing the next one, of shapes under napari alone, too.
    """
    listening = [callback[0]() for callback in layer.events.opacity.callbacks if isinstance(callback, tuple)]
    return [one for one in listening if type(one).__module__.startswith("napari._vispy")]

"""Masks under several condition values, all in view: each in a cell of the viewer's grid, or stacked on the image."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from napari.layers import Image, Labels

from napari_film.plugin.appearance import Appearance
from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.plugin.layers import METADATA_KEY, mask_layer_kwargs
from napari_film.plugin.live_array import LiveLabels
from napari_film.plugin.mask_layer import COLOURS, OPACITY, MaskLayer, palette

if TYPE_CHECKING:
    import napari.viewer

Layout = Literal["grid", "stacked"]
_TITLES = (6, 12)  # pt, smallest and largest
_SPACING = 4  # px between cells


class Gallery:
    """Layers for a number of masks; in a grid each with a copy of the image below it, and everything else hidden.

    The image's voxels are shared by its copies. Slices and zoom are the viewer's, so all cells show the same.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        self._viewer = viewer
        self._cells: list[tuple[MaskLayer, Image | None]] = []
        self._hidden: list[Any] = []
        self._grid: tuple[bool, int, float, tuple[int, int]] | None = None
        self._outline = False
        self._masks_hidden = False

    @property
    def masks(self) -> list[Labels]:
        """The layers of the masks, in order."""
        return [mask.layer for mask in self.looks]

    @property
    def looks(self) -> list[MaskLayer]:
        """What keeps those layers, in order."""
        return [mask for mask, _ in self._cells]

    @property
    def images(self) -> list[Image]:
        """The copies of the image."""
        return [image for _, image in self._cells if image is not None]

    def open(
        self,
        reference: Image,
        geometry: LayerGeometry,
        masks: Sequence[tuple[LiveLabels, Appearance]],
        layout: Layout,
        *,
        titles: Sequence[str],
        labels: int,
        frame: int = 0,
    ) -> None:
        """Lay out ``masks``, each under its title, on ``frame`` of the image; takes away what was laid out before."""
        self.close()
        size = self._title_size(titles)
        if layout == "grid":
            self._hide_others()
        for number, ((source, appearance), title) in enumerate(zip(masks, titles, strict=True)):
            image = _copy(reference, frame, f"image of {title}") if layout == "grid" else None
            mask = MaskLayer(reference, geometry, palette(number % len(COLOURS), labels), name=title)
            mask.show(source, _titled(appearance, title))
            mask.layer.name_overlay.visible = layout == "grid"
            mask.layer.name_overlay.font_size = size
            self._cells.append((mask, image))
        self._arrange()
        # The cells come first in the list: a grid counts layers off in pairs from there, the hidden ones too.
        place = 0 if layout == "grid" else len(self._viewer.layers)
        with self._viewer.layers.batched_update():  # else napari collects garbage and draws once for each layer
            for mask, image in self._cells:
                for layer in (image, mask.layer):
                    if layer is not None:
                        self._viewer.layers.insert(place, layer)
                        place += 1
        if layout == "grid":
            grid = self._viewer.canvas.grid
            self._grid = (bool(grid.enabled), int(grid.stride), float(grid.spacing), tuple(grid.shape))
            grid.stride, grid.spacing, grid.shape, grid.enabled = 2, _SPACING, (-1, -1), True
            self._viewer.reset_view()

    def show(self, masks: Sequence[tuple[LiveLabels, Appearance]], titles: Sequence[str]) -> None:
        """Look into other masks, as many as are laid out."""
        for (mask, _), (source, appearance), title in zip(self._cells, masks, titles, strict=True):
            mask.show(source, _titled(appearance, title))

    def look_again(self, places: Iterable[int]) -> None:
        """Draw anew what is in view of some masks, by their places."""
        for place in places:
            if self._cells[place][0].layer.visible:
                self._cells[place][0].look_again()

    def set_outline(self, on: bool) -> None:
        """Draw outlines, or fill."""
        self._outline = on
        self._arrange()

    def set_hidden(self, on: bool) -> None:
        """Make the masks transparent, or show them again; their cells stay where they are."""
        self._masks_hidden = on
        self._arrange()

    def has(self, layer: Any) -> bool:
        """Whether ``layer`` is one of those laid out."""
        return any(layer is one for one in (*self.masks, *self.images))

    def close(self) -> None:
        """Take everything away, and show what was hidden."""
        cells, self._cells = self._cells, []
        if not cells:
            return
        if self._grid is not None:
            grid = self._viewer.canvas.grid
            grid.enabled, grid.stride, grid.spacing, grid.shape = self._grid
            self._grid = None
        with self._viewer.layers.batched_update():
            for mask, image in cells:
                for layer in (mask.layer, image):
                    if layer is not None and layer in self._viewer.layers:
                        self._viewer.layers.remove(layer)
        hidden, self._hidden = self._hidden, []
        for layer in hidden:
            if layer in self._viewer.layers:
                layer.visible = True
        if hidden:
            self._viewer.reset_view()

    def _arrange(self) -> None:
        for mask in self.looks:
            mask.want(contour=int(self._outline), opacity=0.0 if self._masks_hidden else OPACITY)

    def _title_size(self, titles: Sequence[str]) -> int:
        """Size in pt at which the longest title fits into its cell, as the canvas is now."""
        columns = math.ceil(math.sqrt(max(len(titles), 1)))
        letters = max((len(title) for title in titles), default=1)
        width = int(self._viewer.canvas.size[1]) / columns
        return int(min(max(width / letters, _TITLES[0]), _TITLES[1]))

    def _hide_others(self) -> None:
        self._hidden = [layer for layer in self._viewer.layers if layer.visible]
        for layer in self._hidden:
            layer.visible = False


def _copy(reference: Image, frame: int, name: str) -> Image:
    arguments = mask_layer_kwargs(reference, name=name)
    arguments["metadata"][METADATA_KEY]["stand_in"] = True  # for a person to look at, not to be segmented
    data = reference.data[0] if reference.multiscale else reference.data
    if reference.rgb:
        return Image(data, rgb=True, gamma=reference.gamma, **arguments)
    return Image(
        data[frame] if reference.ndim == 4 else data,
        contrast_limits=tuple(reference.contrast_limits),
        colormap=reference.colormap,
        gamma=reference.gamma,
        rgb=False,  # napari takes three or four voxels along the last axis for colours
        **arguments,
    )


def _titled(appearance: Appearance, title: str) -> Appearance:
    return Appearance(title, appearance.names, appearance.metadata, appearance.sidecar)

"""The image layers of one patient while the session has them open, and stand-ins for those on another grid.

Says what a person does to them (``left``, ``moved``) and does what it is told; the masks on them are `MaskViews`' to show.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.plugin.layers import geometry_of
from napari_film.plugin.resliced_layer import ReslicedLayer
from napari_film.plugin.slice_view import SliceView
from napari_film.preprocessing import Prepared
from napari_film.volume import SliceAxis

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

_RESLICE = 15  # ms between slices that are resampled for display while nothing else is to do
# What places an image or fills it: a mask that was computed before a change belongs to other voxels.
_CHANGES = ("data", "scale", "translate", "rotate", "shear", "affine", "units")


class OpenedLayers(QObject):
    """Keeps track of the opened images in ``viewer``."""

    left = Signal(str)  # an image was removed, or has changed: a sentence, empty where a person sees what was done
    moved = Signal(int)  # another slice N of the sliced layout came into view
    placed = Signal(object)  # which slice N is in view, of how many; None where there is not one

    def __init__(self, viewer: "napari.viewer.Viewer", view: SliceView) -> None:
        super().__init__(view)
        self._viewer = viewer
        self._view = view
        self._channels: list[Image] = []  # the reference first
        self._axis: SliceAxis = "axial"
        self._resliced: list[ReslicedLayer] = []
        self._changed = False
        self._shown = False  # whether stand-ins were made where they are needed
        self._idle = QTimer(self)
        self._idle.setInterval(_RESLICE)
        self._idle.timeout.connect(self._reslice_next)
        dims = viewer.dims.events
        self._emitters: tuple[tuple[Any, Callable[..., None]], ...] = (
            (viewer.layers.events.removed, self._removed),
            (dims.current_step, self._moved),
            (dims.order, self._moved),
            (dims.ndisplay, self._moved),
        )
        for emitter, callback in self._emitters:
            emitter.connect(callback)

    @property
    def channels(self) -> "list[Image]":
        """The opened images, the reference first; empty while none are."""
        return list(self._channels)

    @property
    def geometry(self) -> LayerGeometry:
        """Of the reference, which is open."""
        return geometry_of(self._channels[0])

    @property
    def slice_axis(self) -> SliceAxis:
        """How the opened images are sliced."""
        return self._axis

    @property
    def changed(self) -> bool:
        """Whether an image was changed since it was opened."""
        return self._changed

    @property
    def visible(self) -> int | None:
        """Which slice N is in view; None where there is not one."""
        return self._view.visible_slice(self._channels[0], self._axis) if self._channels else None

    def close(self) -> None:
        """Stop following the viewer."""
        for emitter, callback in self._emitters:
            emitter.disconnect(callback)
        self._emitters = ()

    def open(self, channels: "Sequence[Image]", slice_axis: SliceAxis) -> None:
        """Follow other images, the reference first, and turn the view to its slices."""
        self._channels = list(channels)
        self._axis = slice_axis
        self._changed = self._shown = False
        order = tuple(self._viewer.dims.order)
        self._view.turn_to(self._channels[0], slice_axis)
        if tuple(self._viewer.dims.order) != order:
            self._viewer.reset_view()
        for layer in self._channels:
            for name in _CHANGES:
                getattr(layer.events, name).connect(self._image_changed)
        self._moved()

    def reslice(self, prepared: Prepared) -> None:
        """Show the other channels on the reference's grid, as the network sees them; once, so that a person can take them away."""
        if self._shown or len(prepared.channels) != len(self._channels):
            return  # the channels of one 4D image are on one grid
        self._shown = True
        reference = self._channels[0]
        for layer, channel in zip(self._channels, prepared.channels, strict=True):
            if not channel.aligned:
                resliced = ReslicedLayer(layer, reference, geometry_of(reference), prepared, channel)
                self._resliced.append(resliced)
                self._viewer.add_layer(resliced.layer)
        if self._resliced:
            self._idle.start()
        self._moved()

    def release(self) -> None:
        """Let go of the images; the originals are seen again."""
        channels, self._channels = self._channels, []
        for layer in channels:
            for name in _CHANGES:
                getattr(layer.events, name).disconnect(self._image_changed)
        self._idle.stop()
        self.placed.emit(None)
        resliced, self._resliced = self._resliced, []
        for stand_in in resliced:
            stand_in.give_back()
            if stand_in.layer in self._viewer.layers:
                self._viewer.layers.remove(stand_in.layer)

    def _moved(self, event: Any = None) -> None:
        index = self.visible
        if self._channels:
            geometry = self.geometry
            self.placed.emit(None if index is None else (index, geometry.lattice[geometry.slice_dimension(self._axis)]))
        if index is not None:
            for resliced in self._resliced:
                resliced.fill(index)
            self.moved.emit(index)

    def _removed(self, event: Any) -> None:
        layer = event.value
        if any(layer is channel for channel in self._channels):
            self.left.emit("")
        else:
            for stand_in in [one for one in self._resliced if one.layer is layer]:
                self._resliced.remove(stand_in)
                stand_in.give_back()

    def _image_changed(self, event: Any) -> None:
        self._changed = True
        self.left.emit(f"{event.source.name} has changed, so its masks are no longer shown; press Segment again.")

    def _reslice_next(self) -> None:
        for resliced in self._resliced:
            if not resliced.complete:
                resliced.fill(None)
                return
        self._idle.stop()

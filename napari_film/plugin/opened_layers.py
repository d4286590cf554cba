"""The layers of one patient while the session has them open: the images, stand-ins for those on another grid, the mask.

Says what a person does to them (``left``, ``moved``) and does what it is told; what the masks are is the session's to know.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_film.plugin.appearance import Appearance
from napari_film.plugin.layers import geometry_of
from napari_film.plugin.mask_layer import MaskLayer
from napari_film.plugin.resliced_layer import ReslicedLayer
from napari_film.plugin.slice_view import SliceView
from napari_film.preprocessing import Prepared
from napari_film.volume import SliceAxis

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image, Labels

_RESLICE = 15  # ms between slices that are resampled for display while nothing else is to do
_DRAW_3D = 500  # ms between drawings of a growing mask in 3D, where each takes the whole volume
# What places an image or fills it: a mask that was computed before a change belongs to other voxels.
_CHANGES = ("data", "scale", "translate", "rotate", "shear", "affine", "units")


class OpenedLayers(QObject):
    """Keeps track of the opened images in ``viewer`` and shows the mask on them."""

    left = Signal(str)  # an image or the mask was removed, or an image changed: a sentence, empty where a person sees what was done
    moved = Signal(int)  # another slice N of the sliced layout came into view

    def __init__(self, viewer: "napari.viewer.Viewer", view: SliceView) -> None:
        super().__init__(view)
        self._viewer = viewer
        self._view = view
        self._channels: list[Image] = []  # the reference first
        self._axis: SliceAxis = "axial"
        self._mask: MaskLayer | None = None
        self._resliced: list[ReslicedLayer] = []
        self._changed = False
        self._idle = QTimer(self)
        self._idle.setInterval(_RESLICE)
        self._idle.timeout.connect(self._reslice_next)
        self._draw = QTimer(self)
        self._draw.setInterval(_DRAW_3D)
        self._draw.setSingleShot(True)
        self._draw.timeout.connect(self._refresh)
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
    def mask(self) -> "Labels | None":
        """The layer that shows the session's mask."""
        return self._mask.layer if self._mask else None

    def close(self) -> None:
        """Stop following the viewer."""
        for emitter, callback in self._emitters:
            emitter.disconnect(callback)
        self._emitters = ()

    def open(self, channels: "Sequence[Image]", slice_axis: SliceAxis) -> None:
        """Follow other images, the reference first, and turn the view to its slices."""
        self._channels = list(channels)
        self._axis = slice_axis
        self._changed = False
        order = tuple(self._viewer.dims.order)
        self._view.turn_to(self._channels[0], slice_axis)
        if tuple(self._viewer.dims.order) != order:
            self._viewer.reset_view()
        for layer in self._channels:
            for name in _CHANGES:
                getattr(layer.events, name).connect(self._image_changed)
        self._moved()

    def show(self, mask: NDArray[np.uint8], appearance: Appearance, prepared: Prepared) -> None:
        """Show a mask (N, H, W); the first one brings stand-ins for images on other grids."""
        if self._mask is not None:
            self._mask.show(mask, appearance)
            return
        reference = self._channels[0]
        self._reslice(prepared)
        self._mask = MaskLayer(reference, geometry_of(reference), self._axis, mask, appearance)
        self._viewer.layers.selection.active = self._viewer.add_layer(self._mask.layer)
        self._moved()

    def describe(self, appearance: Appearance) -> None:
        """Say something else of the mask that is shown."""
        if self._mask is not None:
            self._mask.describe(appearance)

    def put(self, slices: Sequence[int], labels: Sequence[NDArray[np.uint8]]) -> None:
        """Write slices (H, W) that were computed, and draw them where one of them is in view."""
        if self._mask is None:
            return
        self._mask.put(slices, labels)
        if self._viewer.dims.ndisplay == 3:
            if not self._draw.isActive():
                self._draw.start()
        elif self._visible() in (None, *slices):
            self._mask.layer.refresh()

    def drop_mask(self) -> None:
        """Take the mask away."""
        mask, self._mask = self._mask, None
        if mask is not None and mask.layer in self._viewer.layers:
            self._viewer.layers.remove(mask.layer)

    def release(self, *, complete: bool) -> None:
        """Let go of the images: a complete mask stays as an ordinary layer, a part of one is taken away, the originals are seen again."""
        channels, self._channels = self._channels, []
        for layer in channels:
            for name in _CHANGES:
                getattr(layer.events, name).disconnect(self._image_changed)
        self._idle.stop()
        self._draw.stop()
        resliced, self._resliced = self._resliced, []
        for stand_in in resliced:
            stand_in.give_back()
            if stand_in.layer in self._viewer.layers:
                self._viewer.layers.remove(stand_in.layer)
        if self._mask is None or not complete:
            self.drop_mask()
            return
        mask, self._mask = self._mask, None
        mask.release()
        if self._changed:
            mask.layer.name = f"{mask.layer.name} (before the image changed)"
        mask.layer.refresh()

    def _visible(self) -> int | None:
        """Which slice N is in view; None where there is not one."""
        return self._view.visible_slice(self._channels[0], self._axis) if self._channels else None

    def _moved(self, event: Any = None) -> None:
        index = self._visible()
        if index is not None:
            for resliced in self._resliced:
                resliced.fill(index)
            self.moved.emit(index)

    def _removed(self, event: Any) -> None:
        layer = event.value
        if self._mask is not None and layer is self._mask.layer:
            self._mask = None
            self.left.emit("")
        elif any(layer is channel for channel in self._channels):
            self.left.emit("")
        else:
            for stand_in in [one for one in self._resliced if one.layer is layer]:
                self._resliced.remove(stand_in)
                stand_in.give_back()

    def _image_changed(self, event: Any) -> None:
        self._changed = True
        self.left.emit(f"{event.source.name} has changed, so its masks are no longer shown; press Segment again.")

    def _refresh(self) -> None:
        if self._mask is not None:
            self._mask.layer.refresh()

    def _reslice(self, prepared: Prepared) -> None:
        """Show the other channels on the reference's grid, as the network sees them."""
        if len(prepared.channels) != len(self._channels):
            return  # the channels of one 4D image are on one grid
        reference = self._channels[0]
        for layer, channel in zip(self._channels, prepared.channels, strict=True):
            if not channel.aligned:
                resliced = ReslicedLayer(layer, reference, geometry_of(reference), prepared, channel)
                self._resliced.append(resliced)
                self._viewer.add_layer(resliced.layer)
        if self._resliced:
            self._idle.start()

    def _reslice_next(self) -> None:
        unfinished = [resliced for resliced in self._resliced if not resliced.complete]
        if unfinished:
            unfinished[0].fill(None)
        else:
            self._idle.stop()

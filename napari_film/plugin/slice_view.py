"""The view of a model's slices: turned to its axis, letters at the edges, radiological or neurological."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QLabel, QMainWindow, QVBoxLayout, QWidget

try:
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
except ImportError:  # Qt 5 has it elsewhere
    from qtpy.QtWidgets import QOpenGLWidget

from napari_film.errors import InputError
from napari_film.plugin.dropdown import Dropdown
from napari_film.plugin.edge_letters import EdgeLetters, Letters
from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.plugin.layers import METADATA_KEY, geometry_of, millimetres
from napari_film.plugin.orientation import Camera, Convention, camera_orientation, dims_order, edge_letters, world_axis
from napari_film.volume import SliceAxis

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image, Labels

_CHOICES: dict[Convention, str] = {
    "radiological": "Radiological (right is left)",
    "neurological": "Neurological (right is right)",
}
_PICTURE = "A picture: it is shown as it is stored, its first row at the top."
_AS_STORED: Camera = ("towards", "down", "right")  # napari's own: rows downwards, columns to the right


class SliceView(QWidget):
    """A switch between conventions, a line that says along which axis the slices run, and the letters.

    The camera's orientation is the viewer's, so it is set only while a layer says where the patient's sides are. A picture has
    none: it is shown as any viewer shows it, its first row at the top.
    """

    valueChanged = Signal(str)

    def __init__(self, viewer: "napari.viewer.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._reference: Image | Labels | None = None
        self._letters: EdgeLetters | None = None
        self._told: SliceAxis | None = None
        self._turned = False  # whether the camera was turned here
        self._switch = Dropdown()
        self._switch.setObjectName("film_convention")
        for convention, text in _CHOICES.items():
            self._switch.addItem(text, convention)
        self._switch.currentIndexChanged.connect(self._switched)
        self._line = QLabel()
        self._line.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._switch)
        layout.addWidget(self._line)
        self._emitters: tuple[tuple[Any, Callable[..., None]], ...] = (
            (viewer.layers.events.inserted, self._turn_camera),
            (viewer.layers.events.removed, self._turn_camera),
            (viewer.dims.events.order, self._turn_camera),
            (viewer.dims.events.ndim, self._turn_camera),
            (viewer.dims.events.ndisplay, self._turn_camera),
            (viewer.scene.camera.events.orientation, self._show_letters),
            (viewer.canvas.grid.events.enabled, self._show_letters),
        )
        for emitter, callback in self._emitters:
            emitter.connect(callback)
        self._turn_camera()

    def close_view(self) -> None:
        """Stop following the viewer and take the letters away."""
        for emitter, callback in self._emitters:
            emitter.disconnect(callback)
        self._emitters = ()
        if self._letters is not None:
            self._letters.close()
            self._letters = None

    def value(self) -> Convention:
        """The convention."""
        convention: Convention = self._switch.currentData()
        return convention

    def setValue(self, convention: Convention) -> None:
        """Choose the convention."""
        self._switch.setCurrentIndex(self._switch.findData(convention))

    def letters(self) -> Letters | None:
        """The letters at the edges; None in 3D, and where no layer says where the patient's sides are.

        In a grid there is none at the top, where the titles of cells stand.
        """
        directions = self._directions()
        if directions is None or self._viewer.dims.ndisplay != 2:
            return None
        letters = edge_letters(directions[1:], self._camera())
        return replace(letters, top="") if self._viewer.canvas.grid.enabled else letters

    def turn_to(self, layer: "Image | Labels", slice_axis: SliceAxis) -> None:
        """Show 2D slices of ``layer`` across ``slice_axis``, and keep the place that is in view; raises as ``geometry_of``."""
        geometry = geometry_of(layer)
        self._reference = layer
        self._told = slice_axis
        dims = self._viewer.dims
        dims.ndisplay = 2
        order = tuple(range(dims.ndim)) if geometry.flat else dims_order(geometry.letters, geometry.anatomical(slice_axis), dims.ndim)
        if tuple(dims.order) != order:
            dims.order = order
        self._turn_camera()

    def visible_slice(self, layer: "Image | Labels", slice_axis: SliceAxis) -> int | None:
        """Which slice N of the sliced layout of ``layer`` is in view.

        None where there is not one: in 3D, when the view was turned to another axis, beside the layer, or while that is being removed.
        """
        geometry = geometry_of(layer)
        dims = self._viewer.dims
        if geometry.flat:
            return 0 if dims.ndisplay == 2 else None
        axis = self._dims_axis(geometry, slice_axis)
        if dims.ndim < 3 or axis in dims.displayed:
            return None
        point = np.zeros(4)
        point[:3] = np.asarray(dims.point)[-3:] * self._millimetres(layer)
        point[3] = 1
        index = np.linalg.solve(geometry.world, point)[:3]
        dimension = geometry.slice_dimension(slice_axis)
        place = int(np.rint(index[dimension]))
        return geometry.slice_of(place, slice_axis) if 0 <= place < geometry.lattice[dimension] else None

    def show_slice(self, layer: "Image | Labels", slice_axis: SliceAxis, number: int) -> None:
        """Bring slice ``number`` of the sliced layout of ``layer`` in view."""
        geometry = geometry_of(layer)
        if geometry.flat:
            return  # it has one
        index = np.array([*np.subtract(geometry.lattice, 1) / 2, 1.0])
        index[geometry.slice_dimension(slice_axis)] = geometry.slice_of(number, slice_axis)
        axis = self._dims_axis(geometry, slice_axis)
        place = axis - self._viewer.dims.ndim
        self._viewer.dims.set_point(axis, float((geometry.world @ index)[:3][place] / self._millimetres(layer)[place]))

    def showEvent(self, event: QShowEvent | None) -> None:
        """Find the canvas as soon as the widget stands in a window."""
        super().showEvent(event)
        self._show_letters()

    def _dims_axis(self, geometry: LayerGeometry, slice_axis: SliceAxis) -> int:
        return int(self._viewer.dims.ndim) - 3 + world_axis(geometry.letters, geometry.anatomical(slice_axis))

    def _millimetres(self, layer: "Image | Labels") -> Any:
        """Mm per unit of the viewer's last three dims: theirs where all layers have lengths, else each layer's own."""
        units = (self._viewer.dims.units or layer.units)[-3:]
        return np.array([millimetres(unit) or 1.0 for unit in units])

    def _known(self) -> LayerGeometry | None:
        """Of the layer that is segmented, else of the first that knows; of a picture where no volume does."""
        layers = list(self._viewer.layers)
        if self._reference not in layers:
            self._reference = None
            self._told = None
        picture = None
        for layer in [self._reference] if self._reference is not None else layers:
            if layer is self._reference or METADATA_KEY in layer.metadata:
                try:
                    known = geometry_of(layer)
                except InputError:
                    continue
                if not known.flat:
                    return known
                picture = picture or known
        return picture

    def _world_letters(self) -> tuple[str, str, str] | None:
        """Where the world axes point; None where nobody knows, or a picture is segmented."""
        known = self._known()
        return None if known is None or known.flat else known.letters

    def _directions(self) -> tuple[str, str, str] | None:
        """Letters of the depth, vertical and horizontal world axes; None where time is among them or nobody knows."""
        letters, dims = self._world_letters(), self._viewer.dims
        if letters is None or dims.ndim < 3:
            return None
        last = [axis - (dims.ndim - 3) for axis in dims.order[-3:]]
        if min(last) < 0:
            return None
        depth, vertical, horizontal = (letters[axis] for axis in last)
        return depth, vertical, horizontal

    def _camera(self) -> Camera:
        depth, vertical, horizontal = (str(direction) for direction in self._viewer.scene.camera.orientation)
        return depth, vertical, horizontal

    def _switched(self) -> None:
        self._turn_camera()
        self.valueChanged.emit(self.value())

    def _turn_camera(self, event: Any = None) -> None:
        directions, known = self._directions(), self._known()
        if directions is not None:
            self._turn(camera_orientation(directions, self.value()))
            self._turned = True
        elif (known is not None and known.flat) or (self._turned and self._viewer.dims.ndim < 3):
            self._turn(_AS_STORED)
            self._turned = False
        self._show_letters()

    def _turn(self, wanted: Camera) -> None:
        if wanted != self._camera():
            self._viewer.scene.camera.orientation = wanted

    def _show_letters(self, event: Any = None) -> None:
        if self._letters is None and self._emitters:
            canvas = _canvas_beside(self)
            self._letters = EdgeLetters(canvas) if canvas is not None else None
        if self._letters is not None:
            self._letters.setValue(self.letters())
        known = self._known()
        flat = known is not None and known.flat
        self._switch.setVisible(not flat)
        self._line.setText(_PICTURE if flat else self._said())
        self._line.setVisible(bool(self._line.text()))

    def _said(self) -> str:
        """How what is in view stands to the model's slices."""
        if not self._told:
            return ""
        if self._is_turned():
            return f"The model works on {self._told} slices: what is in view is one of them."
        return f"The model works on {self._told} slices; the view is turned to another axis."

    def _is_turned(self) -> bool:
        if self._told is None or self._reference is None or geometry_of(self._reference).flat:
            return False
        return self._dims_axis(geometry_of(self._reference), self._told) not in self._viewer.dims.displayed


def _canvas_beside(widget: QWidget) -> QWidget | None:
    """Find the canvas of the main window that ``widget`` is docked in, even while the dock floats."""
    ancestor: QWidget | None = widget
    while ancestor is not None and not isinstance(ancestor, QMainWindow):
        ancestor = ancestor.parentWidget()
    centre = ancestor.centralWidget() if isinstance(ancestor, QMainWindow) else None
    canvases = centre.findChildren(QOpenGLWidget) if centre is not None else []
    return canvases[0] if canvases else None

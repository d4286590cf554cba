"""Inside the model: where the network listens to the metadata, for a wide and low dock below the canvas."""

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_film.inference.film_space import FiLMSpace
from napari_film.plugin.distance_map import DistanceMap
from napari_film.plugin.film_map import FiLMMap
from napari_film.plugin.heat_image import heat_image

NO_MODEL = "Choose a model to see where it listens to the metadata."
NO_FILM = "This model has no FiLM, so there is no γ or β of it to plot; the windows of INSIDE are under Where does it look."
NO_VALUES = "Choose values to see what the network makes of them."
ONE_VALUE = "One value alone: there is nothing to compare it with."
LEGEND = "Rows: values. Columns: channels. Bars: listening."
_HOW = "Bars: how much a place listens to the metadata, as the spread of its γ and β over the values (root mean square)."


class FiLMPanel(QWidget):
    """Shows γ and β of each place and value, how far the values are apart, and what the mouse is over. Knows no model."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._space: FiLMSpace | None = None
        self._busy: str | None = None
        self._map = FiLMMap()
        self._distances = DistanceMap()
        self._empty = QLabel()
        self._empty.setObjectName("film_inside_empty")
        self._empty.setWordWrap(True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._status = QLabel()
        self._status.setObjectName("film_inside_status")
        self._status.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # a long line never widens the dock
        self._status.setToolTip(_HOW)
        self._legend = QWidget()
        scale = QLabel()
        ramp = heat_image(np.linspace(0, 1, 80)[None])
        scale.setPixmap(QPixmap.fromImage(ramp.scaled(80, 10)))
        legend = QHBoxLayout(self._legend)
        legend.setContentsMargins(0, 0, 0, 0)
        legend.setSpacing(4)
        for part in (QLabel("γ, β: 0"), scale, QLabel("1")):
            legend.addWidget(part)
        self._pictures = QWidget()
        pictures = QHBoxLayout(self._pictures)
        pictures.setContentsMargins(0, 0, 0, 0)
        pictures.setSpacing(12)
        pictures.addWidget(self._map, stretch=1)
        pictures.addWidget(self._distances)
        below = QHBoxLayout()
        below.addWidget(self._status, stretch=1)
        below.addWidget(self._legend)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(self._pictures, stretch=1)
        layout.addWidget(self._empty, stretch=1)
        layout.addLayout(below)
        self._map.hovered.connect(self._tell)
        self._distances.hovered.connect(self._tell)
        self.setSpace(None)

    def space(self) -> FiLMSpace | None:
        """What is shown."""
        return self._space

    def setSpace(self, space: FiLMSpace | None) -> None:
        """Show ``space``; None before a model is chosen, one without places for a model without FiLM."""
        self._space = space
        self._map.setValue(space)
        several = space is not None and bool(space.places) and len(space.names) > 1
        self._distances.setValue(space if several else None)
        self._distances.setVisible(several)
        self._show()

    def setBusy(self, what: str | None) -> None:
        """Say ``what`` is being read, while what was shown stands aside; None when it is done."""
        self._busy = what
        self._show()

    def status(self) -> str:
        """The line below: what is under the mouse, what is going on, or how to read the picture."""
        return self._status.text()

    def _show(self) -> None:
        shown = self._map.value() is not None
        for part in (self._pictures, self._status, self._legend):
            part.setVisible(shown)
        for picture in (self._map, self._distances):
            picture.setEnabled(self._busy is None)
        self._empty.setVisible(not shown)
        self._empty.setText(self._busy or (NO_MODEL if self._space is None else NO_VALUES if self._space.places else NO_FILM))
        self._tell("")

    def _tell(self, reading: str) -> None:
        if self._map.value() is None:
            idle = ""
        else:
            idle = self._busy or (LEGEND if self._space is not None and len(self._space.names) > 1 else ONE_VALUE)
        self._status.setText(idle if self._busy else reading or idle)

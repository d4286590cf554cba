"""Where does it look: which windows of the model are drawn over the image, and what they are, for a wide and low dock below the canvas."""

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_film.inference.windows import Windows
from napari_film.plugin.dropdown import Dropdown
from napari_film.plugin.number_box import NumberBox

NO_MODEL = "Choose a model to see where it looks."
NO_WINDOWS = "This model has no INSIDE, so the metadata place no windows in it."
NO_IMAGES = "Press Segment: the windows of the model are then drawn over the image."
MOST = 64
_AT_FIRST = 12
_COLUMNS = {
    "Feature map": "Counted from 1, as the place has them.",
    "Strength": "|γ| times the mean of the window over the image, as a share of all maps of the place.",
    "Centre": "Along the rows and the columns of the network's slice, from its first to its last.",
    "Size": "σ along the rows and the columns, of the length of the slice.",
}
_HOW = (
    "An ellipse is one σ around the centre of a feature map's window, fainter the weaker the map. The heat map is the sum of all windows, "
    "each by |γ|: 100 % where every map passes whole. Both are the model's own numbers; what the maps hold depends on the image."
)


@dataclass(frozen=True)
class Look:
    """What a person wants to see: a place, None where the model has none; ellipses of its ``most`` strongest windows; a heat map."""

    place: str | None = None
    ellipses: bool = False
    heat: bool = False
    most: int = _AT_FIRST


class WhereItLooksPanel(QWidget):
    """The editor of a `Look`, and a table of the windows that are drawn. Knows no model and no viewer."""

    valueChanged = Signal(object)  # Look

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._place = Dropdown()
        self._place.setObjectName("film_look_place")
        self._ellipses = QCheckBox("Ellipses of the strongest")
        self._ellipses.setObjectName("film_look_ellipses")
        self._heat = QCheckBox("Heat map of all")
        self._heat.setObjectName("film_look_heat")
        self._most = NumberBox(1, MOST)
        self._most.setObjectName("film_look_most")
        self._most.show_value(_AT_FIRST)
        self._table = QTableWidget(0, len(_COLUMNS))
        self._table.setObjectName("film_look_table")
        self._status = QLabel()
        self._status.setObjectName("film_look_status")
        self._empty = QLabel()
        self._empty.setObjectName("film_look_empty")
        self._lay_out()
        self._place.currentIndexChanged.connect(self._changed)
        self._ellipses.toggled.connect(self._changed)
        self._heat.toggled.connect(self._changed)
        self._most.valueChanged.connect(self._changed)
        self._told = self.value()
        self.setEmpty(NO_MODEL)

    def value(self) -> Look:
        """What is wanted."""
        place = self._place.currentText() or None
        return Look(place, self._ellipses.isChecked(), self._heat.isChecked(), int(self._most.value()))

    def setValue(self, look: Look) -> None:
        """Want something else; a place that is not among those of the model leaves the place as it is."""
        for widget in (self._place, self._ellipses, self._heat, self._most):
            widget.blockSignals(True)
        found = self._place.findText(look.place or "")
        if found >= 0:
            self._place.setCurrentIndex(found)
        self._ellipses.setChecked(look.ellipses)
        self._heat.setChecked(look.heat)
        self._most.setValue(look.most)
        for widget in (self._place, self._ellipses, self._heat, self._most):
            widget.blockSignals(False)
        self._changed()

    def setPlaces(self, names: Sequence[str]) -> None:
        """Offer the places of another model; the one that was chosen stays where it is among them. Emits nothing."""
        if [self._place.itemText(index) for index in range(self._place.count())] == list(names):
            return
        before = self._place.currentText()
        blocked = self._place.blockSignals(True)
        self._place.clear()
        self._place.addItems(list(names))
        known = [place for place in (before, "bottom", *names) if place in names]
        self._place.setCurrentIndex(self._place.findText(known[0]) if known else -1)
        self._place.blockSignals(blocked)
        self._told = self.value()

    def setEmpty(self, why: str | None) -> None:
        """Show the sentence ``why`` in place of everything; None shows what there is."""
        for part in (self._controls, self._table, self._status):
            part.setVisible(why is None)
        self._empty.setVisible(why is not None)
        self._empty.setText(why or "")
        if why is not None:
            self._table.setRowCount(0)
            self._status.clear()

    def setStatus(self, sentence: str) -> None:
        """Say ``sentence`` in the line below."""
        self._status.setText(sentence)

    def setWindows(self, windows: Windows, name: str, limits: tuple[float, float]) -> None:
        """List the strongest of ``windows``, those of the condition called ``name``; the heat map's colours run between ``limits``."""
        strongest = windows.strongest(int(self._most.value()))
        self._table.setRowCount(len(strongest))
        for row, number in enumerate(strongest):
            y, x = 50 * (windows.centre[number] + 1)
            down, across = 50 * windows.size[number]
            strength = 100 * windows.strength[number]
            texts = (str(number + 1), f"{strength:.1f} %", f"{y:.0f} %, {x:.0f} %", f"{down:.0f} % x {across:.0f} %")
            for column, text in enumerate(texts):
                item = self._table.item(row, column)
                if item is None:
                    item = QTableWidgetItem()
                    item.setTextAlignment(int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter))
                    self._table.setItem(row, column, item)
                if item.text() != text:
                    item.setText(text)
        count, share = len(windows.strength), float(windows.strength[strongest].sum())
        part = f"the {len(strongest)} strongest of {count} windows, {100 * share:.0f} % of what passes"
        which = f"all {count} windows" if len(strongest) == count else part
        heat = f"The heat map runs from {100 * limits[0]:.0f} % that pass (dark) to {100 * limits[1]:.0f} % (bright)"
        self.setStatus(f"{name}: {which}. {heat}.")

    def rows(self) -> list[tuple[str, ...]]:
        """The table as it is shown."""
        return [
            tuple(item.text() if (item := self._table.item(row, column)) else "" for column in range(self._table.columnCount()))
            for row in range(self._table.rowCount())
        ]

    def _changed(self) -> None:
        look = self.value()
        if look != self._told:
            self._told = look
            self.valueChanged.emit(look)

    def _lay_out(self) -> None:
        self._table.setHorizontalHeaderLabels(list(_COLUMNS))
        for column, about in enumerate(_COLUMNS.values()):
            title = self._table.horizontalHeaderItem(column)
            if title is not None:
                title.setToolTip(about)
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self._table.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # letter keys are the canvas's
        across, down = self._table.horizontalHeader(), self._table.verticalHeader()
        if across is not None and down is not None:  # they always are; Qt's signatures only say so
            across.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
            down.hide()
            down.setDefaultSectionSize(self.fontMetrics().height() + 6)
        self._status.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # a long line never widens the dock
        self._status.setToolTip(_HOW)
        self._ellipses.setToolTip(_HOW)
        self._heat.setToolTip(_HOW)
        self._empty.setWordWrap(True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._controls = QWidget()
        line = QHBoxLayout(self._controls)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(8)
        for part in (QLabel("Place"), self._place, self._ellipses, self._most, self._heat):
            line.addWidget(part)
        line.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(self._controls)
        layout.addWidget(self._table, stretch=1)
        layout.addWidget(self._empty, stretch=1)
        layout.addWidget(self._status)

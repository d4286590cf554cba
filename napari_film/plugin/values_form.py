"""The editor of which condition values are computed all at once, and how they are laid out."""

import math
from collections.abc import Mapping, Sequence
from itertools import product

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QAction, QMouseEvent
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QLineEdit, QMenu, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_film.conditioning import MetadataSchema
from napari_film.fields import BY_SLICE, CategoricalField, ContinuousField, MetadataError, Value
from napari_film.plugin.dropdown import Dropdown
from napari_film.plugin.metadata_form import spoken

_LAYOUTS = {"grid": "Grid", "stacked": "Stacked layers"}
_POINTS = 5  # of a continuous field, evenly from end to end, until a person writes others
_ONE = "This model takes no metadata, so there is one mask."


class ValuesForm(QWidget):
    """Knows a schema and the current metadata; its value are the metadata of each mask that is asked for."""

    computeClicked = Signal(list)
    cancelClicked = Signal()
    layoutChanged = Signal(str)
    removeClicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pickers: dict[str, _Values | _Points] = {}
        self._busy = False
        self._fields = QFormLayout()
        self._fields.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self._count = QLabel()
        self._count.setObjectName("film_values_count")
        self._count.setWordWrap(True)
        self._layouts = Dropdown()
        self._layouts.setObjectName("film_layout")
        for layout, text in _LAYOUTS.items():
            self._layouts.addItem(text, layout)
        self._layouts.activated.connect(lambda _: self.layoutChanged.emit(self.layoutValue()))
        self._compute = _button("All values at once", "film_all_at_once")
        self._compute.clicked.connect(self._clicked)
        self._remove = _button("Take away", "film_take_away")
        self._remove.clicked.connect(lambda: self.removeClicked.emit())
        self._bar = QProgressBar()
        line = QHBoxLayout()
        line.addWidget(self._compute, stretch=1)
        line.addWidget(self._remove)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._fields)
        column.addWidget(self._count)
        column.addWidget(self._layouts)
        column.addLayout(line)
        column.addWidget(self._bar)
        self.setSchema(None, {}, None)
        self.setBusy(False)
        self.setShown(False)
        self.setProgress(0, 0)

    def setSchema(self, schema: MetadataSchema | None, current: Mapping[str, Value], chosen: str | None = None) -> None:
        """Offer the values of each field of ``schema``: all of ``chosen``, the current one of the others."""
        while self._fields.rowCount():
            self._fields.removeRow(0)
        self._pickers = {}
        for field in schema or ():
            picker = _Values(field) if isinstance(field, CategoricalField) else _Points(field)
            picker.setObjectName(f"film_values_{field.name}")
            picker.changed.connect(self._show_count)
            picker.setAll(field.name == chosen)
            self._pickers[field.name] = picker
            unit = f" ({field.unit})" if isinstance(field, ContinuousField) and field.unit else ""
            self._fields.addRow(spoken(field.name) + unit, picker)
        self.setCurrent(current)

    def setCurrent(self, metadata: Mapping[str, Value]) -> None:
        """Say what the metadata are now: fields of which no values were picked have this one."""
        for name, picker in self._pickers.items():
            if name in metadata:
                picker.setCurrent(metadata[name])
        self._show_count()

    def value(self) -> list[dict[str, Value]]:
        """Metadata of each mask that is asked for: each picked value of one field with each of the others.

        Raises
        ------
        MetadataError
            If points of a continuous field are no numbers, or out of its range.
        """
        names = list(self._pickers)
        return [dict(zip(names, values, strict=True)) for values in product(*(picker.value() for picker in self._pickers.values()))]

    def layoutValue(self) -> str:
        """How masks are laid out: "grid" or "stacked"."""
        return str(self._layouts.currentData())

    def setLayoutValue(self, layout: str) -> None:
        """Show how masks are laid out; emits nothing."""
        self._layouts.setCurrentIndex(max(0, self._layouts.findData(layout)))

    def setBusy(self, on: bool) -> None:
        """Show whether masks are being computed."""
        self._busy = on
        self._compute.setText("Cancel" if on else "All values at once")
        self._bar.setVisible(on)
        self._show_count()

    def setProgress(self, done: int, total: int) -> None:
        """Show how many slices of all masks were computed."""
        self._bar.setUpdatesEnabled(False)  # else the whole window is painted for every slice
        self._bar.setRange(0, max(total, 1))
        self._bar.setValue(done)
        self._bar.setFormat(f"{done} of {total} slices")
        self._bar.setUpdatesEnabled(True)

    def setShown(self, on: bool) -> None:
        """Show whether masks are laid out."""
        self._remove.setEnabled(on)

    def _clicked(self) -> None:
        if self._busy:
            self.cancelClicked.emit()
        else:
            self.computeClicked.emit(self.value())

    def _show_count(self) -> None:
        try:
            count = math.prod(len(picker.value()) for picker in self._pickers.values())
        except MetadataError as error:
            self._count.setText(f"⚠ {error}")
        else:
            self._count.setText(_ONE if not self._pickers else f"{count} mask{'s' * (count != 1)}")
        self._compute.setEnabled(self._busy or (bool(self._pickers) and not self._count.text().startswith("⚠")))


class _Values(QPushButton):
    """A button with a menu of boxes, one per value of a categorical field."""

    changed = Signal()

    def __init__(self, field: CategoricalField) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._current: Value = field.default
        menu = _StayingMenu(self)
        for text, on in (("All", True), ("None but the current one", False)):
            menu.addAction(text, lambda on=on: self.setAll(on))
        menu.addSeparator()
        self._boxes = {value: QAction(spoken(value), menu) for value in field.choices}
        for box in self._boxes.values():
            box.setCheckable(True)
            box.toggled.connect(lambda _: self._tell())
            menu.addAction(box)
        self.setMenu(menu)
        self._tell()

    def value(self) -> Sequence[Value]:
        picked: list[Value] = [value for value, box in self._boxes.items() if box.isChecked()]
        return picked or [self._current]

    def setAll(self, on: bool) -> None:
        for box in self._boxes.values():
            box.setChecked(on)

    def setCurrent(self, value: Value) -> None:
        self._current = value
        self._tell()

    def _tell(self) -> None:
        picked = [value for value, box in self._boxes.items() if box.isChecked()]
        if not picked:
            self.setText(f"{spoken(str(self._current))} (current)")
        elif len(picked) == len(self._boxes):
            self.setText(f"all {len(picked)}")
        else:
            self.setText(spoken(picked[0]) if len(picked) == 1 else f"{len(picked)} of {len(self._boxes)}")
        self.changed.emit()


class _StayingMenu(QMenu):
    """Stays open while boxes are ticked."""

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Tick a box and stay, or do what a menu does."""
        action = self.activeAction()
        if action is not None and action.isCheckable():
            action.trigger()
        else:
            super().mouseReleaseEvent(event)


class _Points(QLineEdit):
    """Points of a continuous field, with commas between them; nothing stands for the current value."""

    changed = Signal()

    def __init__(self, field: ContinuousField) -> None:
        super().__init__()
        self._field = field
        self._current: Value = field.default
        self.setPlaceholderText("current value")
        self.setToolTip(f"Points with commas between them: {field.expected}.")
        self.editingFinished.connect(self.changed)
        self.textEdited.connect(lambda _: self.changed.emit())

    def value(self) -> Sequence[Value]:
        words = [word for word in self.text().replace(";", ",").split(",") if word.strip()]
        points: list[Value] = [self._field.resolve(word.strip())[0] for word in words]
        return list(dict.fromkeys(points)) or [self._current]

    def setAll(self, on: bool) -> None:
        low, high = self._field.minimum, self._field.maximum
        points = [low + (high - low) * point / (_POINTS - 1) for point in range(_POINTS)]
        words = [f"{point:.6g}" for point in points] + [BY_SLICE] * bool(self._field.per_slice)
        self.setText(", ".join(words) if on else "")
        self.changed.emit()

    def setCurrent(self, value: Value) -> None:
        self._current = value
        self.changed.emit()


def _button(text: str, name: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button

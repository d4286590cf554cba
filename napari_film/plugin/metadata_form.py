"""The editor of metadata: a dropdown per categorical field, a slider per continuous one."""

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QLabel, QWidget
from superqt import QLabeledDoubleSlider

from napari_film.conditioning import UNKNOWN, CategoricalField, ContinuousField, MetadataSchema, Value
from napari_film.plugin.dropdown import Dropdown

_NO_MODEL = "Choose a model to see what it can be told."
_NO_FIELDS = "This model takes no metadata."


class MetadataForm(QWidget):
    """Knows a schema and one value, the metadata; no model and no viewer.

    ``valueChanged`` is emitted when the value really changes, by a person or by `setValue`; while a slider is dragged, when
    it is let go.
    """

    valueChanged = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._editors: dict[str, _Choice | _Number] = {}
        self._last: dict[str, Value] = {}
        self._layout = QFormLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.setSchema(None)

    def setSchema(self, schema: MetadataSchema | None) -> None:
        """Show the fields of ``schema``, each at its default; None before a model is chosen. Emits nothing."""
        while self._layout.rowCount():
            self._layout.removeRow(0)
        self._editors = {}
        for field in schema or ():
            editor = _Choice(field) if isinstance(field, CategoricalField) else _Number(field)
            editor.setObjectName(field.name)
            editor.changed.connect(self._tell)
            self._editors[field.name] = editor
            label = QLabel(spoken(field.name))
            label.setToolTip(field.description)
            editor.setToolTip(field.description)
            if isinstance(editor, _Choice):
                self._layout.addRow(label, editor)
            else:
                label.setText(f"{label.text()} ({field.unit})" if isinstance(field, ContinuousField) and field.unit else label.text())
                self._layout.addRow(label)
                self._layout.addRow(editor)
        if not self._editors:
            line = QLabel(_NO_MODEL if schema is None else _NO_FIELDS)
            line.setWordWrap(True)
            self._layout.addRow(line)
        self._last = self.value()

    def value(self) -> dict[str, Value]:
        """The metadata as they stand in the form."""
        return {name: editor.value() for name, editor in self._editors.items()}

    def setValue(self, values: Mapping[str, Value]) -> None:
        """Show ``values``; fields that it does not name stay, and names that the schema lacks are passed over."""
        for name, editor in self._editors.items():
            if name in values:
                editor.setValue(values[name])
        self._tell()

    def setFieldEnabled(self, name: str, on: bool) -> None:
        """Let a person change the field ``name``, or not, while its value says nothing."""
        self._editors[name].setEnabled(on)

    def _tell(self) -> None:
        value = self.value()
        if value != self._last:
            self._last = value
            self.valueChanged.emit(dict(value))


class _Choice(Dropdown):
    """The editor of a categorical field."""

    changed = Signal()

    def __init__(self, field: CategoricalField) -> None:
        super().__init__()
        for choice in field.choices:
            self.addItem(spoken(choice), choice)
        self.setValue(field.default)
        self.activated.connect(lambda _: self.changed.emit())

    def value(self) -> Value:
        return str(self.currentData())

    def setValue(self, value: Value) -> None:
        index = self.findData(value)
        if index >= 0:
            self.setCurrentIndex(index)


class _Number(QWidget):
    """The editor of a continuous field: a slider with its number, and a box for *unknown* where a model knows it."""

    changed = Signal()

    def __init__(self, field: ContinuousField) -> None:
        super().__init__()
        self._slider: Any = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(field.minimum, field.maximum)
        span = field.maximum - field.minimum
        self._slider.setDecimals(0 if span >= 50 else 1 if span >= 5 else 2 if span >= 0.5 else 4)
        self._slider.setTracking(False)
        self._unknown = QCheckBox(UNKNOWN)
        self._unknown.setVisible(field.unknown)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, stretch=1)
        layout.addWidget(self._unknown)
        self.setValue(field.default)
        self._slider.valueChanged.connect(lambda _: self.changed.emit())
        self._unknown.toggled.connect(self._toggled)

    def value(self) -> Value:
        return UNKNOWN if self._unknown.isChecked() else float(self._slider.value())

    def setValue(self, value: Value) -> None:
        blocked = self.blockSignals(True)
        self._unknown.setChecked(isinstance(value, str))
        if not isinstance(value, str):
            self._slider.setValue(value)
        self._slider.setEnabled(not self._unknown.isChecked())
        self.blockSignals(blocked)

    def _toggled(self, on: bool) -> None:
        self._slider.setEnabled(not on)
        self.changed.emit()


def spoken(name: str) -> str:
    """Show a name of a field or a value to a person: "tumor_type" as "tumor type"."""
    return name.replace("_", " ")

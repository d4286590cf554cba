"""The editor of metadata: a dropdown per categorical field, a slider per continuous one; what is per slice has a box of its own."""

from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QGraphicsOpacityEffect, QHBoxLayout, QLabel, QSizePolicy, QWidget
from superqt import QLabeledDoubleSlider

from napari_film.bids import Found
from napari_film.conditioning import MetadataSchema
from napari_film.fields import UNKNOWN, CategoricalField, ContinuousField, Value
from napari_film.plugin.by_slice_box import BySliceBox, decimals_of
from napari_film.plugin.dropdown import Dropdown
from napari_film.plugin.value_origin import YOU, ValueOrigin, origin_of

_NO_MODEL = "Choose a model to see what it can be told."
_NO_FIELDS = "This model takes no metadata."
_BESIDE = 18  # characters of a name that leave room for a dropdown on its line


class MetadataForm(QWidget):
    """Knows a schema, one value, the metadata, and where each part of it is from; no model and no viewer.

    ``valueChanged`` is emitted when the value really changes, by a person or by `setValue`; while a slider is dragged, when
    it is let go. A line below each editor says who says so; it is a warning where a file says something else.
    """

    valueChanged = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fields: dict[str, CategoricalField | ContinuousField] = {}
        self._editors: dict[str, _Choice | _Number | BySliceBox] = {}
        self._captions: dict[str, _Caption] = {}
        self._found: dict[str, Found] = {}
        self._by_person: set[str] = set()
        self._last: dict[str, Value] = {}
        self._layout = QFormLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._layout.setVerticalSpacing(2)  # a caption is nearer to its editor than to the next one, by its own margin
        self.setSchema(None)

    def setSchema(self, schema: MetadataSchema | None) -> None:
        """Show the fields of ``schema``, each at its default; None before a model is chosen. Emits nothing."""
        while self._layout.rowCount():
            self._layout.removeRow(0)
        self._fields = {field.name: field for field in schema or ()}
        self._editors, self._captions = {}, {}
        self._found, self._by_person = {}, set()
        for field in self._fields.values():
            editor = _editor(field)
            editor.setObjectName(field.name)
            editor.changed.connect(partial(self._chosen, field.name))
            self._editors[field.name] = editor
            unit = f" ({field.unit})" if isinstance(field, ContinuousField) and field.unit else ""
            label = QLabel(spoken(field.name) + unit)
            label.setToolTip(field.description)
            editor.setToolTip(field.description)
            if isinstance(editor, _Choice) and len(label.text()) <= _BESIDE:
                self._layout.addRow(label, editor)
            else:
                self._layout.addRow(_narrow(label))
                self._layout.addRow(editor)
            caption = _Caption()
            caption.setObjectName(f"film_origin_{field.name}")
            self._captions[field.name] = caption
            self._layout.addRow(caption)
        if not self._editors:
            line = QLabel(_NO_MODEL if schema is None else _NO_FIELDS)
            line.setWordWrap(True)
            self._layout.addRow(line)
        self._last = self.value()
        self._caption()

    def value(self) -> dict[str, Value]:
        """The metadata as they stand in the form."""
        return {name: editor.value() for name, editor in self._editors.items()}

    def setValue(self, values: Mapping[str, Value], *, origins: Mapping[str, str] | None = None) -> None:
        """Show ``values``; fields that it does not name stay, and names that the schema lacks are passed over.

        Parameters
        ----------
        values
            By field.
        origins
            By field, who says so: "you" for a person, and anything else, such as a file's name, for nobody. Fields that it
            does not name, and all where it is None, are a person's if they were so before.
        """
        for name, editor in self._editors.items():
            if name in values:
                editor.setValue(values[name])
        self._by_person |= {name for name, who in (origins or {}).items() if who == YOU}
        self._by_person -= {name for name, who in (origins or {}).items() if who != YOU}
        self._tell()

    def setOrigins(self, found: Mapping[str, Found]) -> None:
        """Say what the files around the images say, by field; the value stays as it is. Emits nothing."""
        self._found = dict(found)
        self._caption()

    def origins(self) -> dict[str, str]:
        """Where each part of the value is from: the name of a file, "you" or "default"."""
        return {name: self._origin(name).name for name in self._editors}

    def byPerson(self) -> set[str]:
        """The fields whose values a person chose, be they what a file or the model says or not."""
        return set(self._by_person)

    def setSlice(self, place: tuple[int, int] | None) -> None:
        """Say which slice is in view, of how many; None where there is not one. Emits nothing."""
        for editor in self._editors.values():
            if isinstance(editor, BySliceBox):
                editor.setSlice(place)

    def setFieldEnabled(self, name: str, on: bool) -> None:
        """Let a person change the field ``name``, or not, while its value says nothing."""
        self._editors[name].setEnabled(on)
        self._captions[name].setEnabled(on)

    def _chosen(self, name: str) -> None:
        self._by_person.add(name)
        self._tell()

    def _tell(self) -> None:
        self._caption()
        value = self.value()
        if value != self._last:
            self._last = value
            self.valueChanged.emit(dict(value))

    def _origin(self, name: str) -> ValueOrigin:
        return origin_of(
            self._editors[name].value(),
            default=self._fields[name].default,
            found=self._found.get(name),
            by_person=name in self._by_person,
        )

    def _caption(self) -> None:
        for name, caption in self._captions.items():
            origin, field = self._origin(name), self._fields[name]
            said = origin.contradicted.value if origin.contradicted else ""
            if not isinstance(said, str):
                said = f"{said:.6g} {field.unit if isinstance(field, ContinuousField) else ''}".strip()
            caption.setOrigin(origin, spoken(said))


class _Caption(QLabel):
    """The small line below an editor; dimmed, but for a warning."""

    def __init__(self) -> None:
        super().__init__()
        _narrow(self)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setContentsMargins(0, 0, 0, 6)
        self._dimmed = QGraphicsOpacityEffect(self)  # napari's stylesheet has one colour for all text
        self._dimmed.setOpacity(0.65)
        self.setGraphicsEffect(self._dimmed)

    def setOrigin(self, origin: ValueOrigin, said: str) -> None:
        warning = origin.contradicted is not None
        self._dimmed.setEnabled(not warning)
        text = escape(_breakable(origin.name))
        if origin.contradicted is not None:
            text = f"⚠ {text}; {escape(_breakable(origin.contradicted.origin))} says {escape(said)}"
        self.setText(f"<small>{text}</small>")


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
        self._slider.setDecimals(decimals_of(field))
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


def _editor(field: CategoricalField | ContinuousField) -> _Choice | _Number | BySliceBox:
    if isinstance(field, CategoricalField):
        return _Choice(field)
    return BySliceBox(field) if field.per_slice else _Number(field)


def spoken(name: str) -> str:
    """Show a name of a field or a value to a person: "tumor_type" as "tumor type"."""
    return name.replace("_", " ")


def _narrow(label: QLabel) -> QLabel:
    """Let a label have as many lines as it takes, rather than widen the dock."""
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def _breakable(text: str) -> str:
    """Let a line end after the marks that file names have in place of spaces."""
    return "".join(f"{character}\u200b" if character in "_-." else character for character in text)

"""A short card of what a model expects and how well it did."""

from collections.abc import Mapping
from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_film.fields import AnyField, CategoricalField
from napari_film.header import Header
from napari_film.plugin.metadata_form import spoken
from napari_film.plugin.model_inputs import in_colour
from napari_film.preprocessing import Preprocessing
from napari_film.volume import axis_names

_EMPTY = "Choose a bundled model, or open a checkpoint that napari-film-train wrote."


class ModelCard(QWidget):
    """Shows a header; ``None`` shows what to do."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value: Header | None = None
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.RichText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._text)
        self.setValue(None)

    def value(self) -> Header | None:
        """The header that is shown."""
        return self._value

    def text(self) -> str:
        """What is shown, as rich text."""
        return self._text.text()

    def setValue(self, header: Header | None) -> None:
        """Show ``header``."""
        self._value = header
        self._text.setText(_EMPTY if header is None else _card(header))


def _card(header: Header) -> str:
    """Rich text of a header. Its texts come from a file, so they are escaped."""
    rows = [
        ("images", ("a picture: " if in_colour(header) else "") + ", ".join(_channel(each.name, each.suffix) for each in header.channels)),
        ("slices", "" if in_colour(header) else f"{header.preprocessing.slice_axis}, {_spacing(header.preprocessing)}"),
        *((spoken(field.name), _vocabulary(field)) for field in header.metadata_schema),
        ("finds", ", ".join(map(spoken, header.classes))),
        ("Dice", _dice(header.provenance.scores)),
        ("licence", header.licence),
    ]
    table = "".join(
        f"<tr><td style='padding-right: 8px; color: #909090'>{escape(name).replace(' ', '&nbsp;')}</td><td>{escape(text)}</td></tr>"
        for name, text in rows
        if text
    )
    description = f"<p style='margin: 2px 0 4px 0'>{escape(header.description)}</p>" if header.description else ""
    return f"<b>{escape(header.name)}</b>{description}<table cellspacing='0' cellpadding='1'>{table}</table>"


def _channel(name: str, suffix: str) -> str:
    return f"{name} ({suffix})" if suffix and suffix.casefold() != name.casefold() else name


def _spacing(preprocessing: Preprocessing) -> str:
    """Describe the spacing along R, A, S, or along columns, rows and slices."""
    axes: dict[float, list[str]] = {}
    for axis, size in zip(axis_names(preprocessing.slice_axis), preprocessing.spacing, strict=True):
        if size is not None:
            axes.setdefault(size, []).append(axis)
    if not axes:
        return "voxels as they are"
    return ", ".join(f"{size:g} mm along {' and '.join(found) if len(found) < 3 else 'all axes'}" for size, found in axes.items())


def _vocabulary(field: AnyField) -> str:
    return ", ".join(map(spoken, field.choices)) if isinstance(field, CategoricalField) else field.expected


def _dice(scores: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> str:
    """Dice per condition value when the network is given the true one: the diagonal of the test table, else of another."""
    for name in sorted(scores, key=lambda name: ("test" not in name, "validation" not in name)):
        diagonal = {value: row.get(value) for value, row in scores[name].items()}
        found = [f"{spoken(value)} {dice:.2f}" for value, dice in diagonal.items() if dice is not None]
        if found:
            return f"{', '.join(found)} ({name.split(',')[0]})"
    return ""

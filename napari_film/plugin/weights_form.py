"""The editor of weights for the values of one field: how probable each is, in whole percents that sum to 100."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_film.fields import CategoricalField
from napari_film.inference.mixture import Mixture, Mode
from napari_film.plugin.dropdown import Dropdown
from napari_film.plugin.metadata_form import spoken
from napari_film.plugin.slider import Slider

_MODES: dict[Mode, str] = {"expected": "Expected mask", "blended": "Blended metadata"}
_TIPS: dict[Mode, str] = {
    "expected": "The network runs for each value, and the probabilities are averaged by the weights.",
    "blended": "⚠ The network runs once, with metadata that no training image had: off the training distribution.",
}
_TIP = "Give each value a weight. Unknown is no value here: it is chosen in the dropdown."
_NAME = 125  # px of a value's name
_ROW = 26  # px
_MOST_ROWS = 6  # in view; more scroll


def rebalanced(percents: Sequence[int], place: int, value: int) -> list[int]:
    """Give whole percents with ``value`` at ``place``; the others share the rest as before, evenly where they had none.

    What is left over by rounding down goes to those who lost most by it, the first where that is equal.
    """
    rest = 100 - value
    others = [other for other in range(len(percents)) if other != place]
    if not others:
        return [100]
    had = [percents[other] for other in others]
    shares = [rest * part / sum(had) for part in had] if sum(had) else [rest / len(others)] * len(others)
    whole = [int(share) for share in shares]
    by_loss = sorted(range(len(others)), key=lambda number: (whole[number] - shares[number], number))
    for number in by_loss[: rest - sum(whole)]:
        whole[number] += 1
    result = list(percents)
    result[place] = value
    for other, part in zip(others, whole, strict=True):
        result[other] = part
    return result


class WeightsForm(QWidget):
    """Knows a categorical field and a `Mixture` of its values; its box says whether they count."""

    valueChanged = Signal(object)  # Mixture
    activeToggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._field: CategoricalField | None = None
        self._percents: list[int] = []
        self._held: list[int] | None = None  # the weights when a slider was taken hold of: the others keep their proportions
        self._sliders: list[Slider] = []
        self._numbers: list[QLabel] = []
        self._active = QCheckBox()
        self._active.setObjectName("film_uncertain")
        self._active.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._active.toggled.connect(self._toggled)
        self._mode = Dropdown()
        self._mode.setObjectName("film_mixture_mode")
        for mode, text in _MODES.items():
            self._mode.addItem(text, mode)
        self._mode.activated.connect(lambda _: self._tell())
        self._says = QLabel()
        self._says.setWordWrap(True)
        self._says.setObjectName("film_mixture_says")
        self._equal = QPushButton("Equal weights")
        self._equal.setObjectName("film_equal")
        self._equal.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._equal.clicked.connect(self._make_equal)
        self._rows = QScrollArea()
        self._rows.setWidgetResizable(True)
        self._rows.setFrameShape(QScrollArea.Shape.NoFrame)
        self._rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._body = QWidget()
        column = QVBoxLayout(self._body)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self._rows, self._equal, self._mode, self._says):
            column.addWidget(widget)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._active)
        outer.addWidget(self._body)
        self.setField(None)

    def setField(self, field: CategoricalField | None) -> None:
        """Show the values of ``field``, equally probable, and not in use; emits nothing."""
        self._field = field
        values = field.values if field else ()
        self._percents = _equal(len(values))
        self._sliders, self._numbers = [], []
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(0)
        for row, value in enumerate(values):
            name, slider, number = QLabel(spoken(value)), Slider(0, 100), QLabel()
            name.setToolTip(spoken(value))
            name.setText(name.fontMetrics().elidedText(spoken(value), Qt.TextElideMode.ElideMiddle, _NAME))
            slider.setObjectName(f"film_weight_{value}")
            slider.valueChanged.connect(lambda percent, row=row: self._moved(row, percent))
            slider.sliderPressed.connect(lambda: self._hold(True))
            slider.sliderReleased.connect(lambda: self._hold(False))
            number.setMinimumWidth(number.fontMetrics().horizontalAdvance("100 %"))
            for place, widget in enumerate((name, slider, number)):
                grid.addWidget(widget, row, place)
            grid.setRowMinimumHeight(row, _ROW)
            self._sliders.append(slider)
            self._numbers.append(number)
        self._rows.setWidget(inside)
        self._rows.setFixedHeight(_ROW * min(max(len(values), 1), _MOST_ROWS) + 4)
        self._active.setText(f"Not sure of the {spoken(field.name)}" if field else "Not sure")
        self._active.setEnabled(len(values) > 1)
        self._active.setToolTip(_TIP if len(values) > 1 else "This field has a single value, which is sure.")
        self.setActive(False)
        self._show()

    def value(self) -> Mixture | None:
        """The weights; None without a field."""
        if self._field is None:
            return None
        weights = dict(zip(self._field.values, self._percents, strict=True))
        return Mixture(field=self._field.name, percent=weights, mode=self._mode.currentData())

    def setValue(self, mixture: Mixture) -> None:
        """Show ``mixture``, which is of the field; emits nothing."""
        if self._field is not None and mixture.field == self._field.name:
            self._percents = [mixture.percent.get(value, 0) for value in self._field.values]
            self._mode.setCurrentIndex(self._mode.findData(mixture.mode))
            self._show()

    def isActive(self) -> bool:
        """Whether the weights count."""
        return self._active.isChecked()

    def setActive(self, on: bool) -> None:
        """Show whether the weights count; emits nothing."""
        blocked = self._active.blockSignals(True)
        self._active.setChecked(on)
        self._active.blockSignals(blocked)
        self._body.setVisible(on)

    def _toggled(self, on: bool) -> None:
        self._body.setVisible(on)
        self.activeToggled.emit(on)

    def _hold(self, on: bool) -> None:
        self._held = list(self._percents) if on else None

    def _moved(self, place: int, percent: int) -> None:
        self._percents = rebalanced(self._held or self._percents, place, percent)
        self._tell()

    def _make_equal(self) -> None:
        self._percents = _equal(len(self._percents))
        self._tell()

    def _tell(self) -> None:
        self._show()
        self.valueChanged.emit(self.value())

    def _show(self) -> None:
        for slider, number, percent in zip(self._sliders, self._numbers, self._percents, strict=True):
            slider.show_value(percent)
            number.setText(f"{percent} %")
        mode: Mode = self._mode.currentData()
        self._says.setText(_TIPS[mode])


def _equal(count: int) -> list[int]:
    return [100 // count + (place < 100 % count) for place in range(count)]

"""The editor of a number that the program fills in slice by slice, as long as nobody gives one for all slices."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_film.fields import BY_SLICE, UNKNOWN, ContinuousField, Value
from napari_film.plugin.dropdown import Dropdown
from napari_film.plugin.number_box import NumberBox

_ONE = "one number"
_STEPS = 20  # of the arrows, from end to end


class BySliceBox(QWidget):
    """A choice between what the program fills in and one number for all slices; *unknown* too where a model knows it.

    While the program fills it in, the number of the slice in view stands beside; a number of one's own begins there.
    """

    changed = Signal()

    def __init__(self, field: ContinuousField) -> None:
        super().__init__()
        self._field = field
        self._place: tuple[int, int] | None = None
        self._decimals = decimals_of(field)
        self._kind = Dropdown()
        self._kind.setObjectName(f"film_kind_{field.name}")
        self._kind.addItem(BY_SLICE, BY_SLICE)
        self._kind.addItem("one for all slices", _ONE)
        if field.unknown:
            self._kind.addItem(UNKNOWN, UNKNOWN)
        self._number = NumberBox(field.minimum, field.maximum, decimals=self._decimals)
        self._number.setObjectName(f"film_number_{field.name}")
        self._number.setSingleStep((field.maximum - field.minimum) / _STEPS)
        self._one = (field.minimum + field.maximum) / 2  # as it was given: the box rounds what it shows
        self._number.show_value(self._one)
        self._here = QLabel()
        self._here.setObjectName(f"film_here_{field.name}")
        self._here.setToolTip("The value of the slice in view; it moves with the slices.")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._kind, stretch=1)
        layout.addWidget(self._number, stretch=1)
        layout.addWidget(self._here, stretch=1)
        self._kind.activated.connect(lambda _: self._kind_chosen())
        self._number.valueChanged.connect(self._number_chosen)
        self._show()

    def value(self) -> Value:
        """`BY_SLICE`, a number for all slices, `UNKNOWN`, or the numbers of all slices with commas between."""
        kind = str(self._kind.currentData())
        return self._one if kind == _ONE else kind

    def setValue(self, value: Value) -> None:
        """Show ``value``; emits nothing."""
        if isinstance(value, str):
            if self._kind.findData(value) < 0:  # of a script: a number for each slice, which no box has room for
                self._kind.addItem(f"{value.count(',') + 1} numbers", value)
            self._kind.setCurrentIndex(self._kind.findData(value))
        else:
            self._kind.setCurrentIndex(self._kind.findData(_ONE))
            self._one = value
            self._number.show_value(value)
        self._show()

    def setSlice(self, place: tuple[int, int] | None) -> None:
        """Say which slice is in view, of how many; None where there is not one."""
        self._place = place
        self._show()

    def _kind_chosen(self) -> None:
        if self._kind.currentData() == _ONE and self._here.isVisibleTo(self) and self._place is not None:
            self._number.show_value(self._field.value_at(*self._place))
            self._one = float(self._number.value())
        self._show()
        self.changed.emit()

    def _number_chosen(self, number: float) -> None:
        self._one = number
        self.changed.emit()

    def _show(self) -> None:
        one, by_slice = (self._kind.currentData() == kind for kind in (_ONE, BY_SLICE))
        known = by_slice and self._place is not None
        self._here.setText(f"{self._field.value_at(*self._place):.{self._decimals}f} in this slice" if known and self._place else "")
        self._number.setVisible(one)
        self._here.setVisible(known)


def decimals_of(field: ContinuousField) -> int:
    """How many decimals a person needs to see of a number of ``field``."""
    span = field.maximum - field.minimum
    return 0 if span >= 50 else 1 if span >= 5 else 2 if span >= 0.5 else 4

"""A box for a number that belongs in a scrolling dock: it waits until a person has typed the whole of it."""

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QDoubleSpinBox, QWidget

_PAUSE = 600  # ms without a key that end the typing


class NumberBox(QDoubleSpinBox):
    """``valueChanged`` is emitted by an arrow, by Enter, and after a short pause of typing: "50" is not first taken for 5.

    Lets the wheel scroll the dock instead of changing the number.
    """

    def __init__(self, minimum: float, maximum: float, *, decimals: int = 0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDecimals(decimals)
        self.setRange(minimum, maximum)
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE)
        self._pause.timeout.connect(self.interpretText)
        line = self.lineEdit()
        if line is not None:  # it never is; Qt's signature only says so
            line.textEdited.connect(lambda _: self._pause.start())

    def show_value(self, value: float) -> None:
        """Show ``value`` and emit nothing."""
        blocked = self.blockSignals(True)
        self.setValue(value)
        self.blockSignals(blocked)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the scroll area."""
        if event is not None:
            event.ignore()

"""A slider that belongs in a scrolling dock beside a canvas."""

from qtpy.QtCore import Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QSlider, QWidget


class Slider(QSlider):
    """Lets the wheel scroll the dock instead of changing the value, and leaves the keyboard to the canvas when it is clicked."""

    def __init__(self, minimum: int, maximum: int, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setRange(minimum, maximum)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def show_value(self, value: int) -> None:
        """Stand at ``value`` and emit nothing."""
        blocked = self.blockSignals(True)
        self.setValue(value)
        self.blockSignals(blocked)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the scroll area."""
        if event is not None:
            event.ignore()

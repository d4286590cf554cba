"""A combo box that belongs in a scrolling dock beside a canvas with letter keys."""

from qtpy.QtCore import Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QComboBox, QWidget


class Dropdown(QComboBox):
    """Lets the wheel scroll the dock instead of changing the choice, and gives the keyboard back after a choice.

    A focused combo box takes letter keys for a search among its choices: a key meant for the canvas would choose.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.activated.connect(self.clearFocus)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the scroll area."""
        if event is not None:
            event.ignore()

"""Letters at the edges of a canvas that say where the patient's sides are."""

from dataclasses import dataclass

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QLabel, QWidget

_MARGIN = 6  # pixels from the edge
_STYLE = (
    "QLabel { color: #ffd866; background: rgba(0, 0, 0, 150); border-radius: 3px; padding: 1px 5px; font-size: 12pt; font-weight: bold; }"
)


@dataclass(frozen=True)
class Letters:
    """One of L, R, A, P, S, I for each side of a canvas; empty for none."""

    left: str
    top: str
    right: str
    bottom: str


class EdgeLetters(QObject):
    """Four labels over ``canvas``, which let the mouse through and follow its size."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._value: Letters | None = None
        self._labels = {side: QLabel(canvas) for side in ("left", "top", "right", "bottom")}
        for side, label in self._labels.items():
            label.setObjectName(f"film_letter_{side}")
            label.setStyleSheet(_STYLE)
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            label.hide()
        canvas.installEventFilter(self)

    def value(self) -> Letters | None:
        """The letters that are shown; None where there are none."""
        return self._value

    def setValue(self, letters: Letters | None) -> None:
        """Show ``letters``, or hide all."""
        self._value = letters
        for side, label in self._labels.items():
            letter = getattr(letters, side) if letters is not None else ""
            label.setVisible(bool(letter))
            if letter:
                label.setText(letter)
                label.adjustSize()
                label.raise_()
        self._place()

    def close(self) -> None:
        """Take the labels away."""
        self._canvas.removeEventFilter(self)
        for label in self._labels.values():
            label.hide()
            label.deleteLater()
        self._labels = {}
        self.deleteLater()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the canvas when it changes its size."""
        if watched is self._canvas and event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        width, height = self._canvas.width(), self._canvas.height()
        for side, label in self._labels.items():
            x = {"left": _MARGIN, "right": width - label.width() - _MARGIN}.get(side, (width - label.width()) // 2)
            y = {"top": _MARGIN, "bottom": height - label.height() - _MARGIN}.get(side, (height - label.height()) // 2)
            label.move(x, y)

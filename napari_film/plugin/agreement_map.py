"""How far masks agree, each with each: a matrix of Dice as colours, 0 dark and 1 bright, and numbers where they have room."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QHelpEvent, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_film.plugin.heat_image import heat_image, ink_on
from napari_film.plugin.metadata_form import spoken

# Pixels.
_CELL = (2, 84)  # the smallest and the widest cell
_NAMES = 120  # the longest name beside the matrix
_MATRIX = 60  # the narrowest matrix
_SCALE = 10  # the bar of colours
_GAP = 6


class AgreementMap(QWidget):
    """Shows K names and a (K, K) matrix of Dice; nothing where there is none.

    Names are cut where they are long, and left out where rows or columns are too thin for a line of text: the mouse tells them.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("film_agreement")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._names: tuple[str, ...] = ()
        self._scores: NDArray[np.float64] | None = None

    def value(self) -> NDArray[np.float64] | None:
        """The matrix that is shown."""
        return self._scores

    def setValue(self, names: Sequence[str], scores: NDArray[np.float64] | None) -> None:
        """Show ``scores`` (K, K), 0 to 1, of K ``names``; None shows nothing."""
        self._names = tuple(map(spoken, names)) if scores is not None else ()
        self._scores = scores
        self.setMinimumSize(self.minimumSizeHint())
        self.updateGeometry()
        self.update()

    def textAt(self, position: QPoint) -> str:
        """Say what the cell at ``position`` shows; nothing beside the cells."""
        matrix = self._matrix()
        if self._scores is None or not matrix.contains(QPointF(position)):
            return ""
        count = len(self._names)
        row = min(int((position.y() + 0.5 - matrix.y()) * count / matrix.height()), count - 1)
        column = min(int((position.x() + 0.5 - matrix.x()) * count / matrix.width()), count - 1)
        return f"{self._names[row]} and {self._names[column]}: Dice {self._scores[row, column]:.3f}"

    def rectOf(self, row: int, column: int) -> QRect:
        """Give where a cell is."""
        matrix, count = self._matrix(), len(self._names)
        width, height = matrix.width() / count, matrix.height() / count
        return QRectF(matrix.x() + column * width, matrix.y() + row * height, width, height).toRect()

    def minimumSizeHint(self) -> QSize:
        """Cells that can be told apart."""
        count = len(self._names)
        return QSize(max(count * _CELL[0], _MATRIX) + self._bar(), self._line() + count * _CELL[0] + _GAP) if count else QSize(0, 0)

    def sizeHint(self) -> QSize:
        """Cells with room for their numbers."""
        count, number = len(self._names), self.fontMetrics().horizontalAdvance("0.00") + 2 * _GAP
        return QSize(_NAMES + count * number + self._bar(), (count + 1) * self._line() + _GAP) if count else QSize(0, 0)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the matrix, its names, and the bar that tells the colours."""
        if self._scores is None or not self._names:
            return
        painter, matrix = QPainter(self), self._matrix()
        metrics, ink = self.fontMetrics(), self.palette().color(QPalette.ColorRole.WindowText)
        painter.drawImage(matrix.toRect(), heat_image(self._scores))
        first = self.rectOf(0, 0)
        lines = self._written()
        numbers = lines and first.width() >= metrics.horizontalAdvance("0.00") + 2
        above = first.width() >= metrics.horizontalAdvance("abc…")
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine
        for row, name in enumerate(self._names):
            cell = self.rectOf(row, row)
            painter.setPen(ink)
            if lines:
                beside = QRect(0, cell.y(), self._beside() - _GAP, cell.height())
                painter.drawText(beside, Qt.AlignmentFlag.AlignRight | middle, self._elided(name, beside.width()))
            if above:
                top = QRect(cell.x() + 2, 0, cell.width() - 4, self._line())
                painter.drawText(top, Qt.AlignmentFlag.AlignHCenter | middle, self._elided(name, top.width()))
            for column, score in enumerate(self._scores[row].tolist() if numbers else ()):
                painter.setPen(ink_on(score))
                painter.drawText(self.rectOf(row, column), Qt.AlignmentFlag.AlignHCenter | middle, f"{score:.2f}")
        bar = QRect(round(matrix.right()) + 2 * _GAP, round(matrix.y()), _SCALE, round(matrix.height()))
        painter.drawImage(bar, heat_image(np.linspace(1, 0, 64)[:, None]))
        painter.setPen(ink)
        left = Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextSingleLine
        ends = QRect(bar.right() + _GAP, bar.y(), metrics.horizontalAdvance("0"), bar.height())
        painter.drawText(ends, left | Qt.AlignmentFlag.AlignTop, "1")
        painter.drawText(ends, left | Qt.AlignmentFlag.AlignBottom, "0")

    def event(self, event: QEvent | None) -> bool:
        """Give the tooltip of a cell."""
        if isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.textAt(event.pos()), self)
            return True
        return bool(super().event(event))

    def _matrix(self) -> QRectF:
        left, top = self._beside() if self._written() else _GAP, self._line()
        width = min(self.width() - left - self._bar(), len(self._names) * _CELL[1])
        return QRectF(left, top, max(width, 1), max(self.height() - top - _GAP, 1))

    def _beside(self) -> int:
        """Pixels of the names beside the matrix, and of the gap: no more than a third of all."""
        widest = max((self.fontMetrics().horizontalAdvance(name) for name in self._names), default=0)
        return min(widest, _NAMES, self.width() // 3) + _GAP

    def _written(self) -> bool:
        """Whether a row has room for a line of text."""
        return bool(self._names) and self.height() - self._line() - _GAP >= self.fontMetrics().height() * len(self._names)

    def _bar(self) -> int:
        """Pixels of the bar of colours, its ends and gaps."""
        return 2 * _GAP + _SCALE + _GAP + self.fontMetrics().horizontalAdvance("0") + 1

    def _line(self) -> int:
        return int(self.fontMetrics().height()) + 4

    def _elided(self, text: str, width: int) -> str:
        return str(self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, width))

"""How far the values of a field are apart for the network, each against each: a small square of colours."""

from qtpy.QtCore import QEvent, QPoint, QRect, QRectF, Qt, Signal
from qtpy.QtGui import QFont, QFontMetrics, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QResizeEvent
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_film.inference.film_space import FiLMSpace
from napari_film.plugin.heat_image import heat_image, ink_on
from napari_film.plugin.metadata_form import spoken

_PIXELS = 10  # height of a letter
_NAMES = 110  # pixels of the longest name of a value
_SIDE = (60, 220)  # pixels of the smallest and the largest square
_ASIDE = 0.35  # opacity while something is read


class DistanceMap(QWidget):
    """Shows the distances of a `FiLMSpace`; the colours end at the largest. ``hovered`` says what the mouse is over, or nothing."""

    hovered = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("film_distances")
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self._space: FiLMSpace | None = None

    def setValue(self, space: FiLMSpace | None) -> None:
        """Show ``space``."""
        self._space = space
        self._distances = None if space is None else space.distances()
        self._fit()
        self.update()

    def cellAt(self, position: QPoint) -> tuple[int, int] | None:
        """Give row and column at ``position``."""
        square = self._square()
        count = len(self._space.names) if self._space is not None else 0
        if not count or not square.contains(position):
            return None
        x, y = position.x() - square.x(), position.y() - square.y()
        return int((y + 0.5) * count / square.height()), int((x + 0.5) * count / square.width())

    def rectOf(self, row: int, column: int) -> QRect:
        """Give where a distance is shown."""
        square = self._square()
        count = len(self._space.names) if self._space is not None else 1
        size = square.width() / count
        return QRectF(square.x() + column * size, square.y() + row * size, size, size).toRect()

    def textAt(self, position: QPoint) -> str:
        """Say which values are compared at ``position``, and how far they are apart."""
        cell = self.cellAt(position)
        if cell is None or self._space is None or self._distances is None:
            return ""
        row, column = (spoken(self._space.names[number]) for number in cell)
        return f"{row} and {column}: distance {self._distances[cell]:.3f} (root mean square over all γ and β)"

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Be as wide as a square of this height, and the names beside it."""
        self._fit()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the square, names beside it, and numbers into it where they have room."""
        if self._space is None or self._distances is None:
            return
        painter = QPainter(self)
        font = self._font()
        painter.setFont(font)
        if not self.isEnabled():
            painter.setOpacity(_ASIDE)
        metrics, square, ink = QFontMetrics(font), self._square(), self.palette().color(QPalette.ColorRole.WindowText)
        most = float(self._distances.max())
        scaled = self._distances / most if most > 0 else self._distances
        painter.drawImage(square, heat_image(scaled))
        painter.setPen(ink)
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine
        painter.drawText(QRect(0, 0, self.width(), square.y()), Qt.AlignmentFlag.AlignRight | middle, f"distance, 0 to {most:.2g}")
        size = square.height() / len(self._space.names)
        if not self._names():
            return
        written = metrics.horizontalAdvance("0.00") + 2 <= size
        for row, name in enumerate(self._space.names):
            painter.setPen(ink)
            beside = QRect(0, self.rectOf(row, 0).y(), square.x() - 4, round(size))
            text = metrics.elidedText(spoken(name), Qt.TextElideMode.ElideRight, beside.width())
            painter.drawText(beside, Qt.AlignmentFlag.AlignRight | middle, text)
            for column in range(len(self._space.names) if written else 0):
                painter.setPen(ink_on(scaled[row, column]))
                painter.drawText(self.rectOf(row, column), Qt.AlignmentFlag.AlignHCenter | middle, f"{self._distances[row, column]:.2f}")

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Tell what the mouse is over."""
        if event is not None:
            self.hovered.emit(self.textAt(event.position().toPoint()))

    def event(self, event: QEvent | None) -> bool:
        """Give the tooltip, and take back what was told when the mouse leaves."""
        if isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.textAt(event.pos()), self)
            return True
        if event is not None and event.type() == QEvent.Type.Leave:
            self.hovered.emit("")
        return bool(super().event(event))

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(_PIXELS)
        return font

    def _top(self) -> int:
        """Pixels of the line above the square."""
        return QFontMetrics(self._font()).height() + 4

    def _side(self) -> int:
        return min(max(self.height() - self._top(), _SIDE[0]), _SIDE[1])

    def _names(self) -> int:
        """Pixels of the names beside the square: none where they would cover each other, and the mouse tells them."""
        metrics = QFontMetrics(self._font())
        if self._space is None or self._side() < metrics.height() * len(self._space.names):
            return 0
        return min(max(metrics.horizontalAdvance(spoken(name)) for name in self._space.names), _NAMES) + 8

    def _fit(self) -> None:
        title = QFontMetrics(self._font()).horizontalAdvance("distance, 0 to 0.00")
        self.setFixedWidth(max(self._names() + self._side(), title))

    def _square(self) -> QRect:
        side = self._side()
        return QRect(self.width() - side, self._top(), side, side)

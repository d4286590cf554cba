"""γ and β of every place and value, painted: a row a value, a column a channel, a block a place.

γ stands above β. Above each block its name and a bar: how much the place listens, against the place that listens most. Blocks
share the width in proportion to their channels, one pixel a channel at least; what has no room is scrolled to.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QRect, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from qtpy.QtWidgets import QAbstractScrollArea, QApplication, QScrollBar, QToolTip, QWidget

from napari_film.inference.film_space import FiLMSpace
from napari_film.plugin.heat_image import heat_image
from napari_film.plugin.metadata_form import spoken

_GAP = 6  # pixels between blocks, and between γ and β
_BAR = 16  # pixels of the highest bar
_ROW = (11, 28)  # pixels of the lowest and the highest row
_NAMES = 130  # pixels of the longest name of a value
_KINDS = ("γ", "β")
_ASIDE = 0.35  # opacity while something is read


class Cell(NamedTuple):
    """One number on the map; ``kind`` is "γ" or "β", ``place``, ``channel`` and ``value`` count from 0."""

    kind: str
    place: int
    channel: int
    value: int


@dataclass(frozen=True)
class _Block:
    """A place: where it begins and ends on the unscrolled map, and its γ and β, a pixel a number."""

    left: int
    width: int
    channels: int
    images: tuple[QImage, QImage]


class FiLMMap(QAbstractScrollArea):
    """Shows a `FiLMSpace` with at least one place and one value, or nothing; ``hovered`` says what the mouse is over, or nothing."""

    hovered = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("film_map")
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._across, self._down = QScrollBar(Qt.Orientation.Horizontal), QScrollBar(Qt.Orientation.Vertical)
        self.setHorizontalScrollBar(self._across)
        self.setVerticalScrollBar(self._down)
        self._view = QWidget()
        self._view.setMouseTracking(True)
        self.setViewport(self._view)
        self._space: FiLMSpace | None = None
        self._images: list[tuple[QImage, QImage]] = []
        self._listening: list[float] = []
        self._blocks: list[_Block] = []
        self._row = _ROW[0]
        self._cell: Cell | None = None

    def value(self) -> FiLMSpace | None:
        """What is shown."""
        return self._space

    def setValue(self, space: FiLMSpace | None) -> None:
        """Show ``space``."""
        self._space = space if space is not None and space.places and space.names else None
        self._cell = None
        self._images, self._listening = [], []
        if self._space is not None:
            self._images = [(heat_image(gamma), heat_image(beta)) for gamma, beta in zip(self._space.gamma, self._space.beta, strict=True)]
            self._listening = [float(number) for number in self._space.listening()]
        self._arrange()

    def cellAt(self, position: QPoint) -> Cell | None:
        """Give the number that is shown at ``position`` of the viewport."""
        y = position.y() - self._top() + self._down.value()
        block = self._blockAt(position)
        if self._space is None or block is None or position.y() < self._top():
            return None
        height = self._row * len(self._space.names)
        kind = 0 if y < height else 1
        y -= kind * (height + _GAP)
        if not 0 <= y < height:
            return None
        place = self._blocks[block]
        x = position.x() - self._left() + self._across.value() - place.left
        # Nearest scaling takes the number under the middle of a pixel.
        return Cell(_KINDS[kind], block, min(int((x + 0.5) * place.channels / place.width), place.channels - 1), y // self._row)

    def rectOf(self, cell: Cell) -> QRect:
        """Give where a number is shown, on the viewport; it may have been scrolled out of it."""
        block = self._blocks[cell.place]
        start, end = (round(number * block.width / block.channels) for number in (cell.channel, cell.channel + 1))
        x = self._left() - self._across.value() + block.left + start
        return QRect(x, self._yOf(_KINDS.index(cell.kind), cell.value), max(end - start, 1), self._row)

    def textAt(self, position: QPoint) -> str:
        """Say what is at ``position`` of the viewport: place, channel (from 1), value, γ and β; or how much a place listens."""
        cell, space = self.cellAt(position), self._space
        if space is None:
            return ""
        if cell is not None:
            gamma, beta = (float(part[cell.place][cell.value, cell.channel]) for part in (space.gamma, space.beta))
            return f"{space.places[cell.place]}, channel {cell.channel + 1}, {spoken(space.names[cell.value])}: γ {gamma:.3f}, β {beta:.3f}"
        block = self._blockAt(position)
        if block is not None and 0 <= position.y() < self._top():
            return f"{space.places[block]} listens: γ and β spread by {self._listening[block]:.3f} over the values"
        return ""

    # -- what Qt asks for

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint what is in sight."""
        painter = QPainter(self._view)
        painter.setFont(self._font())
        if not self.isEnabled():
            painter.setOpacity(_ASIDE)
        if self._space is not None:
            view = self._view.rect()
            painter.setClipRect(view.adjusted(self._left(), 0, 0, 0))
            self._paintHeads(painter, view, self._space)
            painter.setClipRect(view.adjusted(self._left(), self._top(), 0, 0))
            self._paintCells(painter, view, self._space)
            painter.setClipRect(view.adjusted(0, self._top(), 0, 0))
            self._paintNames(painter, self._space)
        painter.end()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Share the room anew."""
        self._arrange()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Tell what the mouse is over."""
        if event is not None:
            self._point(event.position().toPoint())

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Scroll along the channels where there is nothing to scroll to below."""
        QApplication.sendEvent(self._down if self._down.maximum() else self._across, event)

    def viewportEvent(self, event: QEvent | None) -> bool:
        """Give the tooltip, and take back what was told when the mouse leaves."""
        if isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.textAt(event.pos()), self._view)
            return True
        if event is not None and event.type() == QEvent.Type.Leave:
            self._point(QPoint(-1, -1))
        return bool(super().viewportEvent(event))

    # -- where things are

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(_ROW[0] - 1)
        return font

    def _left(self) -> int:
        """Pixels of the names at the left, which do not scroll along."""
        names = self._space.names if self._space else ()
        metrics = QFontMetrics(self._font())
        return min(max((metrics.horizontalAdvance(spoken(name)) for name in names), default=0), _NAMES) + 2 * metrics.height()

    def _top(self) -> int:
        """Pixels of names and bars of the places, which do not scroll along."""
        return QFontMetrics(self._font()).height() + _BAR + 4

    def _yOf(self, kind: int, value: int) -> int:
        values = len(self._space.names) if self._space else 0
        return self._top() - self._down.value() + kind * (values * self._row + _GAP) + value * self._row

    def _blockAt(self, position: QPoint) -> int | None:
        x = position.x() - self._left() + self._across.value()
        if position.x() < self._left():
            return None
        return next((number for number, block in enumerate(self._blocks) if block.left <= x < block.left + block.width), None)

    def _arrange(self) -> None:
        """Give each block its width and the rows their height, and the scroll bars what is left over."""
        self._blocks = []
        if self._space is None:
            self._across.setRange(0, 0)
            self._down.setRange(0, 0)
            self._view.update()
            return
        size = self._view.size()
        across, down = size.width() - self._left(), size.height() - self._top()
        metrics = QFontMetrics(self._font())
        least = [metrics.horizontalAdvance(place) + 2 for place in self._space.places]
        channels = [part.shape[1] for part in self._space.gamma]
        left = 0
        for width, count, images in zip(_shares(channels, least, across - _GAP * (len(least) - 1)), channels, self._images, strict=True):
            self._blocks.append(_Block(left, width, count, images))
            left += width + _GAP
        rows = 2 * len(self._space.names)
        self._row = min(max((down - _GAP) // rows, _ROW[0]), _ROW[1])
        for bar, needed, room in ((self._across, left - _GAP, across), (self._down, rows * self._row + _GAP, down)):
            bar.setRange(0, max(needed - room, 0))
            bar.setPageStep(max(room, 1))
            bar.setSingleStep(20)
        self._view.update()

    def _point(self, position: QPoint) -> None:
        self._cell = self.cellAt(position)
        self.hovered.emit(self.textAt(position))
        self._view.update()

    # -- painting

    def _ink(self) -> QColor:
        return self.palette().color(QPalette.ColorRole.WindowText)

    def _seen(self, view: QRect) -> list[tuple[int, int, _Block]]:
        """Blocks in sight: number, left edge on the viewport, block."""
        start = self._left() - self._across.value()
        placed = [(number, start + block.left, block) for number, block in enumerate(self._blocks)]
        return [entry for entry in placed if entry[1] < view.right() and entry[1] + entry[2].width > self._left()]

    def _paintHeads(self, painter: QPainter, view: QRect, space: FiLMSpace) -> None:
        height = QFontMetrics(self._font()).height()
        most = max(self._listening)
        soft = QColor(self._ink())
        soft.setAlphaF(0.45)
        for number, x, block in self._seen(view):
            bar = round(_BAR * self._listening[number] / most) if most > 0 else 0
            painter.fillRect(QRect(x, height + _BAR - bar, block.width, bar), soft)
            painter.fillRect(QRect(x, height + _BAR, block.width, 1), soft)
            painter.setPen(self._ink())
            # A name follows its block while that is scrolled through.
            where = QRect(max(x, self._left()), 0, block.width - max(self._left() - x, 0), height)
            painter.drawText(where, Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextSingleLine, space.places[number])

    def _paintCells(self, painter: QPainter, view: QRect, space: FiLMSpace) -> None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        height = self._row * len(space.names)
        for _, x, block in self._seen(view):
            for kind, image in enumerate(block.images):
                painter.drawImage(QRect(x, self._yOf(kind, 0), block.width, height), image)
        if self._cell is not None:
            painter.setPen(QPen(self._ink(), 1))
            for symbol in _KINDS:
                painter.drawRect(self.rectOf(self._cell._replace(kind=symbol)).adjusted(-1, -1, 0, 0))

    def _paintNames(self, painter: QPainter, space: FiLMSpace) -> None:
        metrics = QFontMetrics(self._font())
        height, left = metrics.height(), self._left()
        painter.setPen(self._ink())
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine
        for kind, symbol in enumerate(_KINDS):
            font = QFont(self._font())
            font.setBold(True)
            painter.setFont(font)
            whole = QRect(0, self._yOf(kind, 0), height, self._row * len(space.names))
            painter.drawText(whole, Qt.AlignmentFlag.AlignHCenter | middle, symbol)
            for value, name in enumerate(space.names):
                font.setBold(self._cell is not None and self._cell.value == value)
                painter.setFont(font)
                row = QRect(height, self._yOf(kind, value), left - height - 4, self._row)
                text = QFontMetrics(font).elidedText(spoken(name), Qt.TextElideMode.ElideRight, row.width())
                painter.drawText(row, Qt.AlignmentFlag.AlignRight | middle, text)


def _shares(channels: list[int], least: list[int], room: int) -> list[int]:
    """Share ``room`` pixels in proportion to ``channels``: at least a pixel each, and ``least`` pixels a block."""
    narrow = np.zeros(len(channels), dtype=bool)
    while True:
        wide = sum(count for count, is_narrow in zip(channels, narrow, strict=True) if not is_narrow)
        scale = max((room - sum(width for width, is_narrow in zip(least, narrow, strict=True) if is_narrow)) / max(wide, 1), 1.0)
        found = np.array([count * scale < width for count, width in zip(channels, least, strict=True)])
        if (found <= narrow).all():
            return [width if is_narrow else int(count * scale) for count, width, is_narrow in zip(channels, least, narrow, strict=True)]
        narrow |= found

"""The table of a comparison: sorted by what a number is worth, copied with its headings, the best mask marked."""

import math
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QFont, QKeyEvent, QKeySequence
from qtpy.QtWidgets import QAbstractItemView, QApplication, QHeaderView, QTableView, QWidget

from napari_film.comparison.table import Comparison, Row, shown
from napari_film.plugin.metadata_form import spoken

_NAME = 170  # pixels of the widest name, so that the numbers are in view
_ARROW = 20  # pixels beside a title, where it tells that it is sorted by
_NOWHERE = QModelIndex()
_NAVIGATION = {
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
    Qt.Key.Key_Tab,
    Qt.Key.Key_Backtab,
}


class NumbersModel(QAbstractTableModel):
    """The rows of a comparison, in an order of their own: first the name, then the numbers that any row has."""

    def __init__(self) -> None:
        super().__init__()
        self._comparison = Comparison(())
        self._order: list[int] = []
        self._by: tuple[int, Qt.SortOrder] = (-1, Qt.SortOrder.AscendingOrder)

    def setComparison(self, comparison: Comparison) -> None:
        """Show ``comparison``, sorted as the last one was where it has that column."""
        self.beginResetModel()
        self._comparison = comparison
        self._order = self._sorted(*self._by)
        self.endResetModel()

    def rows(self) -> tuple[Row, ...]:
        """The rows as they are shown."""
        return tuple(self._comparison.rows[index] for index in self._order)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by ``column``, -1 as they came; what is no number comes last in either order."""
        self.layoutAboutToBeChanged.emit()
        before = self._order
        self._by = (column, order)
        self._order = self._sorted(column, order)
        for index in self.persistentIndexList():
            self.changePersistentIndex(index, self.index(self._order.index(before[index.row()]), index.column()))
        self.layoutChanged.emit()

    def rowCount(self, parent: QModelIndex = _NOWHERE) -> int:
        """Count the masks."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: QModelIndex = _NOWHERE) -> int:
        """Count the name and the numbers."""
        return 0 if parent.isValid() else 1 + len(self._comparison.columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, alignment, font and tooltip of a cell."""
        place, column = self._order[index.row()], index.column()
        value, best = self._value(place, column), place == self._comparison.best
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{'★ ' if best else ''}{spoken(str(value))}" if column == 0 else shown(value)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return (Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight) | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.FontRole and best:
            font = QFont()
            font.setBold(True)
            return font
        if role == Qt.ItemDataRole.ToolTipRole:
            if column == 0:
                return spoken(str(value))
            if isinstance(value, float) and math.isinf(value):
                return "One of the two masks is empty: there is no distance between them."
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Title and tooltip of a column."""
        if orientation == Qt.Orientation.Horizontal:
            column = self._comparison.columns[section - 1] if section else None
            if role == Qt.ItemDataRole.DisplayRole:
                return column.title if column else "Mask"
            if role == Qt.ItemDataRole.ToolTipRole:
                return column.about if column else "What the mask was computed for."
        return None

    def _value(self, place: int, column: int) -> Any:
        row = self._comparison.rows[place]
        return getattr(row, self._comparison.columns[column - 1].key) if column else row.name

    def _sorted(self, column: int, order: Qt.SortOrder) -> list[int]:
        places = list(range(len(self._comparison.rows)))
        if not 0 <= column < self.columnCount():
            return places
        values = {place: self._value(place, column) for place in places}
        if column == 0:
            return sorted(places, key=lambda place: spoken(str(values[place])).casefold(), reverse=order == Qt.SortOrder.DescendingOrder)
        numbers = [place for place in places if values[place] is not None and math.isfinite(values[place])]
        numbers.sort(key=lambda place: float(values[place]), reverse=order == Qt.SortOrder.DescendingOrder)
        return numbers + [place for place in places if place not in numbers]


class NumbersTable(QTableView):
    """Shows a comparison; a click on a heading sorts, Ctrl+C copies what is selected, and other letters are the canvas's."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("film_numbers_table")
        self.numbers = NumbersModel()
        self.setModel(self.numbers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        across, down = self._headers()
        down.hide()
        down.setDefaultSectionSize(self.fontMetrics().height() + 8)
        across.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        across.setHighlightSections(False)
        across.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)

    def setComparison(self, comparison: Comparison) -> None:
        """Show ``comparison``."""
        self.numbers.setComparison(comparison)
        for column in range(self.numbers.columnCount()):
            title = self.fontMetrics().horizontalAdvance(str(self.numbers.headerData(column, Qt.Orientation.Horizontal)))
            width = max(self.sizeHintForColumn(column) + 1, title + _ARROW)
            self.setColumnWidth(column, min(width, _NAME) if column == 0 else width)

    def selectedText(self) -> str:
        """What is selected, as it is shown, separated by tabs, with headings where it is more than one cell."""
        chosen = sorted((index.row(), index.column()) for index in self.selectedIndexes())
        rows, columns = sorted({row for row, _ in chosen}), sorted({column for _, column in chosen})
        model, there = self.numbers, set(chosen)
        lines = [[str(model.data(model.index(row, column))) if (row, column) in there else "" for column in columns] for row in rows]
        if len(chosen) > 1:
            lines.insert(0, [str(model.headerData(column, Qt.Orientation.Horizontal)) for column in columns])
        return "\n".join("\t".join(line) for line in lines)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Copy, move, or leave the key to the window."""
        if event is None:
            return
        if event.matches(QKeySequence.StandardKey.Copy):
            clipboard = QApplication.clipboard()
            if clipboard is not None and self.selectedIndexes():
                clipboard.setText(self.selectedText())
        elif event.matches(QKeySequence.StandardKey.SelectAll) or event.key() in _NAVIGATION:
            super().keyPressEvent(event)
        else:
            event.ignore()

    def _headers(self) -> tuple[QHeaderView, QHeaderView]:
        across, down = self.horizontalHeader(), self.verticalHeader()
        if across is None or down is None:  # they never are; Qt's signatures only say so
            raise RuntimeError("the table has no headers")
        return across, down

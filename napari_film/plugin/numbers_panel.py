"""Numbers beside the picture: a table of masks, how far they agree, and which reference they are held against."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_film.atomic import write_text
from napari_film.comparison.table import TOLERANCE_MM, Comparison, to_csv, to_text
from napari_film.errors import InputError
from napari_film.plugin.agreement_map import AgreementMap
from napari_film.plugin.dropdown import Dropdown
from napari_film.plugin.metadata_form import spoken
from napari_film.plugin.number_box import NumberBox
from napari_film.plugin.numbers_table import NumbersTable

_EMPTY = (
    "Press Compare to compute the masks of all values and hold them against each other, against A, and against a reference "
    "where you choose one."
)
_STRUCTURES = "These are different structures: each has its volume, and nothing that it should agree with."
_HALVES = [690, 310]  # of the width, in proportion, until a person moves the handle
_STALE = "These numbers are of an earlier choice; press Compare for those of this one."
_BEST = "★ {name} fits the reference best. That is no diagnostic evidence: a mask can fit for other reasons."


class NumbersPanel(QWidget):
    """Edits what masks are held against (`reference`, `label`, `tolerance`) and shows a comparison; knows no viewer and no session.

    ``referenceChanged`` (a name or None), ``labelChanged`` (an int, or None for all above zero) and ``toleranceChanged`` (mm) are
    emitted when the value really changes. ``failed`` tells in a sentence what a person should know.
    """

    compare_clicked = Signal()
    cancel_clicked = Signal()
    referenceChanged = Signal(object)
    labelChanged = Signal(object)
    toleranceChanged = Signal(float)
    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._comparison: Comparison | None = None
        self._busy: str | None = None
        self._notices: tuple[str, ...] = ()
        self._stale = False
        self._told: tuple[str | None, int | None] = (None, None)
        self._reference = _dropdown("film_reference", "A labels layer that says what the mask should be.", 5)
        self._label = _dropdown("film_reference_label", "Which label of the reference is the foreground.", 4)
        self._tolerance = NumberBox(0.1, 50, decimals=1)
        self._tolerance.setObjectName("film_tolerance")
        self._tolerance.setSingleStep(0.5)
        self._tolerance.setMinimumWidth(122)
        self._tolerance.setPrefix("± ")
        self._tolerance.setSuffix(" mm")
        self._tolerance.setToolTip("How far apart two surfaces may be for the surface Dice and still count as one.")
        self._tolerance.setValue(TOLERANCE_MM)
        self._structures = QLabel(_STRUCTURES)
        self._structures.setWordWrap(True)
        self._compare = _button("Compare", "film_compare", "Compute the masks that are missing, then the numbers.")
        self._copy = _button("Copy", "film_copy_numbers", "Copy the table as it is shown, separated by tabs.")
        self._save = _button("Save CSV…", "film_save_numbers", "Save all numbers in full.")
        self._table = NumbersTable()
        self._map = AgreementMap()
        self._map_area = QScrollArea()
        self._map_area.setWidget(self._map)
        self._map_area.setWidgetResizable(True)
        self._map_area.setFrameShape(QFrame.Shape.NoFrame)
        self._empty = QLabel(_EMPTY)
        self._empty.setObjectName("film_numbers_empty")
        self._empty.setWordWrap(True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._status = QLabel()
        self._status.setObjectName("film_numbers_status")
        self._status.setWordWrap(True)
        self._arrange()
        self._reference.currentIndexChanged.connect(self._tell)
        self._label.currentIndexChanged.connect(self._tell)
        self._tolerance.valueChanged.connect(self._tolerance_changed)
        self._compare.clicked.connect(lambda: (self.compare_clicked if self._busy is None else self.cancel_clicked).emit())
        self._copy.clicked.connect(self.copy)
        self._save.clicked.connect(self._save_clicked)
        self.setReferences([])
        self.setLabels({})
        self.setOffersReference(True)
        self.setComparison(None)

    def comparison(self) -> Comparison | None:
        """What is shown, or was to be where it has no rows."""
        return self._comparison

    def setComparison(self, comparison: Comparison | None) -> None:
        """Show ``comparison``; None, or one without rows, shows what to do."""
        rows = comparison.rows if comparison is not None else ()
        self._comparison = comparison
        self._stale = False
        self._table.setComparison(comparison or Comparison(()))
        matrix = comparison.agreement if comparison is not None else None
        self._map.setValue([row.name for row in rows], matrix)
        if matrix is not None and self._map_area.isHidden():
            self._halves.setSizes(_HALVES)
        self._map_area.setVisible(matrix is not None)
        self._pages.setCurrentIndex(1 if rows else 0)
        self._copy.setEnabled(bool(rows))
        self._save.setEnabled(bool(rows))
        self._show_status()

    def setBusy(self, text: str | None) -> None:
        """Say what is being done, and offer to cancel it; None when nothing is. What masks are held against stays as it is until then."""
        self._busy = text
        self._compare.setText("Compare" if text is None else "Cancel")
        self._show_choosers()
        self._show_status()

    def setNotices(self, notices: Sequence[str]) -> None:
        """Say what a person should know beside the notices of the comparison."""
        self._notices = tuple(notices)
        self._show_status()

    def outdate(self) -> None:
        """Say that what is shown was computed before a choice."""
        self._stale = self._comparison is not None and bool(self._comparison.rows)
        self._show_status()

    def setOffersReference(self, on: bool) -> None:
        """Offer a reference, or say why there is none: the values of a target field are different structures."""
        for widget in (self._reference, self._label, self._tolerance):
            widget.setVisible(on)
        self._structures.setVisible(not on)

    def reference(self) -> str | None:
        """The name of the chosen reference."""
        name: str | None = self._reference.currentData()
        return name

    def setReferences(self, names: Sequence[str]) -> None:
        """Offer ``names``; the chosen one stays where it is among them."""
        _offer(self._reference, [("no reference", None), *((name, name) for name in names)])
        self._tell()

    def setReference(self, name: str | None) -> None:
        """Choose one of the references, or none."""
        self._reference.setCurrentIndex(max(self._reference.findData(name), 0))

    def label(self) -> int | None:
        """The label of the reference that is foreground; None for all above zero."""
        label: int | None = self._label.currentData()
        return label

    def setLabels(self, labels: Mapping[int, str]) -> None:
        """Offer the labels of the reference, with their names where they have any; the chosen one stays where it is among them."""
        words = [(f"{label} {spoken(name)}".strip(), label) for label, name in labels.items()]
        _offer(self._label, [("everything above 0", None), *words])
        self._tell()

    def setLabel(self, label: int | None) -> None:
        """Choose one of the labels, or everything."""
        self._label.setCurrentIndex(max(self._label.findData(label), 0))

    def tolerance(self) -> float:
        """How far apart surfaces may be and still count as one, mm."""
        return float(self._tolerance.value())

    def setTolerance(self, tolerance: float) -> None:
        """Choose the tolerance in mm."""
        self._tolerance.setValue(tolerance)

    def copy(self) -> None:
        """Put the table into the clipboard, sorted as it is shown."""
        clipboard = QApplication.clipboard()
        if self._comparison is not None and self._comparison.rows and clipboard is not None:
            clipboard.setText(to_text(replace(self._comparison, rows=self._table.numbers.rows())))

    def save(self, path: Path) -> None:
        """Write the numbers in full to ``path``.

        Raises
        ------
        InputError
            If there are none, or the file cannot be written.
        """
        if self._comparison is None or not self._comparison.rows:
            raise InputError("There are no numbers to save; press Compare first.")
        write_text(path, to_csv(self._comparison))

    def _arrange(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self._reference, stretch=3)
        top.addWidget(self._label, stretch=2)
        top.addWidget(self._tolerance)
        top.addWidget(self._structures, stretch=1)
        top.addSpacing(4)
        for button in (self._compare, self._copy, self._save):
            top.addWidget(button)
        self._halves = QSplitter(Qt.Orientation.Horizontal)
        self._halves.addWidget(self._table)
        self._halves.addWidget(self._map_area)
        self._halves.setStretchFactor(0, 2)
        self._halves.setStretchFactor(1, 1)
        self._halves.setChildrenCollapsible(False)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self._halves)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 4)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self._pages, stretch=1)
        layout.addWidget(self._status)

    def _tell(self) -> None:
        """Emit what changed."""
        self._show_choosers()
        (reference, label), self._told = self._told, (self.reference(), self.label())
        if self._told != (reference, label):
            self.outdate()
        if self._told[0] != reference:
            self.referenceChanged.emit(self._told[0])
        if self._told[1] != label:
            self.labelChanged.emit(self._told[1])

    def _tolerance_changed(self, tolerance: float) -> None:
        self.outdate()
        self.toleranceChanged.emit(tolerance)

    def _show_choosers(self) -> None:
        """Let a person choose a reference when nothing is being compared, and what concerns one where there is one."""
        idle = self._busy is None
        self._reference.setEnabled(idle)
        for chooser in (self._label, self._tolerance):
            chooser.setEnabled(idle and self.reference() is not None)

    def _show_status(self) -> None:
        sentences = list(self._notices)
        if self._comparison is not None:
            sentences = [*self._comparison.notices, *sentences]
            if self._comparison.best is not None:
                sentences.insert(0, _BEST.format(name=spoken(self._comparison.rows[self._comparison.best].name)))
        if self._stale:
            sentences.insert(0, _STALE)
        self._status.setText(self._busy if self._busy is not None else " ".join(sentences))
        self._status.setVisible(bool(self._status.text()))

    def _save_clicked(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Save numbers", "comparison.csv", "CSV (*.csv)")
        if not chosen:
            return
        try:
            self.save(Path(chosen))
        except InputError as error:
            self.failed.emit(str(error))


def _dropdown(name: str, tip: str, letters: int) -> Dropdown:
    dropdown = Dropdown()
    dropdown.setObjectName(name)
    dropdown.setToolTip(tip)
    dropdown.setMinimumContentsLength(letters)
    return dropdown


def _button(text: str, name: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def _offer(dropdown: Dropdown, choices: Sequence[tuple[str, object]]) -> None:
    """Fill ``dropdown`` and keep what was chosen where it is among ``choices``, else take the first; emits nothing."""
    blocked = dropdown.blockSignals(True)
    before = dropdown.currentData()
    dropdown.clear()
    for text, data in choices:
        dropdown.addItem(text, data)
    dropdown.setCurrentIndex(next((place for place, (_, data) in enumerate(choices) if data == before), 0))
    dropdown.blockSignals(blocked)

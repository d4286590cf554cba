"""The editor of one value, checkpoints of one experiment, and the button that measures what retraining alone moves."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QListWidget, QListWidgetItem, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_film.comparison.experiment import distinct_names, read_experiment
from napari_film.errors import InputError

_NO_MODEL = "Choose a model first."
_ALONE = "Add checkpoints of the same recipe and data, trained from other seeds."
_WEAK = "Two trainings are a weak floor, which chance passes often; add more where there are."
_NO_PAIR = "Choose metadata for A and for B first."
_SAME = "A and B are the same metadata; choose others for one of them."
_ROWS = 4  # of the list that are in sight


class NoisePanel(QWidget):
    """A list of checkpoints, of which the first is the dock's and stays; what A and B are; *Compute noise floor*, which becomes *Cancel*.

    ``valueChanged`` is emitted when the list really changes, by a person or by `setValue` and `setCurrent`. Knows no session: it
    reads headers to say whether the checkpoints belong together, and shows what it is told.
    """

    valueChanged = Signal(list)  # of Path
    compute_clicked = Signal(list)  # of Path
    cancel_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._current: Path | None = None
        self._others: tuple[Path, ...] = ()
        self._pair = ("", "")
        self._fits = False
        self._busy = False
        self._why = _line("film_noise_why")
        self._list = QListWidget()
        self._list.setObjectName("film_noise_list")
        self._list.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a list with the keyboard searches by letters
        self._list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self._list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.itemSelectionChanged.connect(self._enable)
        self._add = _button("Add checkpoints…", "film_noise_add", self._browse)
        self._add.setToolTip(_ALONE)
        self._remove = _button("Remove", "film_noise_remove", self._remove_selected)
        self._sentence = _line("film_noise_sentence")
        self._pair_line = _line("film_noise_pair")
        self._compute = _button("Compute noise floor", "film_noise_compute", self._clicked)
        self._bar = QProgressBar()
        self._bar.setObjectName("film_noise_progress")
        self._message = _line("film_noise_message")
        self._controls = QWidget()
        buttons = QHBoxLayout()
        buttons.addWidget(self._add, stretch=1)
        buttons.addWidget(self._remove)
        inner = QVBoxLayout(self._controls)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self._list)
        inner.addLayout(buttons)
        for part in (self._sentence, self._pair_line, self._compute, self._bar, self._message):
            inner.addWidget(part)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._why)
        layout.addWidget(self._controls)
        self._why.hide()
        self._message.hide()
        self._bar.hide()
        self._fill()
        self.setPair("", "")

    def value(self) -> list[Path]:
        """The checkpoints, the dock's first."""
        return [] if self._current is None else [self._current, *self._others]

    def setValue(self, paths: Sequence[Path]) -> None:
        """Put ``paths`` behind the dock's checkpoint, each once; without a dock's checkpoint there are none."""
        self._change(self._current, paths)

    def setCurrent(self, path: Path | None) -> None:
        """Make the dock's checkpoint the first. The others stay where they are of one experiment with it, else they go."""
        if path is None or path != self._current:
            kept = [] if path is None else [other for other in self._others if _reads([path, other])]
            self._change(path, kept)

    def setPair(self, a: str, b: str) -> None:
        """Say what A and B are, in words; empty where one is not chosen."""
        self._pair = (a, b)
        self._pair_line.setText(f"A: {a or 'not chosen'}\nB: {b or 'not chosen'}")
        self._enable()

    def setOffered(self, offered: bool, why: str = "") -> None:
        """Show the controls, or in their place ``why`` they make no sense here."""
        self._controls.setVisible(offered)
        self._why.setText(why)
        self._why.setVisible(not offered)

    def setBusy(self, busy: bool) -> None:
        """Show that it is being computed: *Cancel* and the progress bar, and nothing else to click."""
        if busy and not self._busy:
            self.setProgress(0, 0)
        self._busy = busy
        self._compute.setText("Cancel" if busy else "Compute noise floor")
        self._bar.setVisible(busy)
        self._enable()

    def setProgress(self, done: int, total: int) -> None:
        """Show how many slices were computed, over all checkpoints and both metadata; ``total`` 0 before that is known."""
        self._bar.setUpdatesEnabled(False)  # else the bar paints at once, and the whole window with it, for every slice
        self._bar.setRange(0, max(total, 1))
        self._bar.setValue(done)
        self._bar.setFormat(f"{done} of {total} slices" if total else "loading")
        self._bar.setUpdatesEnabled(True)

    def setMessage(self, text: str) -> None:
        """Show a result or what went wrong, in words; empty shows nothing."""
        self._message.setText(text)
        self._message.setVisible(bool(text))

    def _change(self, current: Path | None, others: Iterable[Path]) -> None:
        before = self.value()
        self._current = current
        found: dict[Path, Path] = {}
        for path in others if current is not None else ():
            found.setdefault(path.resolve(), path)
        if current is not None:
            found.pop(current.resolve(), None)
        self._others = tuple(found.values())
        self._fill()
        if self.value() != before:
            self.setMessage("")  # it was about others
            self.valueChanged.emit(self.value())

    def _fill(self) -> None:
        self._list.clear()
        paths = self.value()
        for number, (path, name) in enumerate(zip(paths, distinct_names(paths), strict=True)):
            item = QListWidgetItem(name if number else f"{name} (in use)")
            item.setToolTip(str(path))
            if not number:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsSelectable)
            self._list.addItem(item)
        row = self._list.fontMetrics().height() + 6
        self._list.setFixedHeight(row * min(max(len(paths), 2), _ROWS) + 6)
        self._check()
        self._enable()

    def _check(self) -> None:
        """Say whether the checkpoints are of one experiment."""
        paths = self.value()
        self._fits = False
        if len(paths) < 2:
            self._sentence.setText(_ALONE if paths else _NO_MODEL)
            return
        try:
            headers = read_experiment(paths)
        except InputError as error:
            self._sentence.setText(str(error))
            return
        self._fits = True
        seeds = ", ".join(str(header.provenance.seed) for header in headers.values())
        said = f"{len(paths)} trainings of one experiment, seeds {seeds}."
        self._sentence.setText(f"{said} {_WEAK}" if len(paths) == 2 else said)

    def _enable(self) -> None:
        idle = not self._busy
        self._list.setEnabled(idle and self._current is not None)
        self._add.setEnabled(idle and self._current is not None)
        self._remove.setEnabled(idle and bool(self._list.selectedItems()))
        obstacle = "" if self._fits else self._sentence.text()
        if not obstacle and not all(self._pair):
            obstacle = _NO_PAIR
        if not obstacle and self._pair[0] == self._pair[1]:
            obstacle = _SAME
        self._compute.setEnabled(self._busy or not obstacle)
        self._compute.setToolTip("" if self._busy else obstacle)

    def _clicked(self) -> None:
        if self._busy:
            self.cancel_clicked.emit()
        else:
            self.compute_clicked.emit(self.value())

    def _remove_selected(self) -> None:
        rows = {self._list.row(item) for item in self._list.selectedItems()}
        self._change(self._current, [path for row, path in enumerate(self._others, start=1) if row not in rows])

    def _browse(self) -> None:
        folder = str(self.value()[-1].parent)
        chosen, _ = QFileDialog.getOpenFileNames(self, "Add checkpoints of the same experiment", folder, "Checkpoints (*.safetensors)")
        if chosen:  # a cancelled dialog gives none
            self._change(self._current, [*self._others, *map(Path, chosen)])


def _reads(paths: Sequence[Path]) -> bool:
    """Whether these are of one experiment."""
    try:
        read_experiment(paths)
    except InputError:
        return False
    return True


def _line(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)  # names come from files
    return label


def _button(text: str, name: str, clicked: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.clicked.connect(lambda _: clicked())
    return button

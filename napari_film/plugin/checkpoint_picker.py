"""The editor of one value, a checkpoint: bundled, used before, or any file."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_film.bundled import bundled_checkpoints
from napari_film.plugin.dropdown import Dropdown
from napari_film.plugin.metadata_form import spoken
from napari_film.recent import RecentFiles

_BEST = "best"  # what every training calls its model: it goes by the name of its folder


class CheckpointPicker(QWidget):
    """``valueChanged`` is emitted with what a person chose.

    The dock answers with `setValue` of the checkpoint that it really has, which is then remembered as used: a file that
    turned out to be unusable leaves no trace.
    """

    valueChanged = Signal(object)  # Path

    def __init__(self, parent: QWidget | None = None, *, recent: RecentFiles | None = None) -> None:
        super().__init__(parent)
        self._recent = recent or RecentFiles()
        self._value: Path | None = None
        self._combo = Dropdown()
        self._combo.setObjectName("film_checkpoint")
        self._combo.setPlaceholderText("Choose a model")
        self._combo.activated.connect(self._activated)
        button = QPushButton("Open…")
        button.setObjectName("film_open_checkpoint")
        button.setToolTip("Choose a checkpoint file (.safetensors).")
        button.clicked.connect(self._browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo, stretch=1)
        layout.addWidget(button)
        self._fill()

    def value(self) -> Path | None:
        """The checkpoint that is shown as chosen."""
        return self._value

    def choices(self) -> list[Path]:
        """The files on offer: bundled ones, then those used last."""
        return [Path(data) for data in map(self._combo.itemData, range(self._combo.count())) if data]

    def setValue(self, path: Path | None) -> None:
        """Show ``path`` as the checkpoint in use and remember it; None shows that there is none. Emits nothing."""
        self._value = path
        if path is not None and path not in bundled_checkpoints().values():
            self._recent.add(path)
        self._fill()

    def choose(self, path: Path) -> None:
        """Do as a person who picks ``path``."""
        self.valueChanged.emit(path)

    def _fill(self) -> None:
        self._combo.clear()
        bundled = bundled_checkpoints()
        for name, path in bundled.items():
            self._add(f"{spoken(name)} (demo)", path)
        recent = [path for path in self._recent.paths() if path not in bundled.values()]
        if self._value is not None and self._value.absolute() not in [*bundled.values(), *recent]:
            recent = [self._value.absolute(), *recent]
        if bundled and recent:
            self._combo.insertSeparator(self._combo.count())
        for path in recent:
            self._add(path.parent.name if path.stem == _BEST else path.stem, path)
        wanted = None if self._value is None else str(self._value if self._value in bundled.values() else self._value.absolute())
        self._combo.setCurrentIndex(-1 if wanted is None else self._combo.findData(wanted))

    def _add(self, text: str, path: Path) -> None:
        self._combo.addItem(text, str(path))
        self._combo.setItemData(self._combo.count() - 1, str(path), 3)  # Qt.ItemDataRole.ToolTipRole

    def _activated(self, index: int) -> None:
        data = self._combo.itemData(index)
        if data:
            self.choose(Path(data))

    def _browse(self) -> None:
        folder = str(self._value.parent) if self._value else ""
        chosen, _ = QFileDialog.getOpenFileName(self, "Open a checkpoint", folder, "Checkpoints (*.safetensors);;All files (*)")
        if chosen:  # a cancelled dialog gives an empty string
            self.choose(Path(chosen))

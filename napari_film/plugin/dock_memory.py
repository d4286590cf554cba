"""Brings the dock's choices back when it is opened, and writes them down when they change."""

from pathlib import Path
from typing import Protocol

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QTabWidget

from napari_film.errors import InputError
from napari_film.plugin.mask_form import MaskForm
from napari_film.plugin.remembered import Remembered, RememberedState
from napari_film.plugin.selection import SLOTS
from napari_film.plugin.session import SegmentationSession
from napari_film.plugin.slice_view import SliceView
from napari_film.plugin.workbench import Workbench

_REST = 500  # ms after the last change


class Dock(Protocol):
    """What is remembered of a dock."""

    session: SegmentationSession
    workbench: Workbench
    mask_form: MaskForm
    slice_view: SliceView
    tabs: QTabWidget

    def choose_checkpoint(self, path: Path | None) -> None:
        """Choose a model."""


class DockMemory(QObject):
    """Belongs to one dock; nothing is written before a model was chosen."""

    def __init__(self, dock: Dock, store: RememberedState | None = None) -> None:
        super().__init__(dock.tabs)
        self._dock = dock
        self._store = store or RememberedState()
        self._state = self._store.load()
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST)
        self._rest.timeout.connect(self.save)
        self.restored: Path | None = None

    def restore(self) -> None:
        """Choose what was chosen last, as far as it is still there; then follow what is chosen from now on."""
        dock, state = self._dock, self._state
        dock.workbench.values_form.setLayoutValue(state.layout)
        dock.slice_view.setValue("neurological" if state.convention == "neurological" else "radiological")
        if 0 <= state.page < dock.tabs.count():
            dock.tabs.setCurrentIndex(state.page)
        path = Path(state.checkpoint) if state.checkpoint else None
        if path is not None and path.is_file():
            dock.choose_checkpoint(path)
            self.restored = dock.session.checkpoint
        dock.session.choices_changed.connect(lambda: self._rest.start())
        dock.workbench.fieldChanged.connect(lambda _: self._rest.start())
        dock.mask_form.valueChanged.connect(lambda _: self._rest.start())
        dock.workbench.values_form.layoutChanged.connect(lambda _: self._rest.start())
        dock.slice_view.valueChanged.connect(lambda _: self._rest.start())
        dock.tabs.currentChanged.connect(lambda _: self._rest.start())

    def recall(self, path: Path) -> None:
        """Choose the metadata that were chosen with the checkpoint ``path`` last; what its schema no longer takes stays as it is."""
        remembered = self._state.checkpoints.get(str(path), Remembered())
        self._dock.mask_form.setValue(remembered.postprocessing)
        for slot in SLOTS:
            try:
                self._dock.session.set_metadata(remembered.slots.get(slot, self._dock.session.choices[slot].metadata), slot)
            except InputError:
                continue
        if remembered.field is not None:
            self._dock.workbench.set_field(remembered.field)

    def save(self) -> None:
        """Write down what is chosen now."""
        dock = self._dock
        session = dock.session
        self._state = self._store.load().model_copy(  # anew: another window's dock may have written meanwhile
            update={
                "layout": dock.workbench.values_form.layoutValue(),
                "convention": dock.slice_view.value(),
                "page": dock.tabs.currentIndex(),
            }
        )
        if session.checkpoint is not None:
            slots = {slot: dict(choice.metadata) for slot, choice in session.choices.items()}
            self._state = self._state.with_checkpoint(
                session.checkpoint, Remembered(slots=slots, field=dock.workbench.field, postprocessing=session.postprocessing)
            )
        self._store.save(self._state)

    def flush(self) -> None:
        """Write down what was chosen last, if that is still to be done."""
        if self._rest.isActive():
            self._rest.stop()
            self.save()

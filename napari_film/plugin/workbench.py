"""The comparison of conditions, wired: the strip of A and B with its keys, all values at once, maps.

Knows the session and its views, and editors of one value each; what is chosen and computed is the session's.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QCheckBox, QPushButton, QWidget

from napari_film.errors import InputError
from napari_film.fields import Value
from napari_film.header import Header
from napari_film.plugin.appearance import summary
from napari_film.plugin.choice import Choice, leading_field
from napari_film.plugin.compare_strip import CompareStrip
from napari_film.plugin.gallery import Layout
from napari_film.plugin.map_layers import Map
from napari_film.plugin.mask_views import MaskViews
from napari_film.plugin.selection import Slot
from napari_film.plugin.session import SegmentationSession, State
from napari_film.plugin.shortcuts import Shortcuts
from napari_film.plugin.values_form import ValuesForm

if TYPE_CHECKING:
    import napari.viewer

_MAPS: dict[Map, tuple[str, str]] = {
    "sensitivity": ("Sensitivity map", "How far the probability moves over the values, for each voxel: 0 to 1."),
    "disagreement": ("Disagreement map", "How many of the values' masks have each voxel."),
}
_MOST = 64  # masks
_MOST_CELLS = 16  # napari's grid takes time by the fourth power of its cells: seconds for these, a minute for forty
_NO_MAPS = "The field says what is looked for: its masks are of different things, so how they differ says nothing."


class Workbench(QObject):
    """Puts the strip, the form of values and the maps together with the session."""

    fieldChanged = Signal(object)  # the name of the field that is stepped through and compared, or None
    stepped = Signal(str)  # a person chose the value of this field by an arrow or its key

    def __init__(self, viewer: "napari.viewer.Viewer", session: SegmentationSession, views: MaskViews, dock: QWidget) -> None:
        super().__init__(dock)
        self._session = session
        self._views = views
        self.strip = CompareStrip()
        self.values_form = ValuesForm()
        self.maps = {kind: QCheckBox(title) for kind, (title, _) in _MAPS.items()}
        for kind, box in self.maps.items():
            box.setObjectName(f"film_{kind}")
            box.toggled.connect(lambda on, kind=kind: self._map_toggled(kind, on))
        self._field: str | None = None
        self.shortcuts = Shortcuts(
            viewer,
            dock,
            {
                "T": self.flip,
                ",": lambda: self._step(-1),
                ".": lambda: self._step(1),
                "G": lambda: self._press("film_outline"),
                "H": lambda: self._press("film_hide"),
                "D": lambda: self._press("film_difference"),
            },
        )
        self._wire()
        self.show_checkpoint(None)

    @property
    def field(self) -> str | None:
        """The field that is stepped through and compared; None where a model has none."""
        return self._field

    def set_field(self, name: str | None) -> None:
        """Choose the field that is stepped through and compared."""
        header = self._session.header
        names = [field.name for field in header.metadata_schema] if header else []
        before, self._field = self._field, name if name in names else (names[0] if names else None)
        self.strip.setFields(names, self._field)
        self._show_values()
        if self._field != before:
            self.fieldChanged.emit(self._field)

    def flip(self) -> None:
        """Show the other slot."""
        self._choose_slot("B" if self._session.slot == "A" else "A")

    def compared(self) -> tuple[Choice, ...]:
        """What is to be compared: what is laid out or mapped, else what the form says."""
        if self._session.compared and (self._views.laid_out or self._views.mapped):
            return self._session.compared
        return self._choices(self.values_form.value())

    def compare(self) -> None:
        """Have what is to be compared computed; raises InputError."""
        self._session.set_compared(self.compared())

    def close(self) -> None:
        """Give the keys back."""
        self.shortcuts.close()

    def show_checkpoint(self, header: Header | None) -> None:
        """Offer what another model can do."""
        schema = header.metadata_schema if header else ()
        leading = leading_field(header) if header else None
        self.set_field(leading.name if leading else None)
        self._choose_slot("A")
        self.strip.setAvailable(header is not None, "Choose a model first.")
        offered = header is not None and any(field.role == "context" for field in schema)
        for kind, box in self.maps.items():
            box.setEnabled(offered)
            box.setToolTip(_MAPS[kind][1] if offered or header is None else _NO_MAPS)

    def _wire(self) -> None:
        session, strip, form = self._session, self.strip, self.values_form
        strip.slotChosen.connect(self._choose_slot)
        strip.flipClicked.connect(self.flip)
        strip.stepClicked.connect(self._step)
        strip.fieldChosen.connect(self.set_field)
        strip.outlineToggled.connect(self._views.set_outline)
        strip.hideToggled.connect(self._views.set_hidden)
        strip.fadeChanged.connect(self._faded)
        strip.differenceToggled.connect(self._views.set_difference)
        form.computeClicked.connect(self._compute_clicked)
        form.cancelClicked.connect(session.cancel)
        form.layoutChanged.connect(lambda _: self._lay_out() if self._views.laid_out else None)
        form.removeClicked.connect(self._take_away)
        self._views.lost.connect(self._something_lost)
        session.choices_changed.connect(self._show_choices)
        session.compared_progress_changed.connect(self._show_progress)
        session.state_changed.connect(lambda _: self._show_busy())

    def _press(self, name: str) -> None:
        button = self.strip.findChild(QPushButton, name)
        if button is not None:
            button.click()

    def _choose_slot(self, slot: str) -> None:
        fade = 0 if slot == "A" else 100
        self._views.set_fade(fade, cast(Slot, slot))
        self.strip.setFade(fade)
        self._show_choices()

    def _faded(self, percent: int) -> None:
        """Follow the slider; at its ends, where one mask alone is in view, that one is edited."""
        ends: dict[int, Slot] = {0: "A", 100: "B"}
        self._views.set_fade(percent, ends.get(percent))

    def _step(self, by: int) -> None:
        if self._field is not None:
            try:
                self._session.step(self._field, by)
            except InputError as error:
                show_error(str(error))
                return
            self.stepped.emit(self._field)

    def _choices(self, metadata: Sequence[Mapping[str, Value]]) -> tuple[Choice, ...]:
        header = self._session.header
        return tuple(Choice(header, {**self._session.metadata, **values}) for values in metadata) if header else ()

    def _compute_clicked(self, metadata: Sequence[Mapping[str, Value]]) -> None:
        if self._session.prepared is None:
            show_error("No images are open yet; press Segment first, then all values can be computed.")
            return
        if len(metadata) > _MOST:
            show_error(f"{len(metadata)} masks are asked for; at most {_MOST} can be laid out, so choose fewer values.")
            return
        try:
            self._session.set_compared(self._choices(metadata))
        except InputError as error:
            show_error(str(error))
            return
        self._lay_out()
        self._show_busy()

    def _lay_out(self) -> None:
        """Lay what is compared out as the form says, as far as napari can."""
        layout, count = cast(Layout, self.values_form.layoutValue()), len(self._session.compared)
        if layout == "grid" and count > _MOST_CELLS:
            layout = "stacked"
            show_info(f"{count} masks are too many for napari's grid, which takes {_MOST_CELLS} at a bearable speed; they are stacked.")
        self._views.set_layout(layout)

    def _take_away(self) -> None:
        self._views.set_layout(None)
        for box in self.maps.values():
            box.setChecked(False)
        self._session.set_compared(())

    def _map_toggled(self, kind: Map, on: bool) -> None:
        if on and self._session.prepared is None:
            show_error("No images are open yet; press Segment first, then the map can be made.")
            self.maps[kind].setChecked(False)
            return
        try:
            if on:
                self.compare()
        except InputError as error:
            show_error(str(error))
            self.maps[kind].setChecked(False)
            return
        self._views.set_map(kind, on)

    def _something_lost(self) -> None:
        for kind, box in self.maps.items():
            if kind not in self._views.mapped and box.isChecked():
                box.setChecked(False)
        self.strip.setFade(self._views.slots.fade)
        self.strip.setDifference(self._views.slots.compares)
        self._show_busy()

    def _show_choices(self) -> None:
        choices = self._session.choices
        self.strip.setSlot(self._session.slot)
        self.strip.setTexts(*(summary(choices[slot]) for slot in ("A", "B")) if choices else ("", ""))
        self.values_form.setCurrent(self._session.metadata)

    def _show_values(self) -> None:
        header = self._session.header
        self.values_form.setSchema(header.metadata_schema if header else None, self._session.metadata, self._field)

    def _show_progress(self, done: int, total: int) -> None:
        self.values_form.setProgress(done, total)
        self._show_busy()

    def _show_busy(self) -> None:
        session = self._session
        busy = session.state in (State.RUNNING, State.AHEAD) and any(
            not results.complete for choice in session.compared if (results := session.results_of(choice))
        )
        self.values_form.setBusy(busy)
        self.values_form.setShown(bool(session.compared))

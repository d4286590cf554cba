"""Where does it look, wired: the windows of the values in view, read as an errand, drawn over the opened image.

The values that may be chosen next are read along with those that are in view, so that the windows move with the dropdown. Masks
come first: the windows are drawn once the window has nothing else to do.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_film.inference.windows import Windows, places_with_windows, windows
from napari_film.plugin.appearance import summary
from napari_film.plugin.choice import Choice, Condition
from napari_film.plugin.errands import Cancelled, Errands
from napari_film.plugin.mask_layer import COLOURS
from napari_film.plugin.opened_layers import OpenedLayers
from napari_film.plugin.selection import SLOTS, Slot
from napari_film.plugin.session import SegmentationSession
from napari_film.plugin.where_it_looks_geometry import WindowGeometry
from napari_film.plugin.where_it_looks_layers import Ellipse, WindowLayers
from napari_film.plugin.where_it_looks_panel import NO_IMAGES, NO_MODEL, NO_WINDOWS, Look, WhereItLooksPanel
from napari_film.preprocessing import Prepared

if TYPE_CHECKING:
    import napari.viewer

_TOPIC = "windows"
_PAUSE = 50  # ms after the last change: the mask is drawn first, and held keys are not held up
_FLAT = 0.01  # of the strongest heat: what differs by less is the same everywhere
_COLOURS: dict[Slot, str] = {"A": COLOURS[0], "B": COLOURS[1]}  # as the masks of the slots have them

Known = dict[Condition, list[Windows]]
"""Of each condition one, or one for each slice of the network where they differ."""


class WhereItLooks(QObject):
    """Keeps the layers as ``panel`` and the session say, while the dock is open.

    Parameters
    ----------
    in_view
        Gives the slots whose masks are in view.
    """

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        session: SegmentationSession,
        errands: Errands,
        images: OpenedLayers,
        in_view: Callable[[], Sequence[Slot]],
        panel: WhereItLooksPanel,
    ) -> None:
        super().__init__(panel)
        self._viewer = viewer
        self._session = session
        self._errands = errands
        self._images = images
        self._in_view = in_view
        self._panel = panel
        self.layers = WindowLayers(viewer)
        self._open = False
        self._of: tuple[Path, str, Prepared] | None = None  # what is known is of
        self._known: Known = {}
        self._asked: set[Condition] = set()
        self._geometry: WindowGeometry | None = None
        self._drawn: dict[str, object] = {}
        self._grid_changed()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_PAUSE)
        self._soon.timeout.connect(self.show)
        self._emitters: tuple[tuple[Any, Callable[..., None]], ...] = (
            (viewer.layers.events.removed, self._removed),
            (viewer.canvas.grid.events.enabled, self._grid_changed),
        )
        for emitter, callback in self._emitters:
            emitter.connect(callback)
        panel.valueChanged.connect(lambda _: self.show())
        session.checkpoint_changed.connect(lambda _: self.show())
        session.choices_changed.connect(self._later)
        session.shown_changed.connect(self._later)
        session.released.connect(lambda _: self._let_go())
        images.moved.connect(lambda _: self._later())

    @property
    def pending(self) -> bool:
        """Whether something is still to be read or drawn."""
        return self._soon.isActive() or self._errands.busy(_TOPIC)

    def set_open(self, on: bool) -> None:
        """Draw from now on, or take everything away: the dock was opened, or closed."""
        if on != self._open:
            self._open = on
            self.show()

    def close(self) -> None:
        """Stop following the viewer, and take everything away."""
        for emitter, callback in self._emitters:
            emitter.disconnect(callback)
        self._emitters = ()
        self.set_open(False)

    def show(self) -> None:
        """Show what is chosen, as far as it is known; ask for the rest."""
        self._soon.stop()
        look = self._offer()
        opened = self._opened(look)
        if opened is None:
            self._forget()
            return
        if opened != self._of:
            if self._of is None or (opened[0], opened[2]) != (self._of[0], self._of[2]):
                self.layers.close()  # of another place they are the same layers
            self._forget_windows()
            self._of = opened
            self._geometry = WindowGeometry(opened[2], self._images.geometry)
        wanted = {slot: _one_condition(self._session.choices[slot]) for slot in self._slots()}
        missing = [condition for condition in dict.fromkeys(wanted.values()) if condition not in self._known]
        if missing:
            self._ask(missing)  # what is drawn stays meanwhile, under its own name
        else:
            self._draw(look, wanted)

    def _offer(self) -> Look:
        """Offer the places of the model, or say why there is nothing to see."""
        header, panel = self._session.header, self._panel
        places = places_with_windows(header.architecture) if header is not None else ()
        panel.setPlaces(places)
        if header is None or not places:
            panel.setEmpty(NO_MODEL if header is None else NO_WINDOWS)
        else:
            panel.setEmpty(None if self._session.prepared is not None and self._images.channels else NO_IMAGES)
        return panel.value()

    def _opened(self, look: Look) -> tuple[Path, str, Prepared] | None:
        """What windows would be of; None where nothing is to be seen."""
        checkpoint, prepared = self._session.checkpoint, self._session.prepared
        if not self._open or checkpoint is None or prepared is None or look.place is None or not self._images.channels:
            return None
        return checkpoint, look.place, prepared

    def _slots(self) -> list[Slot]:
        """The slots whose windows are drawn, the edited one first."""
        first = self._session.slot
        return [first, *(slot for slot in SLOTS if slot != first and slot in self._in_view())]

    def _ask(self, missing: Sequence[Condition]) -> None:
        """Have ``missing`` read, and what may be chosen next along with it."""
        choice, header = self._session.choice, self._session.header
        if self._of is None or choice is None or header is None:
            return
        checkpoint, place, prepared = self._of
        if set(missing) <= self._asked and self._errands.busy(_TOPIC):
            return
        ahead = [condition for condition in choice.others() if condition not in self._known]
        conditions = list(dict.fromkeys([*missing, *ahead]))
        self._asked = set(conditions)
        schema, slices, whole = header.metadata_schema, prepared.network_shape[0], prepared.network_shape[1:]
        of = self._of

        def work(_: Cancelled) -> Known:
            each = {
                condition: [schema.at_slice(condition, k, slices) for k in range(slices if schema.is_by_slice(condition) else 1)]
                for condition in conditions
            }
            found = iter(windows(checkpoint, [one for several in each.values() for one in several], place, (whole[0], whole[1])))
            return {condition: [next(found) for _ in several] for condition, several in each.items()}

        def done(found: Known) -> None:
            if self._of == of:
                self._known |= found
                self.show()

        self._errands.submit(_TOPIC, work, done, self._failed)

    def _failed(self, sentence: str) -> None:
        self._asked = set()
        self._panel.setStatus(sentence)

    def _draw(self, look: Look, wanted: dict[Slot, Condition]) -> None:
        """Bring panel and layers up to date; what is so already is left alone."""
        if self._of is None or self._geometry is None:
            return
        _, place, prepared = self._of
        visible = self._images.visible
        index = visible if visible is not None else prepared.shape[0] // 2
        edited = self._session.choices[self._session.slot]
        name = f"{place}, {_spoken(edited)}"
        now = {slot: self._at(condition, index) for slot, condition in wanted.items()}
        shown, every = now[self._session.slot], self._known[wanted[self._session.slot]]
        limits = _heat_limits(every)
        self._once("panel", (look.most, name, id(shown)), lambda: self._panel.setWindows(shown, name, limits))
        reference, geometry = self._images.channels[0], self._images.geometry
        at = self._geometry
        if look.ellipses:

            def ellipses() -> None:
                drawn = [
                    Ellipse(outline, number=int(number) + 1, strength=float(found.strength[number]), colour=_COLOURS[slot])
                    for slot, found in now.items()
                    for strongest in [found.strongest(look.most)]
                    for number, outline in zip(strongest, at.ellipses(found.centre[strongest], found.size[strongest], index), strict=True)
                ]
                names = " and ".join(_spoken(self._session.choices[slot]) for slot in SLOTS if slot in now)
                self.layers.show_ellipses(drawn, reference, geometry, f"windows: {place}, {names}")

            self._once("ellipses", (look.most, name, index, *(id(found) for found in now.values())), ellipses)
        else:
            self._take("ellipses")
        if look.heat:

            def plane(number: int) -> Any:
                return every[number if len(every) > 1 else 0].heat(at.rows, at.columns)

            def heat() -> None:
                self.layers.show_heat(
                    plane,
                    reference,
                    geometry,
                    self._images.slice_axis,
                    f"where it looks: {name}",
                    limits=limits,
                    alike=len(every) == 1,
                )

            self._once("heat", (name, id(every)), heat)
        else:
            self._take("heat")

    def _at(self, condition: Condition, index: int) -> Windows:
        """The windows of slice ``index``: where they differ, slices are not respaced, so the network's are the source's."""
        found = self._known[condition]
        return found[index if len(found) > 1 else 0]

    def _once(self, what: str, state: object, deed: Callable[[], None]) -> None:
        if self._drawn.get(what) != state:
            self._drawn[what] = state
            deed()

    def _take(self, kind: Any) -> None:
        self._drawn.pop(kind, None)
        self.layers.remove(kind)

    def _forget(self) -> None:
        """Take the layers away, and what is known of another model, place or image."""
        self.layers.close()
        self._forget_windows()

    def _forget_windows(self) -> None:
        self._errands.cancel(_TOPIC)
        self._of = self._geometry = None
        self._known, self._asked, self._drawn = {}, set(), {}

    def _let_go(self) -> None:
        """The images are let go: while they are, they are still the session's."""
        self._forget()
        self._later()

    def _later(self) -> None:
        if self._open:
            self._soon.start()

    def _grid_changed(self, event: Any = None) -> None:
        self.layers.set_aside(bool(self._viewer.canvas.grid.enabled))

    def _removed(self, event: Any) -> None:
        kind = self.layers.lost(event.value)
        if kind is not None:
            self._drawn.pop(kind, None)
            look = self._panel.value()
            self._panel.setValue(replace(look, ellipses=look.ellipses and kind != "ellipses", heat=look.heat and kind != "heat"))


def _heat_limits(every: Sequence[Windows]) -> tuple[float, float]:
    """The least and the strongest heat of all slices, so that the same colour is the same heat in each; from 0 where it hardly differs."""
    least, peak = min(found.least for found in every), max(found.peak for found in every)
    return (least, peak) if peak - least > _FLAT * peak else (0.0, max(peak, 1e-6))


def _one_condition(choice: Choice) -> Condition:
    """The condition that windows are shown of: that of the mask, or that of the values in the form where it is put together of several."""
    conditions = choice.conditions()
    return conditions[0] if len(conditions) == 1 else Choice(choice.header, choice.metadata).conditions()[0]


def _spoken(choice: Choice) -> str:
    """What the windows are of, in words."""
    return summary(choice if len(choice.conditions()) == 1 else Choice(choice.header, choice.metadata))

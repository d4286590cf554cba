"""What the viewer shows of the session's masks: those of the slots, their difference, the compared ones, and maps.

Each of these layers looks into the session's probabilities; here they are told when to look, and at what.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_film.plugin.appearance import Appearance, Provenance, summary
from napari_film.plugin.choice import Choice, Condition
from napari_film.plugin.cleaning import Cleaning
from napari_film.plugin.composition import Composition
from napari_film.plugin.errands import Errands
from napari_film.plugin.gallery import Gallery, Layout
from napari_film.plugin.live_array import LiveLabels, MadeAnew
from napari_film.plugin.map_layers import Map, MapLayers
from napari_film.plugin.opened_layers import OpenedLayers
from napari_film.plugin.selection import SLOTS, Slot
from napari_film.plugin.session import SegmentationSession
from napari_film.plugin.slot_layers import SlotLayers

if TYPE_CHECKING:
    import napari.viewer

_DRAW_3D = 500  # ms between drawings of a growing mask in 3D, where each takes the whole volume


class MaskViews(QObject):
    """Keeps the layers of masks in ``viewer`` as the session says.

    Parameters
    ----------
    viewer, session, images
        Where, what, and on which images.
    errands
        Runs clean-ups.
    provenance
        Gives what makes a sidecar's content of a composition under a choice, as things stand when it is asked.
    """

    left = Signal()  # a person took the shown mask away
    lost = Signal()  # a person took something else away: a map, a cell, the difference or the other slot's mask

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        session: SegmentationSession,
        images: OpenedLayers,
        errands: Errands,
        provenance: Callable[[Choice], Provenance],
    ) -> None:
        super().__init__(images)
        self._viewer = viewer
        self._session = session
        self._images = images
        self._provenance = provenance
        self.slots = SlotLayers(viewer)
        self.gallery = Gallery(viewer)
        self.maps = MapLayers(viewer)
        self._open = False
        self._labels = 1
        self._layout: Layout | None = None
        self._laid_out: tuple[tuple[Choice, ...], Layout] | None = None
        self._mapped: set[Map] = set()
        self._arrived: set[tuple[Condition, int]] = set()
        self.cleaning = Cleaning(errands, self._compositions, self)
        self.cleaning.cleaned.connect(self.show)
        self._draw = QTimer(self)
        self._draw.setInterval(_DRAW_3D)
        self._draw.setSingleShot(True)
        self._draw.timeout.connect(self._look_again_in_3d)
        session.shown_changed.connect(self.show)
        session.arrived.connect(lambda condition, index: self._arrived.add((condition, index)))
        session.released.connect(self.release)
        viewer.layers.events.removed.connect(self._removed)

    def close(self) -> None:
        """Stop following the viewer."""
        self._viewer.layers.events.removed.disconnect(self._removed)

    @property
    def pending(self) -> bool:
        """Whether slices have arrived that were not drawn yet."""
        return bool(self._arrived)

    @property
    def laid_out(self) -> bool:
        """Whether the compared masks are laid out."""
        return self._laid_out is not None

    @property
    def mapped(self) -> set[Map]:
        """The maps that are asked for."""
        return set(self._mapped)

    def set_fade(self, fade: int, slot: Slot | None = None) -> None:
        """Fade from the mask of A (0) to that of B (100), and edit ``slot`` from now on; None leaves that as it is."""
        self._change(lambda: self.slots.set_fade(fade), slot or self._session.slot)

    def set_difference(self, on: bool) -> None:
        """Show the difference between A and B in place of the masks, or these again."""
        self._change(lambda: self.slots.set_difference(on), self._session.slot)

    def set_outline(self, on: bool) -> None:
        """Draw outlines, or fill."""
        self.slots.set_outline(on)
        self.slots.arrange()
        self.gallery.set_outline(on)

    def set_hidden(self, on: bool) -> None:
        """Hide all masks, or show them again."""
        self.slots.set_hidden(on)
        self.slots.arrange()
        self.gallery.set_hidden(on)

    def set_layout(self, layout: Layout | None) -> None:
        """Lay the compared masks out, or take them away."""
        self._layout = layout
        self.show()

    def set_map(self, kind: Map, on: bool) -> None:
        """Show a map over the compared masks, or take it away."""
        if on:
            self._mapped.add(kind)
            self.show()
        else:
            self._mapped.discard(kind)
            self.maps.remove(kind)

    def show(self) -> None:
        """Show everything that is in view anew."""
        session = self._session
        results = session.results
        if results is None or not self._images.channels or session.header is None:
            return
        self._arrived.clear()
        if not self._open:
            self._open = True
            self._images.reslice(results.opened.prepared)
            target = session.header.metadata_schema.target
            self._labels = len(session.header.classes) * (len(target.values) if target else 1)
            self.slots.open(self._images.channels[0], self._images.geometry, self._labels)
        shown = {slot: self._live(session.choices[slot]) for slot in self.slots.needed}
        for slot, live in shown.items():
            self.slots.show(slot, live, self._appearance(session.choices[slot], live))
        if len(shown) == len(SLOTS) and self.slots.compares:
            self.slots.show_difference(shown["A"], shown["B"], (summary(session.choices["A"]), summary(session.choices["B"])))
        in_grid = self._layout == "grid" and bool(session.compared)
        self.slots.set_aside(in_grid)
        if in_grid:  # out of view before the grid comes, and into it again after it went
            self.slots.arrange()
        self._show_compared()
        self.slots.arrange()
        self._put_away()  # once it is out of view, or it would be drawn for nobody
        self.cleaning.look()

    def flush(self) -> None:
        """Draw what has arrived since the last time, where it is in view."""
        arrived, self._arrived = self._arrived, set()
        if not arrived or not self._open:
            return
        self._take_note_of_finished()
        if self._viewer.dims.ndisplay == 3:
            if not self._draw.isActive():
                self._draw.start()
            return
        visible = self._images.visible
        conditions = {condition for condition, index in arrived if visible is None or index == visible}
        if conditions:
            self._look_again(conditions)

    def drop(self) -> None:
        """Take the slots' masks away: they will be shown anew."""
        self.slots.release([])

    def keep(self) -> Labels | None:
        """Copy the shown mask to an ordinary layer, named, with its metadata; gives that layer."""
        mask, choice = self.slots.mask(self._session.slot), self._session.choice
        if mask is None or choice is None or not isinstance(mask.source, LiveLabels):
            return None
        layer = mask.copy(self._appearance(choice, mask.source))
        self._viewer.add_layer(layer)
        return layer

    def release(self, complete: bool) -> None:
        """Let go of the session's masks: the shown one stays as an ordinary layer where it is complete, all others are taken away."""
        self._arrived.clear()
        self._draw.stop()
        self._mapped.clear()
        self._layout = self._laid_out = None
        self._open = False
        self.gallery.close()
        suffix = " (before the image changed)" if self._images.changed else ""
        with self._viewer.layers.batched_update():  # else napari collects garbage for each layer
            self.maps.close()
            self.slots.release([self._session.slot] if complete else [], suffix=suffix)
        self.cleaning.stop()
        self.lost.emit()

    def _change(self, change: Callable[[], None], slot: Slot) -> None:
        """Change what is seen of the slots, and draw it once."""
        before = (self.slots.needed, self.slots.compares)
        change()
        if self._session.set_view(slot, both=len(self.slots.needed) > 1) and self._session.results is not None:
            return  # the session has had everything shown
        if (self.slots.needed, self.slots.compares) != before:
            self.show()
        else:
            self.slots.arrange()

    def _live(self, choice: Choice) -> LiveLabels:
        results = self._session.results_of(choice)
        if results is None:
            raise ValueError("no images are open")
        composition = results.composition()
        cleaned = self.cleaning.labels(composition)
        return LiveLabels(composition, self._images.geometry, self._images.slice_axis, cleaned=cleaned)

    def _appearance(self, choice: Choice, live: LiveLabels) -> Appearance:
        return Appearance.of(choice, live.composition, self._provenance(choice))

    def _put_away(self) -> None:
        """Let the layer of a slot out of view keep nothing alive, and still be the slot's mask if a person saves or unveils it."""
        for slot in SLOTS:
            if slot not in self.slots.needed and self.slots.layer(slot) is not None:
                choice = self._session.choices[slot]
                appearance, provenance = self._appearance(choice, self._live(choice)), self._provenance(choice)

                def live(choice: Choice = choice) -> LiveLabels:
                    return self._live(choice)

                def sidecar(live: Callable[[], LiveLabels] = live, provenance: Provenance = provenance) -> Mapping[str, Any]:
                    return provenance(live().composition)

                if appearance.sidecar is not None:
                    appearance = replace(appearance, sidecar=sidecar)
                self.slots.show(slot, MadeAnew(live), appearance)

    def _show_compared(self) -> None:
        session, compared = self._session, self._session.compared
        wanted = (compared, self._layout) if self._layout is not None and compared else None
        if wanted is None and not (self._mapped and compared):
            self.gallery.close()
            self._laid_out = None
            for kind in list(self._mapped):
                self.maps.remove(kind)
            return
        live = [self._live(choice) for choice in compared]
        masks = [(one, self._appearance(choice, one)) for choice, one in zip(compared, live, strict=True)]
        titles = [summary(choice) for choice in compared]
        if wanted is None:
            self.gallery.close()
        elif wanted == self._laid_out:
            self.gallery.show(masks, titles)
        else:
            frame = session.header.preprocessing.frame if session.header else 0
            self.gallery.open(
                self._images.channels[0], self._images.geometry, masks, wanted[1], titles=titles, labels=self._labels, frame=frame
            )
        self._laid_out = wanted
        for kind in self._mapped:
            self.maps.show(kind, live, self._images.channels[0], self._images.geometry)

    def _take_note_of_finished(self) -> None:
        """Say of a mask that has just become whole how it was made, and have it cleaned up."""
        shown = [(self.slots.mask(slot), self._session.choices[slot]) for slot in self.slots.needed]
        if self._laid_out is not None:
            shown += zip(self.gallery.looks, self._session.compared, strict=True)
        for mask, choice in shown:
            source = mask.source if mask is not None and not mask.finished else None
            if mask is not None and isinstance(source, LiveLabels) and source.composition.complete:
                mask.describe(replace(self._appearance(choice, source), name=mask.layer.name))
        self.cleaning.take_note()

    def _look_again(self, conditions: set[Condition]) -> None:
        def concerned(choice: Choice) -> bool:
            return not conditions.isdisjoint(choice.conditions())

        self.slots.look_again([slot for slot in SLOTS if concerned(self._session.choices[slot])])
        if self._laid_out is not None:
            self.gallery.look_again([place for place, choice in enumerate(self._session.compared) if concerned(choice)])
        if self._mapped and any(concerned(choice) for choice in self._session.compared):
            self.maps.look_again()

    def _look_again_in_3d(self) -> None:
        self._look_again({condition for choice in self._in_view() for condition in choice.conditions()})

    def _in_view(self) -> list[Choice]:
        slots: list[Slot] = self.slots.needed
        return [*(self._session.choices[slot] for slot in slots), *(self._session.compared if self._laid_out or self._mapped else ())]

    def _compositions(self) -> list[Composition]:
        found = [self._session.results_of(choice) for choice in self._in_view()]
        return [results.composition() for results in found if results is not None]

    def _removed(self, event: Any) -> None:
        layer = event.value
        slot = self.slots.lost(layer)
        if slot == self._session.slot:
            self.left.emit()
        elif slot is not None:
            if slot in self.slots.needed and not self.slots.compares:
                QTimer.singleShot(0, self._show_one_alone)  # napari is in the middle of removing
        elif self.slots.lost_difference(layer):
            QTimer.singleShot(0, self._leave_difference)
        elif self.maps.lost(layer) is not None:
            self._mapped = set(self.maps.shown)
            self.lost.emit()
        elif self.gallery.has(layer) and self._laid_out is not None:
            self._layout = self._laid_out = None
            QTimer.singleShot(0, self._take_gallery_away)
            self.lost.emit()

    def _show_one_alone(self) -> None:
        self.set_fade(0 if self._session.slot == "A" else 100)
        self.lost.emit()

    def _leave_difference(self) -> None:
        self.set_difference(False)
        self.lost.emit()

    def _take_gallery_away(self) -> None:
        if self._laid_out is None:
            self.gallery.close()
            self.slots.set_aside(False)
            self.slots.arrange()

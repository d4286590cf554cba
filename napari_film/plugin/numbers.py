"""The table of numbers, wired: what is compared, with which reference, computed as an errand when all masks are whole."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.utils.notifications import show_error
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from napari_film.comparison.reference import labels_in, reference_mask
from napari_film.comparison.table import Comparison, compare
from napari_film.errors import InputError
from napari_film.plugin.appearance import summary
from napari_film.plugin.choice import Choice
from napari_film.plugin.composition import Composition
from napari_film.plugin.errands import Cancelled, Errands
from napari_film.plugin.keeping import is_picture
from napari_film.plugin.layers import borrow_geometry, label_names, volume_from_layer
from napari_film.plugin.live_array import LiveArray
from napari_film.plugin.numbers_panel import NumbersPanel
from napari_film.plugin.session import SegmentationSession, State
from napari_film.plugin.workbench import Workbench
from napari_film.volume import Volume, slicing

if TYPE_CHECKING:
    import napari.viewer

_TOPIC = "numbers"
_PIXELS = "A pixel of a picture counts as {} mm: 1 ml is {:,.0f} pixels."
_SEVERAL = "The foreground of all classes counts together."


class _Foregrounds(Mapping[str, NDArray[np.bool_]]):
    """Masks by name, each made when it is asked for."""

    def __init__(self, compositions: Mapping[str, Composition], cancelled: Cancelled) -> None:
        self._compositions = compositions
        self._cancelled = cancelled

    def __getitem__(self, name: str) -> NDArray[np.bool_]:
        return self._compositions[name].labels(self._cancelled) > 0

    def __iter__(self) -> Iterator[str]:
        return iter(self._compositions)

    def __len__(self) -> int:
        return len(self._compositions)


class Numbers(QObject):
    """Fills ``panel`` when a person asks for it."""

    def __init__(
        self, viewer: "napari.viewer.Viewer", session: SegmentationSession, errands: Errands, workbench: Workbench, panel: NumbersPanel
    ) -> None:
        super().__init__(panel)
        self._viewer = viewer
        self._session = session
        self._errands = errands
        self._workbench = workbench
        self._panel = panel
        self._asked = False
        self._counted: object = None  # what the shown numbers are of
        self._emitters = [getattr(viewer.layers.events, name) for name in ("inserted", "removed", "renamed")]
        for emitter in self._emitters:
            emitter.connect(self._show_references)
        panel.compare_clicked.connect(self.compare)
        panel.cancel_clicked.connect(self.cancel)
        panel.referenceChanged.connect(self._show_labels)
        panel.failed.connect(show_error)
        session.compared_progress_changed.connect(self._progressed)
        session.state_changed.connect(self._stopped)
        session.shown_changed.connect(self._show_whether_outdated)
        session.choices_changed.connect(self._show_offer)
        workbench.fieldChanged.connect(lambda _: self._show_offer())
        session.released.connect(lambda _: self._forget())
        session.checkpoint_changed.connect(lambda _: self._forget())
        self._show_references()

    def close(self) -> None:
        """Stop following the viewer."""
        for emitter in self._emitters:
            emitter.disconnect(self._show_references)
        self._emitters = []

    def compare(self) -> None:
        """Compute what is missing of the compared masks, then the numbers."""
        if self._session.prepared is None:
            show_error("No images are open yet; press Segment first, then masks can be compared.")
            return
        self._asked = True
        self._show_offer()
        try:
            self._workbench.compare()
        except InputError as error:
            self._asked = False
            show_error(str(error))
            return
        self._progressed()

    def cancel(self) -> None:
        """Do without."""
        self._asked = False
        self._errands.cancel(_TOPIC)
        self._panel.setBusy(None)

    def _forget(self) -> None:
        self.cancel()
        self._panel.setComparison(None)
        self._panel.setNotices([])

    def _progressed(self, done: int = 0, total: int = 0) -> None:
        """Go on to the numbers once every mask is whole."""
        if not self._asked:
            return
        compared = self._session.compared
        whole = sum(map(self._complete, compared))
        if not compared:  # they were taken away
            self.cancel()
        elif whole < len(compared):
            self._panel.setBusy(f"{whole} of {len(compared)} values are computed.")
        else:
            self._asked = False
            self._start()

    def _stopped(self, state: State) -> None:
        """Do without where the masks were cancelled or cannot be computed."""
        if self._asked and state in (State.READY, State.FAILED) and not all(map(self._complete, self._session.compared)):
            self.cancel()

    def _what(self) -> object:
        """What numbers would be of now."""
        session = self._session
        return session.compared, session.choices.get("A"), session.postprocessing

    def _show_whether_outdated(self) -> None:
        if self._session.compared and self._panel.comparison() is not None and self._what() != self._counted:
            self._panel.outdate()

    def _show_offer(self) -> None:
        with suppress(InputError):  # points that are half written; pressing the button says so
            self._panel.setOffersReference(not _are_structures(self._workbench.compared()))

    def _complete(self, choice: Choice) -> bool:
        results = self._session.results_of(choice)
        return results is not None and results.complete

    def _start(self) -> None:
        session, panel = self._session, self._panel
        prepared, header = session.prepared, session.header
        if prepared is None or header is None:
            return
        varies = _are_structures(session.compared)
        masks = {summary(choice): results.composition() for choice in session.compared if (results := session.results_of(choice))}
        a = session.results_of(session.choices["A"])
        alike = not _are_structures((*session.compared, session.choices["A"]))
        first = a.composition() if a is not None and a.complete and alike else None
        layer = self._reference() if not varies else None
        reference = None
        if layer is not None:
            try:
                reference = self._volume(layer)
            except InputError as error:
                show_error(str(error))
                panel.setBusy(None)
                return
        label, tolerance = panel.label(), panel.tolerance()
        counted, notices = self._what(), [_SEVERAL] if len(header.classes) > 1 else []
        axes = slicing(prepared.reference.grid, prepared.preprocessing.slice_axis).grid(prepared.reference.grid)
        voxel_mm3 = abs(float(np.linalg.det(prepared.reference.affine[:3, :3])))
        if is_picture(session):
            size = " x ".join(f"{length:g}" for length in prepared.reference.spacing)
            notices.append(_PIXELS.format(size, 1000 / voxel_mm3))

        def work(cancelled: Cancelled) -> tuple[Comparison, str]:
            truth, sentence = None, ""
            if reference is not None:
                found, sentence = reference_mask(reference, prepared.reference.grid, label=label)
                truth = prepared.from_source(found)
            comparison = compare(
                _Foregrounds(masks, cancelled),
                axes.spacing,
                a=None if first is None else first.labels(cancelled) > 0,
                reference=truth,
                role="target" if varies else "context",
                tolerance=tolerance,
                voxel_mm3=voxel_mm3,
                cancelled=cancelled,
                progress=self._teller(),
            )
            return comparison, sentence

        def done(answer: tuple[Comparison, str]) -> None:
            comparison, sentence = answer
            panel.setBusy(None)
            panel.setComparison(comparison)
            panel.setNotices([*notices, *([sentence] if sentence else [])])
            self._counted = counted
            self._show_whether_outdated()

        def failed(sentence: str) -> None:
            panel.setBusy(None)
            show_error(sentence)

        panel.setBusy("Comparing…")
        self._errands.submit(_TOPIC, work, done, failed)

    def _teller(self) -> Callable[[int, int], None]:
        def tell(done: int, total: int) -> None:
            self._errands.tell(lambda: self._panel.setBusy(f"Comparing: {done} of {total}") if self._errands.busy(_TOPIC) else None)

        return tell

    def _references(self) -> list[Labels]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Labels) and not isinstance(layer.data, LiveArray)]

    def _reference(self) -> Labels | None:
        return next((layer for layer in self._references() if layer.name == self._panel.reference()), None)

    def _volume(self, layer: Labels) -> Volume:
        """The voxels of a reference; one that was drawn by hand lies where the image does that it was drawn on."""
        borrow_geometry(layer, self._viewer.layers)
        return volume_from_layer(layer)

    def _show_references(self, event: object = None) -> None:
        self._panel.setReferences([layer.name for layer in self._references()])

    def _show_labels(self, name: str | None) -> None:
        layer = self._reference()
        labels: dict[int, str] = {}
        if layer is not None:
            try:
                names = label_names(layer)
                labels = {label: names.get(label, "") for label in labels_in(self._volume(layer))}
            except InputError as error:
                show_error(str(error))
        self._panel.setLabels(labels)


def _are_structures(choices: Sequence[Choice]) -> bool:
    """Whether the masks of ``choices`` are of different things that are looked for: they have nothing to agree on."""
    targets = {None if (target := choice.header.metadata_schema.target) is None else choice.metadata[target.name] for choice in choices}
    return len(targets) > 1 or any(choice.all_values for choice in choices)

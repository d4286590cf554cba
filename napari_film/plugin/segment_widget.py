"""The dock *FiLM segmentation*: its editors laid out, and wired to the session and the viewer.

What is chosen and computed is the session's, what is drawn `MaskViews`', what compares conditions is put together in
`Workbench`. All of it runs on the main thread: other threads only ring a bell.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QGroupBox,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_film.bundled import bundled_checkpoints
from napari_film.errors import InputError
from napari_film.header import Header
from napari_film.inference.plan import Plan
from napari_film.plugin import keeping
from napari_film.plugin.appearance import Provenance
from napari_film.plugin.channel_form import ChannelForm
from napari_film.plugin.checkpoint_picker import CheckpointPicker
from napari_film.plugin.choice import Choice
from napari_film.plugin.comparison_dock import ComparisonDock
from napari_film.plugin.dock_memory import DockMemory
from napari_film.plugin.errands import Errands
from napari_film.plugin.image_facts import ImageFacts
from napari_film.plugin.keep_panel import KeepPanel
from napari_film.plugin.layers import GeometryNeeded, demo_model, is_alternative
from napari_film.plugin.mask_form import MaskForm
from napari_film.plugin.mask_views import MaskViews
from napari_film.plugin.metadata_editor import MetadataEditor
from napari_film.plugin.model_card import ModelCard
from napari_film.plugin.model_inputs import inputs, rows, suits
from napari_film.plugin.opened_layers import OpenedLayers
from napari_film.plugin.preferences import Preferences, preferences
from napari_film.plugin.retraining import Retraining
from napari_film.plugin.run_panel import RunPanel
from napari_film.plugin.sentences import told
from napari_film.plugin.session import SegmentationSession, State
from napari_film.plugin.slice_view import SliceView
from napari_film.plugin.voxel_size_dialog import ask_voxel_size
from napari_film.plugin.workbench import Workbench
from napari_film.volume import Volume

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image, Layer


_WIDTH = 350  # px: a field's name and its value side by side


class _Bell(QObject):
    """Carries another thread's call to the main thread: a signal between threads is delivered by Qt's event loop."""

    rung = Signal()


class SegmentWidget(QWidget):
    """Choose a model, images and metadata; segment; change a condition value and see the mask change."""

    def __init__(self, viewer: "napari.viewer.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._docked = False
        self._bell = _Bell()  # no child of the dock's: it must outlive the threads that ring it
        # The person's own preferences are read with the first Segment: that takes napari longer than the dock takes to open.
        self.session = SegmentationSession(notify=self._bell.rung.emit, memory=Preferences().kept_masks_bytes)
        self.errands = Errands(self._bell.rung.emit)
        self._bell.rung.connect(self._drain)  # rung on other threads, so Qt queues it

        self.picker = CheckpointPicker()
        self.card = ModelCard()
        self.channel_form = ChannelForm(viewer)
        self.metadata = MetadataEditor(self.session)
        self.mask_form = MaskForm()
        self.run_panel = RunPanel()
        self.slice_view = SliceView(viewer)
        self.layers = OpenedLayers(viewer, self.slice_view)
        self.facts = ImageFacts(self.session, self.metadata.form, self)
        self.views = MaskViews(viewer, self.session, self.layers, self.errands, self._provenance)
        self.workbench = Workbench(viewer, self.session, self.views, self)
        self.comparison = ComparisonDock(viewer, self.session, self.errands, self.workbench, self.layers, self.views)
        self.retraining = Retraining(viewer, self.session, self.errands, self.layers)
        self.keep = KeepPanel(self.session, self.views, self._origins, lambda: self.facts.paths)
        self._lay_out()
        self._wire()
        self.memory = DockMemory(self)
        self.memory.restore()
        session, errands = self.session, self.errands
        self.destroyed.connect(lambda: (session.close(), errands.close()))  # with the viewer; `destroyed` comes with an argument
        for layer in list(viewer.layers):
            self._offer_demo_model(layer)

    def event(self, event: QEvent | None) -> bool:
        """Close with the dock: its cross takes the widget out of the window, without a closeEvent."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self.close_session()
            self._docked = self.parent() is not None
        return super().event(event)

    def close_session(self) -> None:
        """End everything: keep a whole mask as an ordinary layer, remove a part of one, end the threads."""
        if self.session.state is State.CLOSED:
            return
        self.memory.flush()
        self.session.forget()
        self._viewer.layers.events.inserted.disconnect(self._layer_inserted)
        self.comparison.close_dock()
        self.workbench.close()
        self.views.close()
        self.layers.close()
        self.slice_view.close_view()
        self.channel_form.close_form()
        self.errands.close()
        self.session.close()
        self.setEnabled(False)

    def choose_checkpoint(self, path: Path | None) -> None:
        """Choose a model, with the metadata that were chosen with it last; one that cannot be used is told of in a sentence."""
        self.memory.flush()  # what was chosen with the model until now
        with told():
            self.session.set_checkpoint(path)
        self.picker.setValue(self.session.checkpoint)  # the former one where the file was refused
        self.facts.look_at(self.channel_form.value())

    def segment(self) -> None:
        """Segment the chosen images under the chosen metadata; a mask of the same images is shown anew, not twice."""
        with told():
            layers = self.channel_form.value()
            given = self._inputs(layers)
            header = self.session.header
            if given is None or header is None:
                return
            chosen = [layer for layer in layers if layer is not None]
            if chosen == self.layers.channels:
                self.views.drop()
            self.session.forget()
            self.channel_form.keep()
            self.layers.open(chosen, header.preprocessing.slice_axis)
            wanted = preferences()
            self.session.set_memory(wanted.kept_masks_bytes)
            volumes, notices = given
            self.session.segment(volumes, notices=notices, device=wanted.device, precision=wanted.precision)

    def show_tab(self, widget: QWidget) -> None:
        """Bring the page to the front that ``widget`` stands on."""
        for page in range(self.tabs.count()):
            inside = self.tabs.widget(page)
            if inside is not None and inside.isAncestorOf(widget):
                self.tabs.setCurrentIndex(page)

    def _lay_out(self) -> None:
        bench = self.workbench
        pages: dict[str, dict[str, list[QWidget]]] = {
            "Segment": {
                "Model": [self.picker],
                "Images": [self.channel_form, self.facts.line],
                "Metadata": [self.metadata],
                "View": [self.slice_view],
            },
            "Mask": {"Threshold and clean-up": [self.mask_form], "Keep": [self.keep]},
            "Compare": {
                "All values at once": [bench.values_form],
                "Maps over the values": list(bench.maps.values()),
                "Numbers": [self.comparison.numbers_button],
                "Noise floor": [self.retraining.panel],
            },
            "Model": {"Model": [self.card], "Inside the model": [self.comparison.inside_button, self.comparison.look_button]},
        }
        self.tabs = QTabWidget()
        self.tabs.setObjectName("film_tabs")
        for title, groups in pages.items():
            self.tabs.addTab(_page(groups), title)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs, stretch=1)
        below = QVBoxLayout()
        below.setContentsMargins(6, 2, 6, 6)
        below.addWidget(self.run_panel)
        below.addWidget(bench.strip)
        layout.addLayout(below)
        self.setMinimumWidth(_WIDTH)

    def _wire(self) -> None:
        session = self.session
        self.picker.valueChanged.connect(self.choose_checkpoint)
        self.channel_form.valueChanged.connect(self._channels_chosen)
        self.mask_form.valueChanged.connect(session.set_postprocessing)
        self.run_panel.segment_clicked.connect(self.segment)
        self.run_panel.cancel_clicked.connect(session.cancel)
        self.layers.left.connect(self._layers_left)
        self.layers.moved.connect(session.set_visible)
        self.layers.placed.connect(self.metadata.form.setSlice)
        self.views.left.connect(session.forget)
        self.workbench.stepped.connect(self.facts.chosen)
        self.views.cleaning.told.connect(self.mask_form.setStatus)
        session.checkpoint_changed.connect(self._show_checkpoint)
        session.choices_changed.connect(self._show_thresholds)
        session.state_changed.connect(self.run_panel.setState)
        session.progress_changed.connect(self.run_panel.setProgress)
        session.plan_changed.connect(self._show_plan)
        session.released.connect(lambda _: self.layers.release())
        session.told.connect(show_info)
        session.failed.connect(show_error)
        self._viewer.layers.events.inserted.connect(self._layer_inserted)

    # what a person does

    def _channels_chosen(self, layers: Sequence["Image | None"]) -> None:
        former = self.layers.channels
        if former and list(layers) != former:
            mask = self.views.slots.layer(self.session.slot)
            self.session.forget()
            if mask is not None and is_alternative(former[0]) and mask in self._viewer.layers:  # it would lie on another scene
                mask.name = f"{mask.name} ({former[0].name})"
                mask.visible = False
        self._show_in_place_of_others(layers[0] if layers else None)
        self.facts.look_at(layers)

    def _show_in_place_of_others(self, chosen: "Image | None") -> None:
        """Let the scene or phase of a sample be seen that was chosen."""
        if chosen is not None and is_alternative(chosen):
            for layer in self._viewer.layers:
                if is_alternative(layer) and demo_model(layer) == demo_model(chosen):
                    layer.visible = layer is chosen

    def _layers_left(self, sentence: str) -> None:
        self.session.forget()
        if sentence:
            show_info(sentence)

    def _inputs(self, layers: Sequence["Image | None"]) -> tuple[list[Volume], tuple[str, ...]] | None:
        """Give the chosen images and what was done to them; None where the person did not want to say how large the voxels are."""
        header = self.session.header
        if header is None:
            raise InputError("No model is chosen; choose one first.")
        while True:
            try:
                return inputs(layers, header)
            except GeometryNeeded as error:
                if not ask_voxel_size(error.layer, self):
                    return None

    def _layer_inserted(self, event: Any) -> None:
        self._offer_demo_model(event.value)

    def _offer_demo_model(self, layer: "Layer") -> None:
        """Choose the demo model of a sample that was opened, where nobody has chosen another now or computed anything yet."""
        bundled = bundled_checkpoints()
        model = bundled.get(demo_model(layer) or "")
        idle = self.session.prepared is None and self.session.state in (State.EMPTY, State.READY)
        if model is not None and idle and self.session.checkpoint in {None, self.memory.restored, *bundled.values()} - {model}:
            self.choose_checkpoint(model)

    # what the session says

    def _drain(self) -> None:
        self.session.drain()
        self.errands.drain()
        if self.session.state is not State.CLOSED:
            self.views.flush()

    def _show_checkpoint(self, header: Header | None) -> None:
        self.card.setValue(header)
        self.metadata.setSchema(header.metadata_schema if header else None)
        self.workbench.show_checkpoint(header)
        if self.session.checkpoint is not None:
            self.memory.recall(self.session.checkpoint)  # before the images' files are asked, who know better
        self.channel_form.setChannels(rows(header), lambda layer: suits(layer, header))

    def _show_thresholds(self) -> None:
        """Show the thresholds that the model has for what is chosen in the slot that is edited."""
        choice, results = self.session.choice, self.session.results
        if choice is not None:
            own = results.composition().own_thresholds if results else choice.header.thresholds_for(choice.metadata)
            self.mask_form.setOwnThresholds(own)

    def _show_plan(self, plan: Plan | None) -> None:
        checked = self.session.checked
        self.run_panel.setPlan(plan, checked=checked)
        opened = self.session.opened
        # What was checked is good to know, and no warning.
        notices = [notice for notice in opened.notices if notice != checked] if opened else []
        self.run_panel.setBanner([*notices, *self._coverage()])

    def _coverage(self) -> list[str]:
        """Say which channels do not cover the reference."""
        prepared, header = self.session.prepared, self.session.header
        if prepared is None or header is None:
            return []
        reference = header.channels[0].name
        return [
            f"{channel.name} covers {math.floor(100 * part)} % of {reference}."
            for channel, part in zip(header.channels, prepared.coverage, strict=True)
            if part < 1
        ]

    def _origins(self) -> Mapping[str, str]:
        return self.facts.origins(self.session.choice) if self.session.choice else {}

    def _provenance(self, choice: Choice) -> Provenance:
        return keeping.provenance(self.session, partial(self.facts.origins, choice))


def _page(groups: Mapping[str, Sequence[QWidget]]) -> QScrollArea:
    inside = QWidget()
    layout = QVBoxLayout(inside)
    layout.setContentsMargins(6, 6, 6, 6)
    for title, widgets in groups.items():
        group = QGroupBox(title)
        rows = QVBoxLayout(group)
        rows.setContentsMargins(6, 8, 6, 6)
        for widget in widgets:
            rows.addWidget(widget)
        layout.addWidget(group)
    layout.addStretch()
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setWidget(inside)
    return scroll

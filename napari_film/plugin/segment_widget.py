"""The dock *FiLM segmentation*: wiring between the session, its editors and the viewer.

What is chosen and computed is the session's, the layers are `OpenedLayers`' to tend; here they are put together. All of
it runs on the main thread: the engine's thread only rings a bell.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_error, show_info
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QGroupBox, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_film.atomic import write_text
from napari_film.bundled import bundled_checkpoints
from napari_film.errors import InputError
from napari_film.header import Header
from napari_film.inference import sidecar
from napari_film.inference.plan import Plan
from napari_film.inference.prediction import joint_mask
from napari_film.plugin.appearance import Appearance
from napari_film.plugin.channel_form import ChannelForm
from napari_film.plugin.checkpoint_picker import CheckpointPicker
from napari_film.plugin.layers import GeometryNeeded, demo_model, volume_from_layer
from napari_film.plugin.metadata_form import MetadataForm
from napari_film.plugin.model_card import ModelCard
from napari_film.plugin.opened_layers import OpenedLayers
from napari_film.plugin.preferences import Preferences, preferences
from napari_film.plugin.run_panel import RunPanel
from napari_film.plugin.session import SegmentationSession, State
from napari_film.plugin.slice_view import SliceView
from napari_film.plugin.voxel_size_dialog import ask_voxel_size
from napari_film.volume import Volume

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image, Layer


_WIDTH = 340  # px: a field's name and its value side by side


class _Bell(QObject):
    """Carries the engine's call to the main thread: a signal between threads is delivered by Qt's event loop."""

    rung = Signal()


class SegmentWidget(QWidget):
    """Choose a model, images and metadata; segment; change a condition value and see the mask change."""

    def __init__(self, viewer: "napari.viewer.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._docked = False
        self._bell = _Bell()  # no child of the dock's: it must outlive the engine, which rings it
        # The person's own preferences are read with the first Segment: that takes napari longer than the dock takes to open.
        self.session = SegmentationSession(notify=self._bell.rung.emit, memory=Preferences().kept_masks_bytes)
        self._bell.rung.connect(self._drain)  # rung on the engine's thread, so Qt queues it
        self._arrived: list[int] = []  # slices of the shown mask that one drain brought

        self.picker = CheckpointPicker()
        self.card = ModelCard()
        self.channel_form = ChannelForm(viewer)
        self.metadata_form = MetadataForm()
        self.all_values = QCheckBox("All values in one mask")
        self.all_values.setObjectName("film_all_values")
        self.all_values.hide()
        self.run_panel = RunPanel()
        self.slice_view = SliceView(viewer)
        self.layers = OpenedLayers(viewer, self.slice_view)
        self.save_button = QPushButton("Save mask as NIfTI…")
        self.save_button.setObjectName("film_save")
        self.save_button.setEnabled(False)
        self._lay_out()
        self._wire()
        session = self.session
        self.destroyed.connect(lambda: session.close())  # with the viewer; `destroyed` comes with an argument
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
        """End everything: keep a whole mask as an ordinary layer, remove a part of one, end the engine's thread."""
        if self.session.state is State.CLOSED:
            return
        self.session.forget()
        self._viewer.layers.events.inserted.disconnect(self._layer_inserted)
        self.layers.close()
        self.slice_view.close_view()
        self.channel_form.close_form()
        self.session.close()
        self.setEnabled(False)

    def segment(self) -> None:
        """Segment the chosen images under the chosen metadata; a mask of the same images is shown anew, not twice."""
        with _told():
            layers = self.channel_form.value()
            volumes = self._volumes(layers)
            header = self.session.header
            if volumes is None or header is None:
                return
            chosen = [layer for layer in layers if layer is not None]
            if chosen == self.layers.channels:
                self.layers.drop_mask()
            self.session.forget()
            self.layers.open(chosen, header.preprocessing.slice_axis)
            wanted = preferences()
            self.session.set_memory(wanted.kept_masks_bytes)
            self.session.segment(volumes, device=wanted.device, precision=wanted.precision)

    def save(self, path: Path) -> None:
        """Write the shown mask and its sidecar.

        Raises
        ------
        InputError
            If there is no mask, or the file cannot be written.
        """
        from napari_film import nifti

        results = self.session.results
        if results is None or not any(prediction.kept.computed.any() for prediction in results.predictions()):
            raise InputError("There is no mask to save; press Segment first.")
        predictions = results.predictions()
        mask = joint_mask(predictions)
        content = self._describe(mask)
        nifti.write(path, mask, predictions[0].prepared.reference, names=sidecar.label_names(results.choice.header, predictions))
        write_text(sidecar.sidecar_path(path), sidecar.to_json(content))

    def _lay_out(self) -> None:
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(6, 6, 6, 6)
        groups: dict[str, list[QWidget]] = {
            "Model": [self.picker, self.card],
            "Images": [self.channel_form],
            "Metadata": [self.metadata_form, self.all_values],
            "Segmentation": [self.run_panel, self.save_button],
            "View": [self.slice_view],
        }
        for title, widgets in groups.items():
            group = QGroupBox(title)
            rows = QVBoxLayout(group)
            rows.setContentsMargins(6, 8, 6, 6)
            for widget in widgets:
                rows.addWidget(widget)
            layout.addWidget(group)
        layout.addStretch()
        scroll = QScrollArea()
        scroll.setMinimumWidth(_WIDTH)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def _wire(self) -> None:
        session = self.session
        self.picker.valueChanged.connect(self._checkpoint_chosen)
        self.channel_form.valueChanged.connect(self._channels_chosen)
        self.metadata_form.valueChanged.connect(self._metadata_chosen)
        self.all_values.toggled.connect(self._all_values_toggled)
        self.run_panel.segment_clicked.connect(self.segment)
        self.run_panel.cancel_clicked.connect(session.cancel)
        self.save_button.clicked.connect(self._save_clicked)
        self.layers.left.connect(self._layers_left)
        self.layers.moved.connect(session.set_visible)
        session.checkpoint_changed.connect(self._show_checkpoint)
        session.metadata_changed.connect(self.metadata_form.setValue)
        session.state_changed.connect(self.run_panel.setState)
        session.progress_changed.connect(self._show_progress)
        session.plan_changed.connect(self._show_plan)
        session.shown_changed.connect(self._show_mask)
        session.slice_changed.connect(self._arrived.append)
        session.released.connect(self._release)
        session.told.connect(show_info)
        session.failed.connect(show_error)
        self._viewer.layers.events.inserted.connect(self._layer_inserted)

    # what a person does

    def _checkpoint_chosen(self, path: Path | None) -> None:
        with _told():
            self.session.set_checkpoint(path)
        self.picker.setValue(self.session.checkpoint)  # the former one where the file was refused

    def _channels_chosen(self, layers: Sequence["Image | None"]) -> None:
        if self.layers.channels and list(layers) != self.layers.channels:
            self.session.forget()

    def _metadata_chosen(self, values: dict[str, Any]) -> None:
        with _told():
            self.session.set_metadata(values)
        self.metadata_form.setValue(self.session.metadata)  # the former ones where these were refused

    def _all_values_toggled(self, on: bool) -> None:
        header = self.session.header
        if header is not None and header.metadata_schema.target is not None:
            self.metadata_form.setFieldEnabled(header.metadata_schema.target.name, not on)
        self.session.set_all_values(on)

    def _layers_left(self, sentence: str) -> None:
        self.session.forget()
        if sentence:
            show_info(sentence)

    def _volumes(self, layers: Sequence["Image | None"]) -> list[Volume] | None:
        """Give the chosen images; None where the person did not want to say how large the voxels are."""
        header = self.session.header
        if header is None:
            raise InputError("No model is chosen; choose one first.")
        volumes = []
        for layer, channel in zip(layers, header.channels, strict=True):
            if layer is None:
                raise InputError(f"No image is chosen for {channel.name}; open one and choose it.")
            try:
                volumes.append(volume_from_layer(layer))
            except GeometryNeeded:
                if not ask_voxel_size(layer, self):
                    return None
                volumes.append(volume_from_layer(layer))
        return volumes

    def _save_clicked(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Save mask", "mask.nii.gz", "NIfTI (*.nii.gz *.nii)")
        if chosen:
            with _told():
                self.save(Path(chosen))

    def _layer_inserted(self, event: Any) -> None:
        self._offer_demo_model(event.value)

    def _offer_demo_model(self, layer: "Layer") -> None:
        """Choose the demo model of a sample that was opened, where nobody has chosen another or computed anything yet."""
        bundled = bundled_checkpoints()
        model = bundled.get(demo_model(layer) or "")
        idle = self.session.prepared is None and self.session.state in (State.EMPTY, State.READY)
        if model is not None and idle and self.session.checkpoint in {None, *bundled.values()} - {model}:
            self._checkpoint_chosen(model)

    # what the session says

    def _drain(self) -> None:
        self.session.drain()
        slices, self._arrived[:] = list(self._arrived), []
        results = self.session.results
        if slices and results is not None:
            self.layers.put(slices, [results.mask(slice(i, i + 1))[0] for i in slices])
            if results.complete:
                self.layers.describe(self._appearance())

    def _show_checkpoint(self, header: Header | None) -> None:
        self.card.setValue(header)
        self.channel_form.setChannels(header.channels if header else ())
        self.metadata_form.setSchema(header.metadata_schema if header else None)
        self.all_values.setChecked(False)
        self.all_values.setVisible(header is not None and header.metadata_schema.target is not None)

    def _show_plan(self, plan: Plan | None) -> None:
        checked = self.session.checked
        self.run_panel.setPlan(plan, checked=checked)
        notices = [notice for notice in self.session.notices if notice != checked]  # that one is good to know, and no warning
        self.run_panel.setBanner([*notices, *self._coverage()])

    def _show_progress(self, done: int, total: int) -> None:
        self.run_panel.setProgress(done, total)
        self.save_button.setEnabled(done > 0)

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

    def _show_mask(self) -> None:
        self._arrived.clear()
        results = self.session.results
        if results is not None and self.layers.channels:
            self.layers.show(results.mask(), self._appearance(), results.opened.prepared)

    def _appearance(self) -> Appearance:
        results = self.session.results
        if results is None:
            raise InputError("There is no mask to describe; press Segment first.")
        return Appearance.of(results.predictions(), results.choice.header, partial(self._describe, None))

    def _describe(self, mask: NDArray[np.uint8] | None) -> dict[str, Any]:
        """How the shown mask came to be, with the volumes in ``mask`` (I, J, K)."""
        results, checkpoint = self.session.results, self.session.checkpoint
        if results is None or checkpoint is None:
            raise InputError("There is no mask to describe; press Segment first.")
        return sidecar.describe(
            results.predictions(),
            mask,
            results.choice.header,
            model=checkpoint.name,
            model_hash=self.session.model_hash,
            sources=self.session.sources,
        )

    def _release(self, complete: bool) -> None:
        self._arrived.clear()
        self.layers.release(complete=complete)


@contextmanager
def _told() -> Iterator[None]:
    """Show what a person gave wrongly as a sentence."""
    try:
        yield
    except InputError as error:
        show_error(str(error))

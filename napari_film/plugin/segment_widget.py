"""The dock *FiLM segmentation*: wiring between the session, its editors and the viewer.

What is chosen and computed is the session's, what is drawn is the mask layer's; here they are put together. All of it
runs on the main thread: the engine's thread only rings a bell.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QGroupBox, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_film.atomic import write_text
from napari_film.bundled import bundled_checkpoints
from napari_film.errors import InputError
from napari_film.header import Header
from napari_film.inference import sidecar
from napari_film.inference.plan import Plan
from napari_film.inference.prediction import Prediction, joint_mask
from napari_film.plugin.channel_form import ChannelForm
from napari_film.plugin.checkpoint_picker import CheckpointPicker
from napari_film.plugin.layers import GeometryNeeded, demo_model, geometry_of, volume_from_layer
from napari_film.plugin.mask_layer import MaskLayer
from napari_film.plugin.metadata_form import MetadataForm
from napari_film.plugin.model_card import ModelCard
from napari_film.plugin.preferences import preferences
from napari_film.plugin.resliced_layer import ReslicedLayer
from napari_film.plugin.run_panel import RunPanel
from napari_film.plugin.session import SegmentationSession, State
from napari_film.plugin.slice_view import SliceView
from napari_film.plugin.voxel_size_dialog import ask_voxel_size
from napari_film.volume import Volume

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image, Layer


_IDLE = 15  # ms between slices that are resampled for display while nothing else is to do
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
        wanted = preferences()
        self.session = SegmentationSession(notify=self._bell.rung.emit, memory=wanted.kept_masks_bytes)
        self._bell.rung.connect(self._drain)  # rung on the engine's thread, so Qt queues it
        self._mask: MaskLayer | None = None
        self._channels: list[Image] = []  # the layers that were opened, the reference first
        self._resliced: list[ReslicedLayer] = []  # stand for channels that are on another grid than the reference
        self._idle = QTimer(self)
        self._idle.setInterval(_IDLE)
        self._idle.timeout.connect(self._reslice_next)
        self._arrived: list[int] = []  # slices of the shown mask that one drain brought

        self.picker = CheckpointPicker()
        self.card = ModelCard()
        self.channel_form = ChannelForm(viewer)
        self.metadata_form = MetadataForm()
        self.all_values = QCheckBox("All values in one mask")
        self.all_values.hide()
        self.run_panel = RunPanel()
        self.run_panel.setPlan(None, wanted=wanted.device)
        self.slice_view = SliceView(viewer)
        self.save_button = QPushButton("Save mask as NIfTI…")
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
        self.session.forget()
        self._viewer.layers.events.removed.disconnect(self._layer_removed)
        self._viewer.layers.events.inserted.disconnect(self._layer_inserted)
        self._viewer.dims.events.current_step.disconnect(self._slice_moved)
        self.slice_view.close_view()
        self.channel_form.close_form()
        self.session.close()

    def segment(self) -> None:
        """Segment the chosen images under the chosen metadata."""
        with _told():
            layers = self.channel_form.value()
            volumes = self._volumes(layers)
            if volumes is None:
                return
            self.session.forget()
            self._channels = [layer for layer in layers if layer is not None]
            self._slice_moved()
            self.session.segment(volumes, device=preferences().device)

    def save(self, path: Path) -> None:
        """Write the shown mask and its sidecar.

        Raises
        ------
        InputError
            If there is no mask, or the file cannot be written.
        """
        from napari_film import nifti

        predictions = self.session.predictions()
        if not predictions or self.session.header is None:
            raise InputError("There is no mask to save; press Segment first.")
        mask = joint_mask(predictions)
        content = self._sidecar(predictions)
        nifti.write(path, mask, predictions[0].prepared.reference, names=sidecar.label_names(self.session.header, predictions))
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
        self.all_values.toggled.connect(session.set_all_values)
        self.run_panel.segment_clicked.connect(self.segment)
        self.run_panel.cancel_clicked.connect(session.cancel)
        self.save_button.clicked.connect(self._save_clicked)
        session.checkpoint_changed.connect(self._show_checkpoint)
        session.metadata_changed.connect(self.metadata_form.setValue)
        session.state_changed.connect(self.run_panel.setState)
        session.progress_changed.connect(self._show_progress)
        session.plan_changed.connect(self._show_plan)
        session.shown_changed.connect(self._show_mask)
        session.slice_changed.connect(self._arrived.append)
        session.released.connect(self._release_mask)
        session.told.connect(show_info)
        session.failed.connect(show_error)
        self._viewer.layers.events.inserted.connect(self._layer_inserted)
        self._viewer.layers.events.removed.connect(self._layer_removed)
        self._viewer.dims.events.current_step.connect(self._slice_moved)

    # what a person does

    def _checkpoint_chosen(self, path: Path | None) -> None:
        with _told():
            self.session.set_checkpoint(path)

    def _channels_chosen(self, layers: Sequence["Image | None"]) -> None:
        if self._channels and list(layers) != self._channels:
            self.session.forget()

    def _metadata_chosen(self, values: dict[str, Any]) -> None:
        with _told():
            self.session.set_metadata(values)

    def _slice_moved(self, event: Any = None) -> None:
        if self._channels and self.session.header is not None:
            index = self.slice_view.visible_slice(self._channels[0], self.session.header.preprocessing.slice_axis)
            if index is not None:
                self.session.set_visible(index)
                for resliced in self._resliced:
                    resliced.fill(index)

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
        """Choose the demo model of a sample that was opened, where nobody has chosen or computed anything yet."""
        model = bundled_checkpoints().get(demo_model(layer) or "")
        if model is not None and self.session.prepared is None and self.session.state in (State.EMPTY, State.READY):
            self._checkpoint_chosen(model)

    def _layer_removed(self, event: Any) -> None:
        if self._mask is not None and event.value is self._mask.layer:
            self._mask = None
            self.session.forget()
        elif event.value in self._channels:
            self.session.forget()

    # what the session says

    def _drain(self) -> None:
        self.session.drain()
        if self._arrived and self._mask is not None:
            slices, self._arrived[:] = list(self._arrived), []
            self._mask.put(slices, [self.session.mask(slice(i, i + 1))[0] for i in slices], seen=self._seen(slices))
            if self.session.predictions() and all(prediction.kept.complete for prediction in self.session.predictions()):
                self._show_mask()  # now with volumes in ml and without the veil among its names
        self._arrived.clear()

    def _seen(self, slices: Sequence[int]) -> bool:
        header = self.session.header
        if header is None or not self._channels or self._viewer.dims.ndisplay == 3:
            return True
        index = self.slice_view.visible_slice(self._channels[0], header.preprocessing.slice_axis)
        return index is None or index in slices

    def _show_checkpoint(self, header: Header | None) -> None:
        self.card.setValue(header)
        self.channel_form.setChannels(header.channels if header else ())
        self.metadata_form.setSchema(header.metadata_schema if header else None)
        self.all_values.setChecked(False)
        self.all_values.setVisible(header is not None and header.metadata_schema.target is not None)
        self.picker.setValue(self.session.checkpoint)

    def _show_plan(self, plan: Plan | None) -> None:
        self.run_panel.setPlan(plan, wanted=preferences().device)
        self.run_panel.setBanner(self.session.notices)
        self.save_button.setEnabled(plan is not None)

    def _show_progress(self, done: int, total: int) -> None:
        self.run_panel.setProgress(done, total)

    def _show_mask(self) -> None:
        predictions, header = self.session.predictions(), self.session.header
        if not predictions or header is None or not self._channels:
            return
        self._arrived.clear()
        mask = self.session.mask()
        axis = header.preprocessing.slice_axis
        if self._mask is None:
            reference = self._channels[0]
            self._reslice(reference)
            self._mask = MaskLayer(reference, geometry_of(reference), axis, mask)
            order = tuple(self._viewer.dims.order)
            self.slice_view.turn_to(reference, axis)
            if tuple(self._viewer.dims.order) != order:
                self._viewer.reset_view()
            self._mask.show(mask, **self._appearance(predictions, header))
            self._viewer.layers.selection.active = self._viewer.add_layer(self._mask.layer)
        else:
            self._mask.show(mask, **self._appearance(predictions, header))

    def _appearance(self, predictions: Sequence[Prediction], header: Header) -> dict[str, Any]:
        choices = header.metadata_schema.target or next(iter(header.metadata_schema), None)
        value = predictions[0].metadata.values[choices.name] if choices else None
        values = (
            ["all " + choices.name + " values"]
            if choices and len(predictions) > 1
            else [str(v) for v in predictions[0].metadata.values.values()]
        )
        place = choices.choices.index(value) if choices and hasattr(choices, "choices") else 0
        complete = all(prediction.kept.complete for prediction in predictions)
        return {
            "name": f"{header.classes[0] if len(header.classes) == 1 else header.name}: {', '.join(values) or 'no metadata'}",
            "names": sidecar.label_names(header, predictions),
            "first_colour": 0 if len(predictions) > 1 else place,
            "result": {"sidecar": self._sidecar(predictions)} if complete else {"sidecar": None},
        }

    def _sidecar(self, predictions: Sequence[Prediction]) -> dict[str, Any]:
        header = self.session.header
        checkpoint = self.session.checkpoint
        if header is None or checkpoint is None:
            raise InputError("There is no mask to describe; press Segment first.")
        return sidecar.describe(
            predictions,
            joint_mask(predictions),
            header,
            model=checkpoint.name,
            model_hash=self.session.model_hash,
            sources=self.session.sources,
        )

    def _reslice(self, reference: "Image") -> None:
        """Show the other channels on the reference's grid, as the network sees them."""
        prepared = self.session.prepared
        if prepared is None or len(prepared.channels) != len(self._channels):
            return  # the channels of one 4D image are on one grid
        for layer, channel in zip(self._channels, prepared.channels, strict=True):
            if not channel.aligned:
                resliced = ReslicedLayer(layer, reference, geometry_of(reference), prepared, channel)
                self._resliced.append(resliced)
                self._viewer.add_layer(resliced.layer)
        self._slice_moved()
        if self._resliced:
            self._idle.start()

    def _reslice_next(self) -> None:
        unfinished = [resliced for resliced in self._resliced if not resliced.complete]
        if unfinished:
            unfinished[0].fill(None)
        else:
            self._idle.stop()

    def _release_mask(self, predictions: Sequence[Prediction]) -> None:
        """Let a whole mask stay as an ordinary layer, and take a part of one away."""
        mask, self._mask = self._mask, None
        resliced, self._resliced = self._resliced, []
        self._channels = []
        self._idle.stop()
        for stand_in in resliced:
            stand_in.give_back()
            if stand_in.layer in self._viewer.layers:
                self._viewer.layers.remove(stand_in.layer)
        if mask is not None and not all(prediction.kept.complete for prediction in predictions) and mask.layer in self._viewer.layers:
            self._viewer.layers.remove(mask.layer)


@contextmanager
def _told() -> Iterator[None]:
    """Show what a person gave wrongly as a sentence."""
    try:
        yield
    except InputError as error:
        show_error(str(error))

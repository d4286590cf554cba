"""The noise floor, wired: several checkpoints of one experiment over the chosen images, as an errand, and the layers of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.notifications import show_error
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from napari_film.errors import InputError
from napari_film.header import Header
from napari_film.plugin.appearance import summary
from napari_film.plugin.errands import Cancelled, Errands
from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.plugin.layers import geometry_of, mask_layer_kwargs
from napari_film.plugin.map_layers import rising
from napari_film.plugin.mask_layer import OPACITY, palette
from napari_film.plugin.model_inputs import inputs
from napari_film.plugin.noise_panel import NoisePanel
from napari_film.plugin.opened_layers import OpenedLayers
from napari_film.plugin.preferences import preferences
from napari_film.plugin.session import SegmentationSession
from napari_film.volume import SliceAxis

if TYPE_CHECKING:
    import napari.viewer

    from napari_film.comparison.noise_floor import NoiseFloor

_TOPIC = "noise floor"
_BEYOND = 4  # place in COLOURS: yellow


class Retraining(QObject):
    """Runs what ``panel`` asks for and shows it."""

    def __init__(self, viewer: "napari.viewer.Viewer", session: SegmentationSession, errands: Errands, images: OpenedLayers) -> None:
        super().__init__(images)
        self._viewer = viewer
        self._session = session
        self._errands = errands
        self._images = images
        self.panel = NoisePanel()
        self.panel.compute_clicked.connect(self.compute)
        self.panel.cancel_clicked.connect(self.cancel)
        session.checkpoint_changed.connect(self._show_checkpoint)
        session.choices_changed.connect(self._show_pair)
        session.released.connect(lambda _: self.cancel())
        self._show_checkpoint(None)

    def compute(self, checkpoints: Sequence[Path]) -> None:
        """Run all ``checkpoints`` under the metadata of A and of B."""
        layers, choices = self._images.channels, self._session.choices
        if not layers or not choices:
            show_error("No images are open yet; press Segment first, then the noise floor can be computed.")
            return
        if choices["A"].conditions() == choices["B"].conditions():
            show_error("A and B have the same metadata, so there is no difference to hold against retraining; choose another value in one.")
            return
        if any(choice.mixture or choice.all_values for choice in choices.values()):
            show_error("The noise floor is that of one value in A and one in B; choose single values there.")
            return
        try:
            volumes, _ = inputs(layers, choices["A"].header)
        except InputError as error:
            show_error(str(error))
            return
        a, b = choices["A"].metadata, choices["B"].metadata
        names = summary(choices["A"]), summary(choices["B"])
        axis, wanted, reference = self._images.slice_axis, preferences(), layers[0]

        def work(cancelled: Cancelled) -> "NoiseFloor | None":
            from napari_film.comparison.noise_floor import noise_floor  # and torch: on the thread of errands

            return noise_floor(
                list(checkpoints),
                volumes,
                a,
                b,
                device=wanted.device,
                precision=wanted.precision,
                progress=self._teller(),
                cancelled=cancelled,
            )

        def done(floor: "NoiseFloor | None") -> None:
            self.panel.setBusy(False)
            if floor is not None and reference in self._viewer.layers:
                self._show(floor, reference, axis, names)

        def failed(sentence: str) -> None:
            self.panel.setBusy(False)
            show_error(sentence)

        self.panel.setBusy(True)
        self._errands.submit(_TOPIC, work, done, failed)

    def cancel(self) -> None:
        """Stop; nothing is shown of what was computed."""
        self._errands.cancel(_TOPIC)
        self.panel.setBusy(False)

    def _teller(self) -> Callable[[int, int], None]:
        def tell(done: int, total: int) -> None:
            self._errands.tell(lambda: self.panel.setProgress(done, total))

        return tell

    def _show(self, floor: "NoiseFloor", reference: Image, axis: SliceAxis, names: tuple[str, str]) -> None:
        """Add the averages of A and B, what retraining alone moves, and where the difference goes beyond it."""
        geometry = geometry_of(reference)
        count = len(floor.names)
        classes = len(floor.beyond)
        for first, (slot, name, mask) in enumerate((("A", names[0], floor.mask_a()), ("B", names[1], floor.mask_b()))):
            self._labels(reference, geometry, axis, mask, f"{slot} · {name}: average of {count} trainings", palette(first, classes))
        moved = np.max(floor.floor, axis=0).astype(np.float32) / 256
        self._viewer.add_layer(
            Image(
                np.ascontiguousarray(geometry.to_layer(moved, axis)),
                contrast_limits=(0.0, 1.0),
                colormap=rising("magma"),
                visible=False,
                rgb=False,
                **_stand_in(reference, f"noise floor of {count} trainings"),
            )
        )
        beyond = np.where(floor.beyond.any(axis=0), 1 + floor.beyond.argmax(axis=0), 0).astype(np.uint8)
        self._labels(reference, geometry, axis, beyond, f"A − B beyond retraining ({count} trainings)", palette(_BEYOND, classes))

    def _labels(
        self, reference: Image, geometry: LayerGeometry, axis: SliceAxis, mask: NDArray[np.uint8], name: str, colours: dict[int | None, Any]
    ) -> None:
        data = np.ascontiguousarray(geometry.to_layer(mask, axis))
        arguments = mask_layer_kwargs(reference, name=name)
        self._viewer.add_layer(Labels(data, opacity=OPACITY, colormap=DirectLabelColormap(color_dict=colours), **arguments))

    def _show_checkpoint(self, header: Header | None) -> None:
        self.cancel()
        self.panel.setCurrent(self._session.checkpoint)
        offered = header is not None and any(field.role == "context" for field in header.metadata_schema)
        why = "" if offered else "Choose a model with a context field." if header is None else "This model has no context field to compare."
        self.panel.setOffered(offered, why)
        self._show_pair()

    def _show_pair(self) -> None:
        choices = self._session.choices
        self.panel.setPair(*(summary(choices[slot]) for slot in ("A", "B")) if choices else ("", ""))


def _stand_in(reference: Image, name: str) -> dict[str, Any]:
    arguments = mask_layer_kwargs(reference, name=name)
    arguments["metadata"]["napari_film"]["stand_in"] = True  # for a person to look at, not to be segmented
    return arguments

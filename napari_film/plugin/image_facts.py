"""What is known of the chosen images before anything is computed: their files' metadata, and what about them is unusual.

Fills the metadata in for both slots when other images or another model are chosen; what a person chose afterwards stays.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QLabel, QWidget

from napari_film.bids import FoundMetadata, find_metadata
from napari_film.errors import InputError
from napari_film.plausibility import unusual
from napari_film.plugin.layers import has_geometry, path_of, volume_from_layer
from napari_film.plugin.metadata_form import MetadataForm
from napari_film.plugin.session import SegmentationSession
from napari_film.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Image

_REST = 100  # ms after the last change
_NOTHING = FoundMetadata({}, ())


class ImageFacts(QObject):
    """Looks at the images that are chosen, and says what it finds in ``line``."""

    def __init__(self, session: SegmentationSession, form: MetadataForm, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._form = form
        self._layers: list[Image] = []
        self._looked_at: tuple[Path | None, Path | None] = (None, None)  # image and checkpoint
        self._found = _NOTHING
        self.line = QLabel()
        self.line.setObjectName("film_unusual")
        self.line.setWordWrap(True)
        self.line.hide()
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST)
        self._rest.timeout.connect(self._judge)
        session.metadata_changed.connect(lambda _: self._rest.start())

    @property
    def paths(self) -> list[Path | None]:
        """The files of the images, one per channel; None for one that is of no file."""
        return [path_of(layer) for layer in self._layers]

    def look_at(self, layers: "Sequence[Image | None]") -> None:
        """Take note of the chosen images, the reference first; fills metadata in where there are other images or another model."""
        self._layers = [layer for layer in layers if layer is not None] if layers and layers[0] is not None else []
        path = path_of(self._layers[0]) if self._layers else None
        now = (path, self._session.checkpoint)
        if now != self._looked_at:
            self._looked_at = now
            self._fill(path)
        self._rest.start()

    def _fill(self, path: Path | None) -> None:
        header = self._session.header
        self._found = find_metadata(path, header.metadata_schema) if path is not None and header is not None else _NOTHING
        self._form.setOrigins(self._found.values)
        values = {name: found.value for name, found in self._found.values.items()}
        if header is None or not values:
            return
        self._session.set_metadata({**self._session.choices["A"].metadata, **values}, "A")
        self._session.set_metadata(self._session.choices["A"].another().metadata, "B")
        self._form.setValue(self._session.metadata, origins={name: found.origin for name, found in self._found.values.items()})

    def _judge(self) -> None:
        """Hold the images against those of the training."""
        header, volumes = self._session.header, self._volumes()
        lines = [*self._found.notices]
        if header is not None and volumes and len(volumes) == len(header.channels):
            lines += unusual(volumes, header, self._session.metadata)
        self.line.setText("\n".join(f"⚠ {line}" for line in lines))
        self.line.setVisible(bool(lines))

    def _volumes(self) -> list[Volume]:
        """The images as far as that costs nothing: of what is computed when it is asked for, only Segment reads the voxels."""
        try:
            if all(_is_at_hand(layer) for layer in self._layers):
                return [volume_from_layer(layer) for layer in self._layers]
        except InputError:  # what is wrong with them is said when they are to be segmented
            pass
        return []


def _is_at_hand(layer: "Image") -> bool:
    return has_geometry(layer) and not layer.multiscale and isinstance(layer.data, np.ndarray)

"""What is known of the chosen images before anything is computed: their files' metadata, and what about them is unusual.

Fills the metadata in for both slots when other images or another model are chosen; what a person chose afterwards stays. Which
values a person chose is known for each slot: of the slot that is edited by the form, of the other one here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QLabel, QWidget

from napari_film.bids import FoundMetadata, find_metadata
from napari_film.errors import InputError
from napari_film.header import Header
from napari_film.plausibility import unusual
from napari_film.plugin.choice import Choice
from napari_film.plugin.layers import has_geometry, path_of
from napari_film.plugin.metadata_form import MetadataForm
from napari_film.plugin.model_inputs import inputs, rows
from napari_film.plugin.selection import SLOTS, Slot
from napari_film.plugin.session import SegmentationSession
from napari_film.plugin.value_origin import DEFAULT, YOU, origin_of
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
        self._slot: Slot = session.slot  # the one that the form shows
        self._by_person: dict[Slot, set[str]] = {slot: set() for slot in SLOTS}
        self.line = QLabel()
        self.line.setObjectName("film_unusual")
        self.line.setWordWrap(True)
        self.line.hide()
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST)
        self._rest.timeout.connect(self._judge)
        session.checkpoint_changed.connect(lambda _: self._forget())
        session.choices_changed.connect(self._follow_slot)
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

    def chosen(self, name: str) -> None:
        """Take note that a person chose the value of the field ``name``, elsewhere than in the form."""
        self._form.setValue(self._session.metadata, origins={name: YOU})

    def origins(self, choice: Choice) -> dict[str, str]:
        """Where each condition value of ``choice`` is from, be it that of a slot or one that is compared.

        What stands in place of a single value, weights or all values, a person chose.
        """
        header = choice.header
        slot = next((slot for slot, own in self._session.choices.items() if own is choice), None)
        persons = self._persons(slot) if slot else set()
        target = header.metadata_schema.target if choice.all_values else None
        persons |= {name for name in (choice.mixture.field if choice.mixture else None, target.name if target else None) if name}
        return {
            field.name: origin_of(
                choice.metadata[field.name],
                default=field.default,
                found=self._found.values.get(field.name),
                by_person=field.name in persons,
            ).name
            for field in header.metadata_schema
        }

    def _persons(self, slot: Slot) -> set[str]:
        """The fields of a slot whose values a person chose."""
        return set(self._by_person[slot]) if slot != self._slot else self._form.byPerson()

    def _forget(self) -> None:
        """Begin anew with another model: what a person chose was chosen of its fields."""
        self._found, self._looked_at, self._slot = _NOTHING, (None, None), self._session.slot
        self._by_person = {slot: set() for slot in SLOTS}

    def _follow_slot(self) -> None:
        """Give the form what is known of the slot that is edited now."""
        slot = self._session.slot
        if slot == self._slot:
            return
        self._by_person[self._slot] = self._persons(self._slot)
        self._slot = slot
        metadata = self._session.metadata
        self._form.setValue(metadata, origins={name: YOU if name in self._by_person[slot] else DEFAULT for name in metadata})

    def _fill(self, path: Path | None) -> None:
        header = self._session.header
        former, self._found = self._found.values, _NOTHING
        if path is not None and header is not None:
            self._found = find_metadata(path, header.metadata_schema)
        self._form.setOrigins(self._found.values)
        if header is None:
            return
        # What the files of other images said is not true of these.
        gone = {name: header.metadata_schema[name].default for name in former if name not in self._persons("A")}
        values = gone | {name: found.value for name, found in self._found.values.items()}
        if not values:
            return
        self._by_person = {slot: persons - values.keys() for slot, persons in self._by_person.items()}
        self._session.set_metadata({**self._session.choices["A"].metadata, **values}, "A")
        self._session.set_metadata(self._session.choices["A"].another().metadata, "B")
        self._form.setValue(self._session.metadata, origins=dict.fromkeys(values, DEFAULT))

    def _judge(self) -> None:
        """Hold the images against those of the training."""
        header, lines = self._session.header, [*self._found.notices]
        if header is not None and (volumes := self._volumes(header)):
            lines += unusual(volumes, header, self._session.metadata)
        self.line.setText("\n".join(f"⚠ {line}" for line in lines))
        self.line.setVisible(bool(lines))

    def _volumes(self, header: Header) -> list[Volume]:
        """The images as far as that costs nothing: of what is computed when it is asked for, only Segment reads the voxels."""
        try:
            if len(self._layers) == len(rows(header)) and all(_is_at_hand(layer) for layer in self._layers):
                return inputs(self._layers, header)[0]
        except InputError:  # what is wrong with them is said when they are to be segmented
            pass
        return []


def _is_at_hand(layer: "Image") -> bool:
    return has_geometry(layer) and not layer.multiscale and isinstance(layer.data, np.ndarray)

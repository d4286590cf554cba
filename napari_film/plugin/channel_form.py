"""The editor of a model's images: one layer combo per channel, or one for the colours of a picture."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from magicgui.widgets import create_widget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QWidget

from napari_film.bids import likeness
from napari_film.header import Channel
from napari_film.plugin.layers import METADATA_KEY, is_stand_in

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image


class ChannelForm(QWidget):
    """Offers the viewer's Image layers, one combo a channel; ``valueChanged`` is emitted with the list of layers.

    Layers are guessed from BIDS suffixes and names, where a person has not chosen; a guess never takes a layer twice, and one of
    another kind than is wanted, such as a picture for a volume, only where there is nothing else. It is made anew when a layer comes
    that fits better, so that the order of files makes no difference, until `keep` is called.
    """

    valueChanged = Signal(list)

    def __init__(self, viewer: "napari.viewer.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._channels: tuple[Channel, ...] = ()
        self._suits: Callable[[Image], bool] = _all_do
        self._combos: list[Any] = []
        self._guessed: set[int] = set()  # places of channels whose layer nobody chose
        self._last: list[Image | None] = []
        self._layout = QFormLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        viewer.layers.events.inserted.connect(self._layers_changed)
        viewer.layers.events.removed.connect(self._layers_changed)
        viewer.layers.events.reordered.connect(self._layers_changed)
        viewer.layers.events.renamed.connect(self._layers_changed)
        self.setChannels(())

    def close_form(self) -> None:
        """Stop following the viewer."""
        events = self._viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered, events.renamed):
            emitter.disconnect(self._layers_changed)

    def setChannels(self, channels: Sequence[Channel], suits: "Callable[[Image], bool] | None" = None) -> None:
        """Show a combo for each channel, the layers guessed anew; ``suits`` says which layers are of the kind that is wanted."""
        while self._layout.rowCount():
            self._layout.removeRow(0)
        self._channels = tuple(channels)
        self._suits = suits or _all_do
        self._combos = []
        self._guessed = set()
        for place, channel in enumerate(self._channels):
            combo: Any = create_widget(
                annotation="napari.layers.Image", options={"choices": lambda _: self._images(), "nullable": True}, label=channel.name
            )
            combo.changed.connect(partial(self._chosen, place))
            native: QWidget = combo.native
            native.setToolTip(channel.description or f"The image that the model takes as {channel.name}.")
            if isinstance(native, QComboBox):
                native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
                native.setMinimumContentsLength(8)
            self._combos.append(combo)
            self._layout.addRow(channel.name, native)
        if not self._combos:
            line = QLabel("Choose a model to see which images it takes.")
            line.setWordWrap(True)
            self._layout.addRow(line)
        self._guess()
        self._tell()

    def value(self) -> "list[Image | None]":
        """The chosen layer of each channel; None where there is none."""
        return [combo.value for combo in self._combos]

    def setValue(self, layers: "Sequence[Image | None]") -> None:
        """Choose a layer for each channel."""
        for combo, layer in zip(self._combos, layers, strict=True):
            combo.value = layer
        self.keep()
        self._tell()

    def keep(self) -> None:
        """Take what was guessed for chosen: once it is segmented, a layer that fits better is not to take its place."""
        self._guessed = set()

    def _images(self) -> "list[Image]":
        from napari.layers import Image

        return [layer for layer in self._viewer.layers if isinstance(layer, Image) and not is_stand_in(layer)]

    def _layers_changed(self, event: Any = None) -> None:
        images = self._images()
        for combo in self._combos:
            chosen = combo.value
            with combo.changed.blocked():
                combo.reset_choices()  # by name: a renamed layer is lost
                combo.value = chosen if chosen in images else None
        self._guess()
        self._tell()

    def _guess(self) -> None:
        """Fill the combos that nobody chose: the best pair of channel and layer first, and the only image for the only channel."""
        value = self.value()
        free = {place for place, layer in enumerate(value) if layer is None} | self._guessed
        taken = [layer for place, layer in enumerate(value) if place not in free]
        layers = [image for image in self._images() if image not in taken]
        pairs = sorted(
            # among layers that fit alike the one that was guessed before stays, and whatever it is called now it fits a little
            (
                not self._suits(image),
                -max(_likeness(image, self._channels[place]), int(image is value[place])),
                image is not value[place],
                place,
                number,
            )
            for number, image in enumerate(layers)
            for place in free
        )
        guessed: dict[int, Image] = {}
        for _, unlikeness, _, place, number in pairs:
            image = layers[number]
            if place not in guessed and image not in guessed.values() and (unlikeness < 0 or len(self._channels) == 1):
                guessed[place] = image
        for place in free:
            with self._combos[place].changed.blocked():
                self._combos[place].value = guessed.get(place)
        self._guessed = set(guessed)

    def _chosen(self, place: int, _: Any = None) -> None:
        self._guessed.discard(place)
        self._tell()

    def _tell(self, _: Any = None) -> None:
        value = self.value()
        if len(value) != len(self._last) or any(new is not old for new, old in zip(value, self._last, strict=True)):
            self._last = value
            self.valueChanged.emit(list(value))


def _all_do(_: "Image") -> bool:
    return True


def _likeness(image: "Image", channel: Channel) -> int:
    """How well the names of a layer and of its file fit a channel: by the suffix, the channel's name in them, the end of the suffix."""
    ours = image.metadata.get(METADATA_KEY, {})
    file_name = str(ours.get("file_name", "")) if isinstance(ours, dict) else ""
    names = [file_name.casefold(), str(image.name).casefold()]
    score = max(likeness("_".join(name.split()), channel.suffix) for name in names)
    if any(channel.name.casefold() in name for name in names):
        score += 30  # less than a contrast agent too many
    end = channel.suffix.casefold().split("_")[-1]
    return score + 5 * bool(end and any(end in name for name in names))

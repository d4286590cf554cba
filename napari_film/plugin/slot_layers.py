"""The masks of the two slots in the viewer, one faded into the other, and the difference between them."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Labels

from napari_film.inference.masks import NOT_COMPUTED
from napari_film.plugin.appearance import Appearance
from napari_film.plugin.difference_colours import DIFFERENCE_COLOURS
from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.plugin.live_array import BOTH, ONLY_A, ONLY_B, LiveDifference, LiveLabels, Source
from napari_film.plugin.mask_layer import OPACITY, VEIL, MaskLayer, palette
from napari_film.plugin.selection import SLOTS, Slot

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

_DIFFERENCE: dict[int | None, Any] = {
    **{label: colour.code for label, colour in zip((BOTH, ONLY_A, ONLY_B), DIFFERENCE_COLOURS, strict=True)},
    NOT_COMPUTED: VEIL,
    None: "transparent",
}
_FIRST = {"A": 0, "B": 1}  # place in COLOURS: orange and sky blue


class SlotLayers:
    """Layers of slots A and B, which come when they are first seen, and of their difference.

    What is set is seen once `arrange` is called, after what shall be seen was shown: so nothing is drawn twice.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        self._viewer = viewer
        self._reference: Image | None = None
        self._geometry: LayerGeometry | None = None
        self._labels = 1
        self._masks: dict[Slot, MaskLayer] = {}
        self._difference: MaskLayer | None = None
        self._fade = 0
        self._outline = False
        self._hidden = False
        self._compares = False
        self._aside = False

    def open(self, reference: "Image", geometry: LayerGeometry, labels: int) -> None:
        """Stand ready for masks of at most ``labels`` labels on the grid of ``reference``."""
        self._reference, self._geometry, self._labels = reference, geometry, labels

    @property
    def layers(self) -> list[Labels]:
        """The layers that there are."""
        return [mask.layer for mask in self._all()]

    def layer(self, slot: Slot) -> Labels | None:
        """The layer of a slot; None where it was not seen yet."""
        mask = self._masks.get(slot)
        return mask.layer if mask else None

    def mask(self, slot: Slot) -> MaskLayer | None:
        """The mask of a slot; None where it was not seen yet."""
        return self._masks.get(slot)

    @property
    def fade(self) -> int:
        """How far the view has faded from A (0) to B (100)."""
        return self._fade

    @property
    def compares(self) -> bool:
        """Whether the difference is shown in place of the masks."""
        return self._compares

    @property
    def needed(self) -> list[Slot]:
        """The slots whose masks are in view."""
        if self._compares:
            return list(SLOTS)
        return [slot for slot in SLOTS if self._opacity(slot) > 0]

    def show(self, slot: Slot, labels: Source, appearance: Appearance) -> None:
        """Show a mask in the layer of ``slot``."""
        if self._reference is None or self._geometry is None:
            return
        mask = self._masks.get(slot) or MaskLayer(self._reference, self._geometry, palette(_FIRST[slot], self._labels), name=slot)
        mask.show(labels, _in_slot(slot, appearance))
        if slot not in self._masks:
            self._masks[slot] = mask
            self._add(mask)

    def show_difference(self, a: LiveLabels, b: LiveLabels, names: tuple[str, str]) -> None:
        """Show where the masks of both slots differ."""
        if self._reference is None or self._geometry is None:
            return
        mask = self._difference or MaskLayer(self._reference, self._geometry, _DIFFERENCE, name="difference")
        labels = {BOTH: "both", ONLY_A: f"only A: {names[0]}", ONLY_B: f"only B: {names[1]}"}
        mask.show(LiveDifference(a, b), Appearance("A and B: difference", labels, {}, None))
        if self._difference is None:
            self._difference = mask
            self._add(mask)

    def set_fade(self, fade: int) -> None:
        """Fade from A alone (0) to B alone (100)."""
        self._fade = fade

    def set_outline(self, on: bool) -> None:
        """Draw outlines, or fill."""
        self._outline = on

    def set_hidden(self, on: bool) -> None:
        """Hide all masks, or show them again."""
        self._hidden = on

    def set_aside(self, on: bool) -> None:
        """Take all out of view while the grid has the canvas to itself: a layer that is seen has a cell there."""
        self._aside = on

    def set_difference(self, on: bool) -> None:
        """Show the difference in place of the masks, or these again."""
        self._compares = on
        if not on and self._difference is not None:
            self._remove(self._difference)
            self._difference = None

    def look_again(self, slots: Iterable[Slot]) -> None:
        """Draw anew what is in view of some slots; a person may have unveiled one that is out of view."""
        changed = set(slots)
        for slot in changed:
            if slot in self._masks and self._masks[slot].layer.visible:
                self._masks[slot].look_again()
        if changed and self._difference is not None and self._difference.layer.visible:
            self._difference.look_again()

    def lost(self, layer: Any) -> Slot | None:
        """Take note that ``layer`` was removed; give the slot that it showed."""
        for slot, mask in list(self._masks.items()):
            if mask.layer is layer:
                del self._masks[slot]
                return slot
        return None

    def lost_difference(self, layer: Any) -> bool:
        """Take note that ``layer`` was removed; give whether it was the difference."""
        if self._difference is None or self._difference.layer is not layer:
            return False
        self._difference = None
        return True

    def release(self, keep: Sequence[Slot], *, suffix: str = "") -> None:
        """Let masks of ``keep`` stay as ordinary layers, and take all others away."""
        masks, self._masks = self._masks, {}
        difference, self._difference = self._difference, None
        if difference is not None:
            self._remove(difference)
        for slot, mask in masks.items():
            if slot in keep:
                mask.release()
                mask.layer.name = f"{mask.layer.name.removeprefix(f'{slot} · ')}{suffix}"
                mask.layer.refresh()
            else:
                self._remove(mask)
        self._reference = self._geometry = None

    def _all(self) -> list[MaskLayer]:
        return [*self._masks.values(), *([self._difference] if self._difference else [])]

    def _opacity(self, slot: Slot) -> float:
        return OPACITY * (1 - self._fade / 100 if slot == "A" else self._fade / 100)

    def arrange(self) -> None:
        """Put into effect what was set."""
        seen = not (self._hidden or self._aside)
        for slot, mask in self._masks.items():
            opacity = self._opacity(slot)
            if opacity > 0:
                mask.want(opacity=opacity)
            mask.want(visible=seen and opacity > 0 and not self._compares)
        if self._difference is not None:
            self._difference.want(visible=seen)
        for mask in self._all():
            mask.want(contour=int(self._outline))

    def _add(self, mask: MaskLayer) -> None:
        self._viewer.layers.selection.active = self._viewer.add_layer(mask.layer)

    def _remove(self, mask: MaskLayer) -> None:
        if mask.layer in self._viewer.layers:
            self._viewer.layers.remove(mask.layer)


def _in_slot(slot: Slot, appearance: Appearance) -> Appearance:
    return Appearance(f"{slot} · {appearance.name}", appearance.names, appearance.metadata, appearance.sidecar)

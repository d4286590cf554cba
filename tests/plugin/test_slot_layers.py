"""The layers of A and B: faded into each other, outlined, hidden, and compared."""

import numpy as np
import pytest
from napari.layers import Labels
from numpy.testing import assert_array_equal

from napari_film.inference.masks import NOT_COMPUTED
from napari_film.plugin.appearance import Appearance
from napari_film.plugin.choice import Choice
from napari_film.plugin.difference_colours import DIFFERENCE_COLOURS
from napari_film.plugin.layers import geometry_of, label_names, layer_data_from_volume
from napari_film.plugin.live_array import BOTH, ONLY_A, ONLY_B, LiveArray, LiveLabels
from napari_film.plugin.mask_layer import OPACITY, provenance
from napari_film.plugin.slot_layers import SlotLayers

DIFFERENCE = "A and B: difference"


class Slots:
    """Slot layers on an image, with a mask of noise for each slot."""

    def __init__(self, viewer, volume, choice, compose):
        self.viewer = viewer
        data, arguments, _ = layer_data_from_volume(volume)
        self.image = viewer.add_image(data, **arguments)
        self.geometry = geometry_of(self.image)
        self.slots = SlotLayers(viewer)
        self.slots.open(self.image, self.geometry, 3)
        self.lives = {
            slot: LiveLabels(compose(choice, volume, seed=seed, missing=missing), self.geometry, "axial")
            for slot, seed, missing in (("A", 1, [2]), ("B", 2, [3]))
        }

    def show(self, *slots):
        for slot in slots:
            said = Appearance(f"lesion: {slot.lower()}", {1: slot.lower()}, {"site": slot.lower()}, lambda slot=slot: {"made": slot})
            self.slots.show(slot, self.lives[slot], said)
        self.slots.arrange()

    def show_difference(self):
        self.slots.set_difference(True)
        self.slots.show_difference(self.lives["A"], self.lives["B"], ("north", "south"))
        self.slots.arrange()

    def names(self):
        return [layer.name for layer in self.viewer.layers]

    def seen(self):
        """Names of the masks in view, with how opaque they are."""
        return {layer.name: pytest.approx(layer.opacity) for layer in self.viewer.layers if isinstance(layer, Labels) and layer.visible}


@pytest.fixture
def bench(make_napari_viewer_proxy, make_volume, make_header, site, compose):
    return Slots(make_napari_viewer_proxy(), make_volume((6, 7, 8)), Choice.first(make_header(site)), compose)


def test_layers_come_when_they_are_first_seen(bench):
    assert bench.slots.needed == ["A"]
    assert bench.slots.layers == []
    bench.show("A")
    assert bench.names() == ["noise", "A · lesion: a"]
    assert bench.viewer.layers.selection == {bench.slots.layer("A")}
    bench.show("A")
    assert bench.names() == ["noise", "A · lesion: a"]
    assert bench.slots.layer("B") is None
    assert_array_equal(bench.slots.layer("A").data, bench.lives["A"][...])


def test_a_and_b_have_colours_of_their_own(bench):
    bench.slots.set_fade(50)
    bench.show("A", "B")
    a, b = (bench.slots.layer(slot).colormap.map(np.array([1], np.uint8)) for slot in "AB")
    assert not np.allclose(a, b)


@pytest.mark.parametrize(
    ("fade", "needed", "opacities"),
    [(0, ["A"], (1, None)), (25, ["A", "B"], (0.75, 0.25)), (99, ["A", "B"], (0.01, 0.99)), (100, ["B"], (None, 1))],
)
def test_fading_from_one_to_the_other(bench, fade, needed, opacities):
    bench.slots.set_fade(50)
    bench.show("A", "B")
    assert bench.seen() == {"A · lesion: a": OPACITY / 2, "B · lesion: b": OPACITY / 2}
    bench.slots.set_fade(fade)
    bench.slots.arrange()
    assert bench.slots.needed == needed
    assert bench.slots.fade == fade
    expected = zip(("A · lesion: a", "B · lesion: b"), opacities, strict=True)
    assert bench.seen() == {name: OPACITY * share for name, share in expected if share is not None}


def test_outline_and_hide(bench):
    bench.slots.set_fade(50)
    bench.slots.set_outline(True)
    bench.slots.set_hidden(True)
    bench.show("A", "B")
    bench.show_difference()
    assert bench.seen() == {}
    assert [layer.contour for layer in bench.slots.layers] == [1, 1, 1]
    bench.slots.set_difference(False)
    bench.slots.set_outline(False)
    bench.slots.set_hidden(False)
    bench.slots.arrange()
    assert len(bench.seen()) == 2
    assert [layer.contour for layer in bench.slots.layers] == [0, 0]


def test_aside_for_the_grid(bench):
    bench.show("A")
    bench.slots.set_aside(True)
    bench.slots.arrange()
    bench.show("A")
    assert bench.seen() == {}
    bench.slots.set_aside(False)
    bench.slots.arrange()
    assert bench.seen() == {"A · lesion: a": OPACITY}


def test_what_a_person_sets_outlives_a_swap(bench):
    bench.show("A")
    layer = bench.slots.layer("A")
    layer.visible, layer.opacity, layer.contour = False, 0.2, 4
    bench.show("A")
    assert (layer.visible, layer.opacity, layer.contour) == (False, 0.2, 4)
    bench.slots.set_outline(True)
    bench.slots.set_fade(50)
    bench.show("A", "B")
    assert (layer.opacity, layer.contour) == (OPACITY / 2, 1)


def test_the_difference_takes_the_place_of_the_masks(bench):
    bench.show("A")
    bench.slots.set_difference(True)
    assert bench.slots.needed == ["A", "B"]
    bench.show("A", "B")
    bench.show_difference()
    assert bench.seen() == {DIFFERENCE: OPACITY}
    layer = bench.viewer.layers[DIFFERENCE]
    a, b = bench.lives["A"][...], bench.lives["B"][...]
    expected = BOTH * ((a == 1) & (b == 1)) + ONLY_A * ((a == 1) & (b == 0)) + ONLY_B * ((a == 0) & (b == 1))
    expected[(a == NOT_COMPUTED) | (b == NOT_COMPUTED)] = NOT_COMPUTED
    assert set(np.unique(expected)) == {0, BOTH, ONLY_A, ONLY_B, NOT_COMPUTED}
    assert_array_equal(layer.data, expected)
    assert label_names(layer) == {BOTH: "both", ONLY_A: "only A: north", ONLY_B: "only B: south"}
    assert provenance(layer) is None
    colours = layer.colormap.map(np.array([BOTH, ONLY_A, ONLY_B], np.uint8))
    for found, colour in zip(colours, DIFFERENCE_COLOURS, strict=True):
        assert np.allclose(found[:3], [int(colour.code[at : at + 2], 16) / 255 for at in (1, 3, 5)], atol=0.01)
    bench.show_difference()
    assert bench.names().count(DIFFERENCE) == 1
    bench.slots.set_difference(False)
    bench.slots.arrange()
    assert DIFFERENCE not in bench.names()
    assert bench.seen() == {"A · lesion: a": OPACITY}


@pytest.mark.parametrize("slot", ["A", "B"])
def test_only_what_is_in_view_is_drawn_anew(bench, slot):
    bench.show("A", "B")  # B is faded out
    bench.show_difference()
    drawn = []
    for layer in bench.slots.layers:
        layer.events.set_data.connect(lambda event: drawn.append(event.source.name))
    bench.slots.look_again([])
    assert drawn == []
    bench.slots.look_again([slot])
    assert drawn == [DIFFERENCE]
    bench.slots.set_difference(False)
    bench.slots.arrange()
    drawn.clear()
    bench.slots.look_again([slot])
    assert drawn == (["A · lesion: a"] if slot == "A" else [])


def test_layers_that_a_person_deletes_are_known_and_come_again(bench):
    bench.slots.set_fade(50)
    bench.show("A", "B")
    bench.show_difference()
    a, b, difference = bench.slots.layers
    assert bench.slots.lost(bench.image) is None
    assert not bench.slots.lost_difference(b)
    for layer, slot in ((b, "B"), (a, "A")):
        bench.viewer.layers.remove(layer)
        assert bench.slots.lost(layer) == slot
        assert bench.slots.lost(layer) is None
    assert bench.slots.lost(difference) is None
    bench.viewer.layers.remove(difference)
    assert bench.slots.lost_difference(difference)
    assert not bench.slots.lost_difference(difference)
    assert bench.slots.layers == []
    bench.slots.look_again(["A", "B"])
    bench.slots.arrange()
    bench.slots.set_difference(False)
    bench.show("A", "B")
    assert bench.names() == ["noise", "A · lesion: a", "B · lesion: b"]
    assert bench.slots.layer("A") is not a


@pytest.mark.parametrize(
    ("state", "suffix"), [("alone", ""), ("faded", " (before the image changed)"), ("difference", ""), ("hidden", ""), ("aside", "")]
)
def test_released_the_shown_mask_stays_as_an_ordinary_layer(bench, state, suffix):
    bench.slots.set_fade(0 if state == "alone" else 40)
    bench.show(*bench.slots.needed)
    if state == "difference":
        bench.show_difference()
    if state == "hidden":
        bench.slots.set_hidden(True)
    if state == "aside":
        bench.slots.set_aside(True)
    bench.slots.arrange()
    layer, array = bench.slots.layer("A"), bench.slots.layer("A").data
    expected = bench.lives["A"][...]
    bench.slots.release(["A"], suffix=suffix)
    assert bench.names() == ["noise", f"lesion: a{suffix}"]
    assert layer in bench.viewer.layers
    assert bench.slots.layers == []
    assert bench.seen() == {layer.name: OPACITY}
    assert layer.editable
    assert isinstance(array, LiveArray)
    assert isinstance(layer.data, np.ndarray)
    assert_array_equal(layer.data, expected)
    assert provenance(layer) == {"made": "A"}
    layer.paint((3, 3, 3), 1)
    assert layer.data[3, 3, 3] == 1
    bench.show("A", "B")
    assert bench.names() == ["noise", layer.name], "nothing is shown of images that were let go"


def test_released_without_one_to_keep_nothing_stays(bench):
    bench.slots.set_fade(50)
    bench.show("A", "B")
    bench.show_difference()
    bench.slots.release([])
    assert bench.names() == ["noise"]

"""Maps over the values: against plain loops, blank where a mask is missing, and readable."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from napari_film.inference.postprocessing import Postprocessing
from napari_film.plugin.choice import Choice
from napari_film.plugin.layers import geometry_of, is_stand_in, layer_data_from_volume
from napari_film.plugin.live_array import LiveArray, LiveLabels
from napari_film.plugin.map_layers import MapLayers, rising

AXIS = "coronal"


class Bench:
    def __init__(self, viewer, volume, choice, compose):
        self.viewer, self.volume, self.choice, self.compose = viewer, volume, choice, compose
        data, arguments, _ = layer_data_from_volume(volume)
        self.image = viewer.add_image(data, **arguments)
        self.geometry = geometry_of(self.image)
        self.maps = MapLayers(viewer)

    def masks(self, count, *, missing=None, seed=0, post=None):
        """Compositions, the one after the first lacking the slices ``missing``."""
        lacks = [missing if number == 1 and missing else () for number in range(count)]
        return [self.compose(self.choice, self.volume, seed=seed + number, missing=lacks[number], post=post) for number in range(count)]

    def show(self, kind, masks):
        self.maps.show(kind, [LiveLabels(mask, self.geometry, AXIS) for mask in masks], self.image, self.geometry)
        return self.maps.layer(kind)

    def loops(self, masks):
        """How far the probability moves, and how many masks have a voxel: by loops over (N, H, W), NaN where one was not computed."""
        shape = masks[0].opened.prepared.shape
        moved, counted = np.full(shape, np.nan), np.full(shape, np.nan)
        labels = [mask.labels() for mask in masks]
        for place in np.ndindex(shape):
            if all(mask.computed[place[0]] for mask in masks):
                q = [[int(channel[place]) for channel in mask.shares[0].kept.q] for mask in masks]
                moved[place] = max(max(values) - min(values) for values in zip(*q, strict=True)) / 256
                counted[place] = sum(int(mask[place] > 0) for mask in labels)
        return {"sensitivity": self.geometry.to_layer(moved, AXIS), "disagreement": self.geometry.to_layer(counted, AXIS)}


@pytest.fixture
def bench(make_napari_viewer_proxy, make_volume, make_affine, make_header, site, compose):
    volume = make_volume((5, 6, 7), make_affine((2, 0, 1), (True, False, True), spacing=(1, 2, 3)))
    header = make_header(site, classes=("core", "oedema"), preprocessing={"slice_axis": AXIS})
    return Bench(make_napari_viewer_proxy(), volume, Choice.first(header), compose)


@pytest.mark.parametrize("missing", [None, [0, 2]])
@pytest.mark.parametrize("kind", ["sensitivity", "disagreement"])
def test_values_are_those_of_loops(bench, kind, missing):
    masks = bench.masks(4, missing=missing, post=Postprocessing(threshold=180))
    layer = bench.show(kind, masks)
    expected = bench.loops(masks)[kind]
    assert np.isnan(expected).any() == (missing is not None)
    assert len(np.unique(expected[~np.isnan(expected)])) > 2
    assert_allclose(np.asarray(layer.data), expected)
    assert_allclose(layer.data[1, 2], expected[1, 2])
    assert layer.name == f"{kind} over 4 masks"
    assert tuple(layer.contrast_limits) == ((0, 1) if kind == "sensitivity" else (0, 4))
    assert np.allclose(layer.extent.world, bench.image.extent.world)
    assert layer.units == bench.image.units
    assert is_stand_in(layer)
    assert not layer.rgb
    assert bench.maps.shown == [kind]


def test_slices_that_come_fill_it(bench):
    masks = bench.masks(2, missing=[1])
    layer = bench.show("sensitivity", masks)
    assert np.isnan(np.asarray(layer.data)).any()
    drawn = []
    layer.events.set_data.connect(drawn.append)
    ((_, kept),) = masks[1].shares[0].parts
    kept.put(1, np.full(kept.q[:, 1].shape, 7, np.uint8))
    bench.maps.look_again()
    assert len(drawn) == 1
    assert_allclose(np.asarray(layer.data), bench.loops(masks)["sensitivity"])
    layer.visible = False
    bench.maps.look_again()
    assert len(drawn) == 1


@pytest.mark.parametrize("kind", ["sensitivity", "disagreement"])
def test_over_other_masks_the_layer_stays_and_says_of_how_many(bench, kind):
    layer = bench.show(kind, bench.masks(2))
    array = layer.data
    masks = bench.masks(5, seed=40)
    assert bench.show(kind, masks) is layer
    assert layer.data is array
    assert isinstance(array, LiveArray)
    assert_allclose(np.asarray(layer.data), bench.loops(masks)[kind])
    assert layer.name == f"{kind} over 5 masks"
    assert tuple(layer.contrast_limits) == ((0, 1) if kind == "sensitivity" else (0, 5))
    assert len(bench.viewer.layers) == 2


def test_what_a_person_called_it_and_its_contrast_stay(bench):
    layer = bench.show("disagreement", bench.masks(3))
    layer.name, layer.contrast_limits = "mine", (1, 2)
    bench.show("disagreement", bench.masks(3, seed=9))
    assert layer.name == "mine"
    assert tuple(layer.contrast_limits) == (1, 2)


def test_both_at_once_and_away_again(bench):
    masks = bench.masks(2)
    for kind in ("sensitivity", "disagreement"):
        bench.show(kind, masks)
    assert bench.maps.shown == ["sensitivity", "disagreement"]
    bench.maps.remove("sensitivity")
    bench.maps.remove("sensitivity")
    assert [layer.name for layer in bench.viewer.layers] == ["noise", "disagreement over 2 masks"]
    assert bench.maps.layer("sensitivity") is None
    bench.maps.close()
    assert [layer.name for layer in bench.viewer.layers] == ["noise"]


def test_one_that_a_person_deletes_is_known(bench):
    layer = bench.show("sensitivity", bench.masks(2))
    assert bench.maps.lost(bench.image) is None
    bench.viewer.layers.remove(layer)
    assert bench.maps.lost(layer) == "sensitivity"
    assert bench.maps.lost(layer) is None
    assert bench.maps.shown == []
    bench.maps.look_again()


def test_nothing_to_see_is_clear_and_more_is_more_opaque():
    for name in ("magma", "viridis"):
        colours = rising(name).map(np.linspace(0, 1, 32))
        assert colours[0, 3] == 0
        assert (np.diff(colours[:, 3]) > -1e-6).all()
        assert colours[-1, 3] > 0.8
    assert_array_equal(rising("magma").map(np.array([np.nan]))[0, 3], 0)

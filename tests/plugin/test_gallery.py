"""Masks laid out: in the grid, each on its own view of the image, or stacked; and the viewer as it was when they go."""

import numpy as np
import pytest
from napari.layers import Image, Labels
from numpy.testing import assert_array_equal

from napari_film.plugin.appearance import Appearance
from napari_film.plugin.choice import Choice
from napari_film.plugin.gallery import Gallery
from napari_film.plugin.layers import geometry_of, is_stand_in, label_names, layer_data_from_volume, mask_layer_kwargs
from napari_film.plugin.live_array import LiveArray, LiveLabels
from napari_film.plugin.mask_layer import OPACITY, provenance

TITLES = ["north", "south", "unknown"]


class Bench:
    """A viewer with an image, a hidden and a seen layer of the person's, and a gallery."""

    def __init__(self, viewer, volume, choice, compose, **arguments):
        self.viewer = viewer
        data, given, _ = layer_data_from_volume(volume)
        self.image = viewer.add_image(data, **{**given, **arguments})
        for name in ("drawn", "hidden"):
            viewer.add_labels(np.zeros((6, 7, 8), np.uint8), visible=name == "drawn", **mask_layer_kwargs(self.image, name=name))
        self.gallery = Gallery(viewer)
        self.choice, self.volume, self.compose = choice, volume, compose

    def masks(self, titles, seed=0):
        geometry = geometry_of(self.image)
        return [
            (
                LiveLabels(self.compose(self.choice, self.volume, seed=seed + number), geometry, "axial"),
                Appearance(f"lesion: {title}", {1: title}, {"site": title}, lambda title=title: {"made": title}),
            )
            for number, title in enumerate(titles)
        ]

    def open(self, layout, titles=TITLES, *, seed=0, frame=0):
        masks = self.masks(titles, seed)
        self.gallery.open(self.image, geometry_of(self.image), masks, layout, titles=titles, labels=3, frame=frame)
        return masks

    def names(self):
        return [layer.name for layer in self.viewer.layers]

    def seen(self):
        return [layer.name for layer in self.viewer.layers if layer.visible]

    def grid(self):
        grid = self.viewer.canvas.grid
        return grid.enabled, grid.stride, grid.spacing, tuple(grid.shape)


@pytest.fixture
def bench(make_napari_viewer_proxy, make_volume, make_header, site, compose):
    return Bench(make_napari_viewer_proxy(), make_volume((8, 7, 6)), Choice.first(make_header(site)), compose)


def test_a_grid_of_pairs(bench):
    masks = bench.open("grid")
    pairs = [name for title in TITLES for name in (f"image of {title}", title)]
    assert bench.names() == [*pairs, "noise", "drawn", "hidden"]
    assert bench.seen() == pairs
    assert bench.viewer.canvas.grid.enabled
    assert bench.viewer.canvas.grid.stride == 2
    assert bench.viewer.canvas.grid.actual_shape(bench.viewer.layers) == (2, 2)
    cells = list(bench.viewer.canvas.grid.iter_viewboxes(bench.viewer.layers))
    assert [sorted(indices) for _, indices in cells] == [[0, 1], [2, 3], [4, 5], []]
    for layer, (live, _), title in zip(bench.gallery.masks, masks, TITLES, strict=True):
        assert_array_equal(layer.data, live[...])
        assert layer.name_overlay.visible
        assert layer.name == title
        assert label_names(layer) == {1: title}
        assert provenance(layer) == {"made": title}
    for image in bench.gallery.images:
        assert np.shares_memory(image.data, bench.image.data)
        assert_array_equal(image.data, bench.image.data)
        assert is_stand_in(image)
        assert not image.rgb
        assert image.contrast_limits == bench.image.contrast_limits
        assert np.allclose(image.extent.world, bench.image.extent.world)


@pytest.mark.slow
@pytest.mark.parametrize("before", [(False, 1, 0.0, (-1, -1)), (True, 3, 0.5, (2, -1))])
def test_the_viewer_is_as_it_was_when_it_goes(bench, before):
    grid = bench.viewer.canvas.grid
    grid.enabled, grid.stride, grid.spacing, grid.shape = before
    names, seen = bench.names(), bench.seen()
    assert seen == ["noise", "drawn"]
    bench.open("grid")
    bench.open("grid", TITLES[:2])
    bench.gallery.close()
    assert bench.names() == names
    assert bench.seen() == seen
    assert bench.grid() == before
    assert bench.gallery.masks == []
    bench.gallery.close()
    assert bench.grid() == before


def test_a_grid_that_was_given_a_shape_has_room_for_all(bench):
    bench.viewer.canvas.grid.shape = (1, 1)
    bench.open("grid")
    cells = [indices for _, indices in bench.viewer.canvas.grid.iter_viewboxes(bench.viewer.layers) if indices]
    assert [sorted(indices) for indices in cells] == [[0, 1], [2, 3], [4, 5]]


def test_the_grid_button_pressed_by_hand(bench):
    """It is the person's: what is laid out is one above the other until they press it again."""
    before = bench.grid()
    bench.open("grid")
    bench.viewer.canvas.grid.enabled = False
    bench.gallery.show(bench.masks(TITLES, seed=5), TITLES)
    assert not bench.viewer.canvas.grid.enabled
    bench.gallery.close()
    assert bench.grid() == before
    assert bench.seen() == ["noise", "drawn"]


def test_stacked_on_the_image(bench):
    before = bench.grid()
    bench.open("stacked")
    assert bench.names() == ["noise", "drawn", "hidden", *TITLES]
    assert bench.seen() == ["noise", "drawn", *TITLES]
    assert bench.grid() == before
    assert bench.gallery.images == []
    assert not any(layer.name_overlay.visible for layer in bench.gallery.masks)
    colours = [tuple(layer.colormap.map(np.array([1], np.uint8))[0]) for layer in bench.gallery.masks]
    assert len(set(colours)) == len(TITLES)
    bench.gallery.close()
    assert bench.names() == ["noise", "drawn", "hidden"]
    assert bench.seen() == ["noise", "drawn"]


def test_other_masks_in_the_same_cells(bench):
    bench.open("grid")
    layers, arrays = bench.gallery.masks, [layer.data for layer in bench.gallery.masks]
    others = bench.masks(["a", "b", "c"], seed=9)
    bench.gallery.show(others, ["a", "b", "c"])
    assert bench.gallery.masks == layers
    for layer, array, (live, _), title in zip(layers, arrays, others, "abc", strict=True):
        assert layer.data is array
        assert isinstance(array, LiveArray)
        assert_array_equal(array, live[...])
        assert layer.name == title


@pytest.mark.parametrize("layout", ["grid", "stacked"])
def test_outline_and_hide_hold_for_what_is_laid_out_later(bench, layout):
    bench.gallery.set_outline(True)
    bench.gallery.set_hidden(True)
    bench.open(layout)
    assert [(layer.contour, layer.opacity, layer.visible) for layer in bench.gallery.masks] == [(1, 0, True)] * 3
    bench.gallery.set_outline(False)
    bench.gallery.set_hidden(False)
    assert [(layer.contour, layer.opacity) for layer in bench.gallery.masks] == [(0, OPACITY)] * 3


def test_only_the_cells_that_are_concerned_are_drawn_anew(bench):
    bench.open("grid")
    bench.gallery.masks[2].visible = False
    drawn = []
    for layer in bench.gallery.masks:
        layer.events.set_data.connect(lambda event: drawn.append(event.source.name))
    bench.gallery.look_again([1, 2])
    assert drawn == ["south"]


def test_what_is_laid_out_is_known(bench):
    bench.open("grid")
    assert all(bench.gallery.has(layer) for layer in (*bench.gallery.masks, *bench.gallery.images))
    assert not bench.gallery.has(bench.image)


@pytest.mark.parametrize("kind", [Labels, Image])
def test_a_cell_that_a_person_deletes_leaves_nothing_behind(bench, kind):
    before = bench.grid()
    bench.open("grid")
    layer = next(layer for layer in bench.viewer.layers if isinstance(layer, kind))
    bench.viewer.layers.remove(layer)
    bench.viewer.layers.remove("drawn")
    bench.gallery.close()
    assert bench.names() == ["noise", "hidden"]
    assert bench.seen() == ["noise"]
    assert bench.grid() == before


def test_a_frame_of_an_image_with_time(make_napari_viewer_proxy, make_volume, make_header, site, compose):
    header = make_header(site, preprocessing={"frame": 2})
    bench = Bench(make_napari_viewer_proxy(), make_volume((8, 7, 6, 4)), Choice.first(header), compose)
    bench.open("grid", frame=2)
    for image in bench.gallery.images:
        assert image.ndim == 3
        assert np.shares_memory(image.data, bench.image.data)
        assert_array_equal(image.data, bench.image.data[2])
    assert [layer.data.shape for layer in bench.gallery.masks] == [(6, 7, 8)] * 3
    bench.viewer.dims.set_current_step(1, 4)
    for layer in bench.gallery.masks:
        assert layer.get_value((4, 2, 3)) == layer.data[4, 2, 3]
    bench.gallery.close()
    assert bench.names() == ["noise", "drawn", "hidden"]


def test_three_voxels_along_the_last_axis_are_no_colours(make_napari_viewer_proxy, make_volume, make_header, site, compose):
    bench = Bench(make_napari_viewer_proxy(), make_volume((3, 32, 33)), Choice.first(make_header(site)), compose, rgb=False)
    bench.open("grid")
    assert [(image.rgb, image.ndim) for image in bench.gallery.images] == [(False, 3)] * 3
    assert_array_equal(bench.gallery.images[0].data, bench.image.data)


def test_the_full_resolution_of_a_multiscale_image(make_napari_viewer_proxy, make_volume, make_header, site, compose):
    volume = make_volume((8, 7, 6))
    bench = Bench(make_napari_viewer_proxy(), volume, Choice.first(make_header(site)), compose)
    data, arguments, _ = layer_data_from_volume(volume)
    bench.image = bench.viewer.add_image([data, data[::2, ::2, ::2]], multiscale=True, **{**arguments, "name": "levels"})
    bench.open("grid")
    assert_array_equal(bench.gallery.images[0].data, data)

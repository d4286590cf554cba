"""Where does it look, in a real window: the layers are those of the value that is chosen, on the voxels that the network means."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QDockWidget, QDoubleSpinBox, QLabel

from napari_film.fields import CategoricalField, ContinuousField
from napari_film.header import Channel, read_header
from napari_film.inference.windows import windows
from napari_film.plugin.layers import geometry_of, is_stand_in
from napari_film.plugin.mask_layer import COLOURS
from napari_film.plugin.where_it_looks_panel import NO_IMAGES, NO_MODEL, NO_WINDOWS, Look, WhereItLooksPanel

pytestmark = pytest.mark.usefixtures("on_the_cpu")

PLACES = ("inside", "film", "inside", "film", "none", "film")
SHAPE = (13, 18, 5)
PHASE = CategoricalField(name="phase", values=("ED", "ES"))
POSITION = ContinuousField(name="slice_position", minimum=0, maximum=1, per_slice="position")


@pytest.fixture(scope="module")
def model(make_checkpoint, tumor):
    return make_checkpoint(tumor, seed=3, places=PLACES, preprocessing={"slice_axis": "coronal"})


@pytest.fixture(scope="module")
def by_slice(make_checkpoint):
    return make_checkpoint(PHASE, POSITION, seed=3, places=PLACES, preprocessing={"slice_axis": "acquired"})


@pytest.fixture(scope="module")
def plain(make_checkpoint, tumor):
    return make_checkpoint(tumor)


@pytest.fixture(scope="module")
def volume(make_volume, make_affine):
    """Coronal slices are its last axis, the thickest, flipped and tilted."""
    return make_volume(SHAPE, make_affine((2, 0, 1), (True, False, True), spacing=(1, 1.5, 4), angles=(10, 5, -8)))


class Looks:
    """What stands in the window of what the panel draws."""

    def __init__(self, dock):
        self.dock = dock
        self.looks = dock.widget.comparison.looks
        self.panel = dock.widget.comparison.look_panel

    def child(self, kind, name):
        found = self.panel.findChild(kind, name)
        assert found is not None, name
        return found

    def layer(self, kind):
        return self.looks.layers.layer(kind)

    def open(self, model, volume):
        """Segment, then press the button."""
        self.dock.add(volume)
        self.dock.widget.picker.choose(model)
        self.dock.click_segment()
        self.dock.wait_idle()
        self.dock.click("film_look")
        self.wait()

    def wait(self):
        self.dock.wait(lambda: not self.looks.pending)

    def pick(self, value):
        """Choose a value of the dropdown by the mouse."""
        self.dock.pick("tumor_type", value)
        self.dock.wait(lambda: self.dock.session.metadata["tumor_type"] == value)
        self.wait()

    def tick(self, name):
        box = self.child(QCheckBox, name)
        self.dock.qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
        self.wait()

    def said(self):
        label = self.child(QLabel, "film_look_empty")
        return label.text() if label.isVisible() else ""

    def windows_of(self, checkpoint, place, metadata, slices=1):
        """The windows of a value, straight from the file; one for each of so many slices."""
        schema = read_header(checkpoint).metadata_schema
        conditions = [schema.at_slice(schema.encode(metadata), k, slices) for k in range(slices)]
        return windows(checkpoint, conditions, place, self.dock.session.prepared.shape[1:])

    def check(self, found, slot="A"):
        """What is drawn in the colour of a slot is ``found``, one for all slices or one for each, on the slice in view."""
        images, session = self.dock.widget.layers, self.dock.session
        geometry, axis, index = images.geometry, images.slice_axis, images.visible
        n, height, width = session.prepared.shape
        this = found[index if len(found) > 1 else 0]
        strongest = this.strongest(self.panel.value().most)
        layer = self.layer("ellipses")
        mine = [np.allclose(colour[:3], _rgb(COLOURS["AB".index(slot)]), atol=1e-3) for colour in layer.edge_color]
        outlines = [outline for outline, own in zip(layer.data, mine, strict=True) if own]
        assert list(np.asarray(layer.features["feature map"])[mine]) == [number + 1 for number in strongest]
        for outline, number in zip(outlines, strongest, strict=True):
            # On the network's slice by itself: centre and size in its pixels, ends where the slice ends.
            sliced = _to_sliced(outline, geometry, axis)
            assert_array_equal(sliced[:, 0], index)
            sides = np.array((height, width))
            centre = (this.centre[number] + 1) / 2 * sides - 0.5
            half = np.maximum(this.size[number] * sides / 2, 0.5)
            assert_allclose(sliced[:, 1:].min(axis=0), np.maximum(centre - half, -0.5), atol=1e-5)
            assert_allclose(sliced[:, 1:].max(axis=0), np.minimum(centre + half, sides - 0.5), atol=1e-5)
        rows, columns = (2 * (np.arange(length) + 0.5) / length - 1 for length in (height, width))
        heat = np.stack([found[k if len(found) > 1 else 0].heat(rows, columns) for k in range(n)])
        if slot == session.slot:
            shown = self.layer("heat")
            assert_allclose(np.asarray(shown.data), geometry.to_layer(heat, axis), atol=1e-5)
            assert shown.contrast_limits == pytest.approx([min(each.least for each in found), max(each.peak for each in found)])
            least, peak = (f"{100 * limit:.0f} %" for limit in shown.contrast_limits)
            assert f"from {least} that pass (dark) to {peak} (bright)" in self.child(QLabel, "film_look_status").text()
            assert [int(row[0]) for row in self.panel.rows()] == [number + 1 for number in strongest]


def _rgb(code):
    return [int(code[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def _to_sliced(points, geometry, axis):
    """Bring points in a layer's voxels to (N, H, W), by what arrays are brought by."""
    if geometry.flat:  # a picture's rows and columns are those of its slice
        return np.concatenate([np.zeros((len(points), 1)), points], axis=1)
    index = np.stack(np.meshgrid(*map(np.arange, geometry.lattice), indexing="ij"), axis=0)
    along = [geometry.to_sliced(each, axis) for each in index]
    corner = np.array([each[0, 0, 0] for each in along])
    steps = np.array([[each[tuple(np.eye(3, dtype=int)[to])] - each[0, 0, 0] for to in range(3)] for each in along])
    return (points - corner) @ np.linalg.inv(steps).T


@pytest.fixture
def looks(dock):
    return Looks(dock)


def test_windows_move_as_the_dropdown_moves(looks, dock, model, volume, tumor):
    looks.open(model, volume)
    mask, image = dock.mask, dock.widget.layers.channels[0]
    voxels = np.asarray(mask.data).copy()
    before = dock.viewer.dims.range
    assert looks.panel.isVisible()
    assert looks.child(QComboBox, "film_look_place").currentText() == "bottom"
    assert looks.panel.value() == Look("bottom", ellipses=True, heat=True)
    first = looks.windows_of(model, "bottom", {"tumor_type": "astrocytoma"})
    looks.check(first)
    ellipses, heat = looks.layer("ellipses"), looks.layer("heat")
    assert (ellipses.name, heat.name) == ("windows: bottom, astrocytoma", "where it looks: bottom, astrocytoma")
    assert [heat, mask, ellipses] == list(dock.viewer.layers[-3:])
    assert is_stand_in(heat), "it is offered as no image to be segmented"
    assert set(dock.viewer.layers.selection) == {mask}
    drawn = [outline.copy() for outline in ellipses.data]
    looks.pick("ependymoma")
    assert (looks.layer("ellipses"), looks.layer("heat")) == (ellipses, heat)
    second = looks.windows_of(model, "bottom", {"tumor_type": "ependymoma"})
    looks.check(second)
    assert any(old.shape != new.shape or not np.allclose(old, new) for old, new in zip(drawn, ellipses.data, strict=True))
    assert ellipses.name == "windows: bottom, ependymoma"
    assert dock.viewer.dims.range == before
    dock.session.set_metadata({"tumor_type": "astrocytoma"})
    looks.wait()
    looks.check(first)
    assert_array_equal(np.asarray(mask.data), voxels)
    # Another slice, another place, fewer of them.
    dock.widget.slice_view.show_slice(image, "coronal", 0)
    looks.wait()
    assert dock.widget.layers.visible == 0
    looks.check(first)
    place = looks.child(QComboBox, "film_look_place")
    place.setCurrentIndex(place.findText("encoder 1"))
    looks.child(QDoubleSpinBox, "film_look_most").setValue(2)
    looks.wait()
    looks.check(looks.windows_of(model, "encoder 1", {"tumor_type": "astrocytoma"}))
    assert len(looks.panel.rows()) == 2
    # Off, one after the other.
    looks.tick("film_look_ellipses")
    assert looks.layer("ellipses") is None
    assert ellipses not in dock.viewer.layers
    assert heat in dock.viewer.layers
    looks.tick("film_look_heat")
    assert [mask] == list(dock.viewer.layers[1:])
    assert set(dock.viewer.layers.selection) == {mask}


@pytest.mark.usefixtures("unpainted")
def test_what_a_person_takes_away_is_off_and_the_button_brings_it_back(looks, dock, model, volume):
    looks.open(model, volume)
    dock.viewer.layers.remove(looks.layer("heat"))
    looks.wait()
    assert looks.panel.value() == Look("bottom", ellipses=True, heat=False)
    dock.viewer.layers.remove(looks.layer("ellipses"))
    looks.wait()
    assert looks.panel.value() == Look("bottom", ellipses=False, heat=False)
    looks.pick("ependymoma")
    assert looks.looks.layers.shown == []
    dock.click("film_look")
    looks.wait()
    assert sorted(looks.looks.layers.shown) == ["ellipses", "heat"]
    (window,) = [one for one in dock.widget.window().findChildren(QDockWidget) if one.isAncestorOf(dock.widget.comparison)]
    dock.qtbot.mouseClick(window.title.close_button, Qt.MouseButton.LeftButton)
    assert looks.looks.layers.shown == []
    assert len(dock.viewer.layers) == 2, "the image and its mask"
    dock.click("film_look")
    looks.wait()
    looks.check(looks.windows_of(model, "bottom", {"tumor_type": "ependymoma"}))
    # In a grid each layer that is seen has a cell: these have none.
    dock.viewer.canvas.grid.enabled = True
    assert not looks.layer("heat").visible
    assert not looks.layer("ellipses").visible
    looks.pick("hemangioblastoma")
    looks.tick("film_look_ellipses")
    looks.tick("film_look_ellipses")
    assert not looks.layer("ellipses").visible
    dock.viewer.canvas.grid.enabled = False
    assert looks.layer("heat").visible
    assert looks.layer("ellipses").visible
    # What a person hides stays hidden.
    looks.layer("heat").visible = False
    looks.pick("astrocytoma")
    dock.viewer.canvas.grid.enabled = True
    dock.viewer.canvas.grid.enabled = False
    assert looks.layer("heat").name == "where it looks: bottom, astrocytoma"
    assert not looks.layer("heat").visible
    assert looks.layer("ellipses").visible
    dock.viewer.layers.remove(dock.widget.layers.channels[0])
    looks.wait()
    assert looks.looks.layers.shown == []
    assert looks.said() == NO_IMAGES


@pytest.mark.usefixtures("unpainted")
def test_where_there_is_nothing_to_see_a_sentence_says_why(looks, dock, model, plain, volume):
    dock.click("film_look")
    assert looks.said() == NO_MODEL
    dock.widget.picker.choose(plain)
    assert looks.said() == NO_WINDOWS
    dock.widget.picker.choose(model)
    assert looks.said() == NO_IMAGES
    dock.add(volume)
    dock.click_segment()
    dock.wait_idle()
    looks.wait()
    assert looks.said() == ""
    assert sorted(looks.looks.layers.shown) == ["ellipses", "heat"]
    dock.widget.picker.choose(plain)
    looks.wait()
    assert looks.looks.layers.shown == []
    assert looks.said() == NO_WINDOWS
    assert looks.panel.value().place is None


@pytest.mark.usefixtures("unpainted")
def test_of_two_masks_in_view_both_have_their_colour(looks, dock, model, volume):
    looks.open(model, volume)
    looks.pick("astrocytoma")
    dock.click("film_difference")
    looks.wait()
    assert dock.session.metadata == {"tumor_type": "astrocytoma"}
    looks.check(looks.windows_of(model, "bottom", {"tumor_type": "astrocytoma"}), "A")
    looks.check(looks.windows_of(model, "bottom", {"tumor_type": "ependymoma"}), "B")
    assert looks.layer("ellipses").name == "windows: bottom, astrocytoma and ependymoma"
    dock.click("film_difference")
    looks.wait()
    assert len(looks.layer("ellipses").data) == 8
    dock.widget.workbench.flip()
    looks.wait()
    looks.check(looks.windows_of(model, "bottom", {"tumor_type": "ependymoma"}), "B")
    assert len(looks.layer("ellipses").data) == 8


@pytest.mark.usefixtures("unpainted")
def test_windows_of_a_model_that_is_told_the_slice(looks, dock, by_slice, volume):
    looks.open(by_slice, volume)
    image = dock.widget.layers.channels[0]
    slices = dock.session.prepared.shape[0]
    assert slices == SHAPE[2]
    found = looks.windows_of(by_slice, "bottom", {"phase": "ED"}, slices)
    for number in (0, 3, slices - 1):
        dock.widget.slice_view.show_slice(image, "acquired", number)
        looks.wait()
        assert dock.widget.layers.visible == number
        looks.check(found)
    assert not np.allclose(found[0].centre, found[-1].centre)
    dock.session.set_metadata({"phase": "ES", "slice_position": 0.25})
    looks.wait()
    looks.check(looks.windows_of(by_slice, "bottom", {"phase": "ES", "slice_position": 0.25}))


@pytest.mark.usefixtures("unpainted")
def test_on_a_picture(looks, dock, make_checkpoint):
    channels = tuple(Channel(name=name) for name in ("red", "green", "blue"))
    model = make_checkpoint(
        PHASE,
        seed=3,
        channels=3,
        places=PLACES,
        preprocessing={"slice_axis": "acquired", "fourth_axis": "channels"},
        header={"channels": channels},
    )
    pixels = np.random.default_rng(0).integers(0, 255, size=(21, 30, 3)).astype(np.uint8)
    dock.viewer.add_image(pixels, rgb=True, name="scene")
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_idle()
    dock.click("film_look")
    looks.wait()
    assert looks.layer("heat").data.shape == (21, 30)
    looks.check(looks.windows_of(model, "bottom", {"phase": "ED"}))
    assert geometry_of(dock.widget.layers.channels[0]).flat


def test_the_panel_is_the_editor_of_one_value(qtbot, model):
    panel = WhereItLooksPanel()
    qtbot.addWidget(panel)
    panel.show()
    told = []
    panel.valueChanged.connect(told.append)
    assert panel.value() == Look()
    panel.setPlaces(("encoder 1", "bottom"))
    assert panel.value() == Look("bottom")
    look = Look("encoder 1", ellipses=True, heat=False, most=3)
    panel.setValue(look)
    panel.setValue(look)
    assert (panel.value(), told) == (look, [look])
    panel.setPlaces(("encoder 1", "encoder 2"))
    assert panel.value().place == "encoder 1"
    panel.setPlaces(())
    assert panel.value().place is None
    assert len(told) == 1
    panel.setPlaces(("bottom",))
    (found,) = windows(model, [[1, 0, 0]], "bottom", (40, 24))
    panel.setEmpty(None)
    panel.setWindows(found, "bottom, astrocytoma", (0.121, 0.889))
    number = int(found.strongest(1)[0])
    y, x = 50 * (found.centre[number] + 1)
    down, across = 50 * found.size[number]
    share = 100 * found.strength[number]
    assert panel.rows()[0] == (str(number + 1), f"{share:.1f} %", f"{y:.0f} %, {x:.0f} %", f"{down:.0f} % x {across:.0f} %")
    assert len(panel.rows()) == 3
    together = 100 * np.sort(found.strength)[-3:].sum()
    assert panel.findChild(QLabel, "film_look_status").text() == (
        f"bottom, astrocytoma: the 3 strongest of 8 windows, {together:.0f} % of what passes. "
        "The heat map runs from 12 % that pass (dark) to 89 % (bright)."
    )
    panel.setEmpty(NO_IMAGES)
    assert panel.rows() == []


def test_what_draws_a_layer_outlives_it(looks, dock, model, volume):
    """Once it was freed, OpenGL in software crashed on the next drawing: of a second heart, after the heat of the first."""
    looks.open(model, volume)
    layers = {looks.layer(kind) for kind in ("heat", "ellipses")}
    for kind in ("heat", "ellipses"):
        looks.tick(f"film_look_{kind}")
    assert looks.looks.layers.shown == []
    assert {visual.layer for visual in looks.looks.layers._drawn_by} == layers

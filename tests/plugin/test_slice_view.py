"""What is on which side of the canvas, proven by rendering; and which slice is in view."""

from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image, Layer
from qtpy.QtWidgets import QLabel

from napari_film.plugin.edge_letters import Letters
from napari_film.plugin.layers import geometry_of, layer_data_from_volume, mask_layer_kwargs
from napari_film.plugin.orientation import camera_orientation
from napari_film.plugin.slice_view import SliceView
from napari_film.volume import SLICED_AXES, Volume, slicing

AXES = ("axial", "coronal", "sagittal")
CONVENTIONS = ("radiological", "neurological")
EXPECTED = {
    ("axial", "radiological"): Letters(left="R", top="A", right="L", bottom="P"),
    ("axial", "neurological"): Letters(left="L", top="A", right="R", bottom="P"),
    ("coronal", "radiological"): Letters(left="R", top="S", right="L", bottom="I"),
    ("coronal", "neurological"): Letters(left="L", top="S", right="R", bottom="I"),
    ("sagittal", "radiological"): Letters(left="A", top="S", right="P", bottom="I"),
    ("sagittal", "neurological"): Letters(left="P", top="S", right="A", bottom="I"),
}


def _corner(affine, shape=(12, 14, 16)) -> Volume:
    """Bright in the corner that is the patient's right, front and top."""
    places = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    bright = (places > np.quantile(places.reshape(-1, 3), 0.4, axis=0)).all(axis=-1)
    return Volume((255 * bright).astype(np.uint8), affine, "corner.nii")


def _bright_sides(picture) -> tuple[str, str]:
    """Which sides of the canvas are bright: left or right, top or bottom."""
    grey = picture[..., :3].astype(float).mean(-1)
    assert grey.max() > 200, "nothing was drawn"
    y, x = np.average(np.indices(grey.shape).reshape(2, -1), axis=1, weights=grey.ravel()) - (np.array(grey.shape) - 1) / 2
    return "right" if x > 0 else "left", "bottom" if y > 0 else "top"


@pytest.fixture
def shown_dock(make_napari_viewer_proxy):
    """A window that is really drawn."""
    viewer = make_napari_viewer_proxy(show=True)
    view = SliceView(viewer)
    viewer.window.add_dock_widget(view, name="view")
    yield viewer, view
    view.close_view()


@pytest.fixture
def dock(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    view = SliceView(viewer)
    viewer.window.add_dock_widget(view, name="view")
    yield viewer, view
    view.close_view()


def test_letters_are_where_the_patient_is(shown_dock, make_affine):
    viewer, view = shown_dock
    affine = make_affine((2, 0, 1), (True, False, True), spacing=(2, 1, 1.5), origin=(10, -20, 30))
    data, arguments, _ = layer_data_from_volume(_corner(affine))
    layer = viewer.add_image(data, **{**arguments, "contrast_limits": (0, 255)})
    for (slice_axis, convention), letters in EXPECTED.items():
        view.setValue(convention)
        view.turn_to(layer, slice_axis)
        assert view.letters() == letters
        across, down = _bright_sides(viewer.screenshot(canvas_only=True, flash=False))
        assert getattr(letters, across) in "RAS"
        assert getattr(letters, down) in "RAS"


def test_letters_of_a_mirrored_display(shown_dock):
    """As napari-nifti shows its layers: world axes run to I, P, L."""
    viewer, view = shown_dock
    volume = _corner(np.diag((1.0, 2, 3, 1)))
    metadata = {"affine": volume.affine, "header": {}, "coordinate_system": "RAS+"}
    layer = viewer.add_image(volume.data.T, scale=(-3, -2, -1), metadata=metadata, contrast_limits=(0, 255))
    view.turn_to(layer, "axial")
    assert view.letters() == EXPECTED["axial", "radiological"]
    view.show_slice(layer, "axial", 14)
    assert _bright_sides(viewer.screenshot(canvas_only=True, flash=False)) == ("left", "top")


def test_letters_lie_over_the_canvas_and_follow(dock, make_volume):
    viewer, view = dock
    assert view.letters() is None
    data, arguments, _ = layer_data_from_volume(make_volume((12, 14, 16)))
    layer = viewer.add_image(data, **arguments)
    view.turn_to(layer, "axial")
    labels = {label.objectName(): label for label in view.window().findChildren(QLabel) if label.objectName().startswith("film_letter")}
    assert {name: label.text() for name, label in labels.items()} == {
        "film_letter_left": "R",
        "film_letter_top": "A",
        "film_letter_right": "L",
        "film_letter_bottom": "P",
    }
    assert all(not label.isHidden() for label in labels.values())
    view.setValue("neurological")
    assert labels["film_letter_left"].text() == "L"
    viewer.dims.order = (1, 0, 2)
    assert labels["film_letter_top"].text() == "S"
    viewer.scene.camera.orientation = ("towards", "down", "right")
    assert labels["film_letter_top"].text() == "I"
    viewer.dims.ndisplay = 3
    assert all(label.isHidden() for label in labels.values())
    viewer.dims.ndisplay = 2
    viewer.layers.clear()
    assert all(label.isHidden() for label in labels.values())


def test_closing_takes_the_letters_away(dock, make_volume, qtbot):
    viewer, view = dock
    data, arguments, _ = layer_data_from_volume(make_volume((12, 14, 16)))
    view.turn_to(viewer.add_image(data, **arguments), "axial")
    view.close_view()
    qtbot.waitUntil(lambda: not [x for x in view.window().findChildren(QLabel) if x.objectName().startswith("film_letter")])
    viewer.dims.order = (1, 0, 2)
    viewer.scene.camera.orientation = ("away", "up", "right")


@pytest.mark.parametrize("slice_axis", [*AXES, "acquired"])
def test_visible_slice_is_one_of_the_sliced_layout(dock, make_affine, make_volume, slice_axis):
    viewer, view = dock
    volume = make_volume((12, 14, 16), make_affine((2, 0, 1), (True, False, True), spacing=(2, 1, 1.5), angles=(10, 0, 5)))
    data, arguments, _ = layer_data_from_volume(volume)
    layer = viewer.add_image(data, **arguments)
    view.turn_to(layer, slice_axis)
    stack = slicing(volume.grid, slice_axis).apply(volume.data)
    assert viewer.dims.nsteps[viewer.dims.order[0]] == len(stack)
    for number in (0, 3, len(stack) - 1):
        view.show_slice(layer, slice_axis, number)
        step = geometry_of(layer).slice_of(number, slice_axis)  # acquired slices can run against the display
        assert viewer.dims.current_step[viewer.dims.order[0]] == step
        assert step == number or slice_axis == "acquired"
        assert view.visible_slice(layer, slice_axis) == number
    seen = geometry_of(layer).anatomical(slice_axis)
    assert view.visible_slice(layer, AXES[AXES.index(seen) - 1]) is None
    viewer.dims.ndisplay = 3
    assert view.visible_slice(layer, slice_axis) is None


def test_visible_slice_beside_other_layers(dock, make_volume):
    viewer, view = dock
    data, arguments, _ = layer_data_from_volume(make_volume((6, 7, 8)))
    layer = viewer.add_image(data, **arguments)
    larger = viewer.add_image(np.zeros((40, 7, 8)), units="mm", translate=(-10, 0, 0))
    view.turn_to(layer, "axial")
    view.show_slice(layer, "axial", 2)
    assert view.visible_slice(layer, "axial") == 2
    viewer.dims.set_point(0, 25)
    assert view.visible_slice(layer, "axial") is None
    viewer.dims.set_point(0, 4)
    larger.units = ("um", "um", "um")  # the viewer's dims may take another unit than the layer's
    view.show_slice(layer, "axial", 3)
    assert view.visible_slice(layer, "axial") == 3
    viewer.add_points(np.zeros((1, 3)))  # in pixels: now there is no common unit
    view.show_slice(layer, "axial", 1)
    assert view.visible_slice(layer, "axial") == 1


def test_time_stays_a_slider(dock):
    viewer, view = dock
    volume = Volume(np.zeros((6, 7, 8, 3), np.uint8), np.eye(4))
    data, arguments, _ = layer_data_from_volume(volume)
    layer = viewer.add_image(data, **arguments)
    mask = viewer.add_labels(np.zeros(data.shape[1:], np.uint8), **mask_layer_kwargs(layer, name="mask"))
    view.turn_to(layer, "sagittal")
    assert viewer.dims.order == (0, 3, 1, 2)
    view.show_slice(layer, "sagittal", 4)
    assert view.visible_slice(layer, "sagittal") == view.visible_slice(mask, "sagittal") == 4


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("slice_axis", AXES)
def test_nothing_is_mirrored_in_3d(slice_axis, convention):
    letters = tuple("RAS"[world] for world in SLICED_AXES[slice_axis])
    depth, up, across = camera_orientation(letters, convention)
    screen = {letters[0]: (0, 0, 1 if depth == "towards" else -1), letters[1]: (0, 1 if up == "up" else -1, 0)}
    screen[letters[2]] = (1 if across == "right" else -1, 0, 0)
    np.testing.assert_array_equal(np.cross(screen["R"], screen["A"]), screen["S"])


def test_layers_that_tell_nothing_leave_the_camera_alone(dock):
    viewer, view = dock
    before = viewer.scene.camera.orientation
    viewer.add_layer(Image(np.zeros((5, 5, 5))))
    view.setValue("neurological")
    assert viewer.scene.camera.orientation == before
    assert view.letters() is None
    assert isinstance(viewer.layers[0], Layer)


def test_a_grid_leaves_the_top_to_the_titles_of_its_cells(make_napari_viewer_proxy, qtbot):
    viewer = make_napari_viewer_proxy(show=True)
    data, arguments, _ = layer_data_from_volume(Volume(np.zeros((4, 5, 6)), np.eye(4), "v.nii"))
    viewer.add_image(data, **arguments)
    view = SliceView(viewer)
    viewer.window.add_dock_widget(view)
    whole = view.letters()
    viewer.canvas.grid.enabled = True
    assert view.letters() == replace(whole, top="")
    viewer.canvas.grid.enabled = False
    assert view.letters() == whole
    view.close_view()

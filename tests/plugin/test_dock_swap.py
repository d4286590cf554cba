"""What a person may do in the middle: swap, scroll, cancel, close, delete, change; and what stays."""

import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QPushButton

from napari_film.inference.masks import NOT_COMPUTED
from napari_film.plugin.layers import geometry_of
from napari_film.plugin.session import State

pytestmark = pytest.mark.usefixtures("on_the_cpu", "unpainted")

VALUES = ("astrocytoma", "ependymoma", "hemangioblastoma")
SLICES = 8


@pytest.fixture(scope="module")
def model(make_checkpoint, tumor):
    return make_checkpoint(tumor, seed=18)


@pytest.fixture(scope="module")
def other_model(make_checkpoint, tumor, site):
    """Sees slices across another axis."""
    return make_checkpoint(site, tumor, seed=20, preprocessing={"slice_axis": "coronal"})


@pytest.fixture(scope="module")
def volume(make_volume):
    return make_volume((12, 16, SLICES))


def engines():
    return [thread for thread in threading.enumerate() if thread.name.startswith("napari-film")]


def sliced(layer, axis="axial"):
    return geometry_of(layer).to_sliced(np.asarray(layer.data), axis)


def start(dock, gate, model, volume, count):
    """Let ``count`` slices come, and hold the engine before the next."""
    image = dock.add(volume)
    dock.widget.picker.choose(model)
    gate.hold()
    dock.click_segment()
    gate.let(count)
    dock.wait(lambda: dock.mask is not None and len(dock.slices) == count and not dock.widget.views.pending and gate.stands.is_set())
    return image


def finish(dock, gate):
    gate.open()
    dock.wait_complete()


def test_the_visible_slice_comes_first_and_the_slider_is_followed(dock, gate, model, volume):
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.viewer.dims.set_current_step(0, 5)
    gate.hold()
    dock.click_segment()
    gate.let(2)
    dock.wait(lambda: len(dock.slices) == 2 and gate.stands.is_set())
    assert dock.slices == [5, 4]
    dock.viewer.dims.set_current_step(0, 1)
    gate.let(3)
    dock.wait(lambda: len(dock.slices) == 5)
    assert dock.slices[-2:] == [1, 0]  # one was on its way when the slider moved
    finish(dock, gate)
    assert sorted(dock.slices) == list(range(SLICES))


def test_the_slice_in_view_after_the_view_was_turned_comes_first(dock, gate, other_model, volume):
    """The first slice that is seen is the one that the turned view shows, not slice 0."""
    dock.add(volume)
    dock.widget.picker.choose(other_model)
    dock.viewer.dims.set_current_step(1, 11)
    gate.hold()
    dock.click_segment()
    gate.let(2)
    dock.wait(lambda: len(dock.slices) == 2)
    assert dock.viewer.dims.order == (1, 0, 2)
    assert dock.slices == [11, 10]
    finish(dock, gate)


def test_swapping_while_it_runs_and_back_to_what_is_kept(dock, gate, model, volume, masks_by_predictor):
    start(dock, gate, model, volume, 3)
    expected = {value: masks_by_predictor(model, [volume], {"tumor_type": value}) for value in VALUES}
    done = dock.slices[:]
    dock.pick("tumor_type", "ependymoma")
    assert dock.mask.name == "A · lesion: ependymoma"
    mask = sliced(dock.mask)
    assert (mask == NOT_COMPUTED).all()
    dock.slices.clear()
    visible = dock.widget.layers.visible
    gate.let(2)  # one under the former value was begun
    dock.wait(lambda: len(dock.slices) == 1 and not dock.widget.views.pending)
    assert dock.slices == [visible]
    assert np.array_equal(sliced(dock.mask)[visible], expected["ependymoma"][visible])
    dock.pick("tumor_type", "astrocytoma")
    assert np.array_equal(sliced(dock.mask)[done], expected["astrocytoma"][done])
    finish(dock, gate)
    dock.wait_idle()
    begun = len(gate.order)
    for value in (*VALUES, *reversed(VALUES)):
        dock.pick("tumor_type", value)
        assert dock.session.results.complete
        assert dock.mask.name == f"A · lesion: {value}"
        assert np.array_equal(sliced(dock.mask), expected[value])
    dock.wait_idle()
    assert len(gate.order) == begun, "what was kept was computed again"
    assert len(set(gate.order)) == len(VALUES) * SLICES


def test_cancel_veils_what_was_not_computed(dock, gate, model, volume, masks_by_predictor):
    start(dock, gate, model, volume, 3)
    button = dock.child(QPushButton, "film_segment")
    assert button.text() == "Cancel"
    dock.click_segment()
    assert button.text() == "Segment"
    gate.open()  # the slice at hand still comes
    dock.wait(lambda: len(dock.slices) == 4 and not dock.widget.views.pending)
    mask = sliced(dock.mask)
    expected = masks_by_predictor(model, [volume], {"tumor_type": "astrocytoma"})
    assert np.array_equal(mask[dock.slices], expected[dock.slices])
    assert (np.delete(mask, dock.slices, axis=0) == NOT_COMPUTED).all()
    assert list(dock.mask.features["label"]) == ["background", "astrocytoma", "not computed"]
    dock.click_segment()
    dock.wait_complete()
    assert sorted(dock.slices) == list(range(SLICES))
    assert np.array_equal(sliced(dock.mask), expected)


def test_window_answers_while_a_slice_is_computed(dock, gate, model, volume):
    start(dock, gate, model, volume, 1)
    box = dock.child(QCheckBox, "film_all_values")
    dock.qtbot.mouseClick(box, Qt.MouseButton.LeftButton)
    assert box.isChecked()
    assert dock.mask.name == "A · lesion: all values"
    assert (sliced(dock.mask) == NOT_COMPUTED).all()
    finish(dock, gate)
    assert set(np.unique(dock.mask.data)) <= {0, 1, 2, 3}


@pytest.mark.parametrize("how", ["cross", "remove_dock_widget"])
@pytest.mark.parametrize("complete", [False, True])
def test_closing_the_dock(dock, gate, model, volume, how, complete):
    image = start(dock, gate, model, volume, 2)
    mask = dock.mask
    if complete:
        finish(dock, gate)
    (engine,) = engines()
    gate.open()
    if how == "cross":
        dock.qtbot.mouseClick(dock.dock.title.close_button, Qt.MouseButton.LeftButton)
    else:
        dock.viewer.window.remove_dock_widget(dock.widget)
    dock.wait(lambda: not engine.is_alive())
    assert list(dock.viewer.layers) == ([image, mask] if complete else [image])
    if complete:
        assert mask.editable
        assert mask.name == "lesion: astrocytoma"
        assert isinstance(mask.data, np.ndarray)
        assert not (mask.data == NOT_COMPUTED).any()
    assert dock.widget.session.state is State.CLOSED
    dock.viewer.dims.set_current_step(0, 0)
    dock.viewer.layers.clear()


def test_the_dock_opens_again_after_its_cross(dock, gate, model, volume):
    start(dock, gate, model, volume, 2)
    gate.open()
    dock.qtbot.mouseClick(dock.dock.title.close_button, Qt.MouseButton.LeftButton)
    dock.wait(lambda: not engines())
    _, widget = dock.viewer.window.add_plugin_dock_widget("napari-film", "FiLM segmentation")
    assert widget is not dock.widget
    assert widget.session.checkpoint == model, "the dock opens with what was chosen last"
    dock.qtbot.mouseClick(widget.findChild(QPushButton, "film_segment"), Qt.MouseButton.LeftButton)
    dock.wait(lambda: widget.session.results is not None and widget.session.results.complete)
    assert [layer.name for layer in dock.viewer.layers] == ["noise", "A · lesion: astrocytoma"]


def test_hiding_the_dock_stops_nothing(dock, gate, model, volume):
    start(dock, gate, model, volume, 2)
    dock.qtbot.mouseClick(dock.dock.title.hide_button, Qt.MouseButton.LeftButton)
    assert not dock.widget.isVisible()
    finish(dock, gate)
    assert dock.mask in dock.viewer.layers


def test_closing_the_viewer_in_the_middle(dock, gate, model, volume):
    start(dock, gate, model, volume, 2)
    (engine,) = engines()
    gate.open()
    dock.viewer.close()
    dock.wait(lambda: not engine.is_alive())


def test_deleting_the_mask_stops_and_the_same_images_are_shown_again_at_once(dock, gate, model, volume):
    start(dock, gate, model, volume, 4)
    dock.viewer.layers.remove(dock.mask)
    assert dock.mask is None
    assert dock.session.state is State.READY
    gate.open()
    dock.slices.clear()
    gate.hold()
    dock.click_segment()
    dock.wait(lambda: dock.mask is not None)
    assert dock.session.results.progress()[0] >= 4
    finish(dock, gate)


def test_deleting_the_image_takes_a_part_of_a_mask_with_it(dock, gate, model, volume):
    image = start(dock, gate, model, volume, 2)
    dock.viewer.layers.remove(image)
    assert list(dock.viewer.layers) == []
    assert dock.session.state is State.READY
    assert dock.session.prepared is None


def test_deleting_everything(dock, gate, model, volume):
    start(dock, gate, model, volume, 2)
    dock.viewer.layers.clear()
    assert list(dock.viewer.layers) == []
    gate.open()
    dock.wait_idle()


def test_a_complete_mask_outlives_its_image_and_may_be_painted_in(dock, gate, model, volume, tmp_path):
    image = start(dock, gate, model, volume, 2)
    assert not dock.mask.editable
    mask = dock.mask
    finish(dock, gate)
    assert not mask.editable
    dock.viewer.layers.remove(image)
    assert list(dock.viewer.layers) == [mask]
    assert mask.editable
    mask.save(str(tmp_path / "a.nii"), plugin="napari-film")
    assert (tmp_path / "a.json").exists()
    mask.data_setitem((np.array([0]), np.array([0]), np.array([0])), 1 - mask.data[0, 0, 0])
    mask.save(str(tmp_path / "b.nii"), plugin="napari-film")
    assert not (tmp_path / "b.json").exists(), "the file says how a mask came to be that a person has painted in"


@pytest.mark.parametrize("complete", [False, True])
def test_another_checkpoint_in_the_middle(dock, gate, model, other_model, volume, complete, masks_by_predictor):
    image = start(dock, gate, model, volume, 2)
    former = dock.mask
    if complete:
        finish(dock, gate)
    dock.widget.picker.choose(other_model)
    assert dock.session.checkpoint == other_model
    assert dock.widget.picker.value() == other_model
    assert list(dock.viewer.layers) == ([image, former] if complete else [image])
    gate.open()
    dock.click_segment()
    dock.wait_complete()
    expected = masks_by_predictor(other_model, [volume], {"tumor_type": "astrocytoma", "site": "unknown"})
    assert np.array_equal(sliced(dock.mask, "coronal"), expected)
    assert dock.mask.name == "A · lesion: unknown, astrocytoma"


@pytest.mark.parametrize("change", ["data", "scale", "affine"])
def test_an_image_that_changes_is_no_longer_what_was_segmented(dock, gate, model, volume, change, notified):
    image = start(dock, gate, model, volume, 2)
    mask = dock.mask
    finish(dock, gate)
    new = {"data": image.data[::-1].copy(), "scale": (2, 1, 1), "affine": np.diag((1.0, 1, 2, 1))}[change]
    setattr(image, change, new)
    assert dock.mask is None
    assert mask.name == "lesion: astrocytoma (before the image changed)"
    assert [note.message for note in notified] == ["noise has changed, so its masks are no longer shown; press Segment again."]
    dock.click_segment()
    dock.wait_complete()
    assert dock.mask.name == "A · lesion: astrocytoma"
    assert np.allclose(dock.mask.scale, image.scale)


def test_an_image_that_changes_in_the_middle(dock, gate, model, volume, make_volume, masks_by_predictor):
    image = start(dock, gate, model, volume, 2)
    other = make_volume(volume.data.shape, seed=3)
    image.data = geometry_of(image).order.apply(other.data)
    assert list(dock.viewer.layers) == [image]
    gate.open()
    dock.click_segment()
    dock.wait_complete()
    assert np.array_equal(sliced(dock.mask), masks_by_predictor(model, [other], {"tumor_type": "astrocytoma"}))


def test_choosing_another_image_in_the_middle(dock, gate, model, volume, make_volume):
    image = start(dock, gate, model, volume, 2)
    second = dock.add(make_volume((12, 16, SLICES), seed=9), name="second")
    assert dock.mask is not None, "another image in the viewer changes nothing"
    dock.widget.channel_form.setValue([second])
    assert dock.mask is None
    assert list(dock.viewer.layers) == [image, second]


def test_another_layer_s_deletion_changes_nothing(dock, gate, model, volume, make_volume):
    start(dock, gate, model, volume, 2)
    dock.viewer.layers.remove(dock.add(make_volume((4, 4, 4)), name="second"))
    finish(dock, gate)


def test_in_3d_and_across_the_slices(dock, gate, model, volume, masks_by_predictor):
    start(dock, gate, model, volume, 2)
    dock.viewer.dims.ndisplay = 3
    gate.let(2)
    dock.wait(lambda: len(dock.slices) == 4)
    dock.viewer.dims.ndisplay = 2
    dock.viewer.dims.order = (1, 0, 2)
    assert "turned to another axis" in dock.widget.slice_view._line.text()
    finish(dock, gate)
    assert np.array_equal(sliced(dock.mask), masks_by_predictor(model, [volume], {"tumor_type": "astrocytoma"}))

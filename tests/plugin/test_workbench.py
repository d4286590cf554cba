"""The strip, its keys and all values at once, in a real window: what is shown is what the form, the strip and the layers all say."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QLabel, QLineEdit, QPushButton, QWidget

from napari_film.fields import CategoricalField
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.plugin.layers import geometry_of
from napari_film.plugin.live_array import BOTH, NEITHER, ONLY_A, ONLY_B
from napari_film.plugin.mask_layer import OPACITY
from napari_film.plugin.number_box import NumberBox
from napari_film.plugin.session import State

try:
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
except ImportError:
    from qtpy.QtWidgets import QOpenGLWidget

pytestmark = pytest.mark.usefixtures("on_the_cpu")

TUMORS = ("astrocytoma", "ependymoma", "hemangioblastoma")
SITES = ("unknown", "north", "south")  # as they are stepped through from the default on
CHOICES = ("north", "south", "unknown")  # as the model names them
KEYS = {
    "T": Qt.Key.Key_T,
    ",": Qt.Key.Key_Comma,
    ".": Qt.Key.Key_Period,
    "G": Qt.Key.Key_G,
    "H": Qt.Key.Key_H,
    "D": Qt.Key.Key_D,
}
MANY = CategoricalField(name="scanner", values=tuple(f"scanner_{number}" for number in range(40)))
ONE = CategoricalField(name="scanner", values=("only",))


@pytest.fixture(scope="module")
def model(make_checkpoint, site, age):
    """A context of two values and unknown, and a number."""
    return make_checkpoint(site, age, seed=36)


@pytest.fixture(scope="module")
def tumors(make_checkpoint, tumor):
    """A target of three values."""
    return make_checkpoint(tumor, seed=18)


@pytest.fixture(scope="module")
def volume(make_volume):
    return make_volume((12, 16, 6))


@pytest.fixture
def bench(dock):
    return dock.widget.workbench


def segment(dock, model, volume):
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    dock.wait_idle()


def click(dock, name):
    """Click a button of the dock, as a mouse does."""
    button = dock.child(QPushButton, name)
    dock.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def tick(dock, name):
    box = dock.child(QCheckBox, name)
    dock.qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))


def focus(dock, widget):
    window = dock.widget.window()
    window.activateWindow()
    dock.wait(window.isActiveWindow)
    widget.setFocus()
    dock.wait(widget.hasFocus)
    return widget


def canvas(dock):
    return dock.widget.window().centralWidget().findChildren(QOpenGLWidget)[0]


def press(dock, key, on=None):
    """Press a key of the strip, on the canvas where nothing else is said."""
    dock.qtbot.keyClick(focus(dock, on or canvas(dock)), KEYS[key])


def sliced(layer):
    return geometry_of(layer).to_sliced(np.asarray(layer.data), "axial")


def slot_texts(dock):
    return [dock.child(QPushButton, f"film_slot_{slot}").toolTip() for slot in "ab"]


def agree(dock, slot, **metadata):
    """The form, the strip, the session and the layers say that ``slot`` is edited, with these metadata."""
    session, views = dock.session, dock.widget.views
    assert session.slot == slot
    assert dict(session.choices[slot].metadata) == metadata
    assert dock.widget.metadata.form.value() == metadata
    assert dock.child(QPushButton, f"film_slot_{slot.lower()}").isChecked()
    words = ", ".join(value if isinstance(value, str) else f"{value:g}" for value in metadata.values())
    assert slot_texts(dock)["AB".index(slot)] == f"Show mask {slot}: {words}."
    layer = views.slots.layer(slot)
    assert layer.name == f"{slot} · lesion: {words}"
    assert layer.visible
    other = views.slots.layer("B" if slot == "A" else "A")
    assert other is None or not other.visible
    assert dock.child(QWidget, "film_fade").value() == (0 if slot == "A" else 100)


def test_t_flips_and_what_is_edited_is_what_is_seen(dock, model, volume, masks_by_predictor):
    segment(dock, model, volume)
    agree(dock, "A", site="unknown", age=50.0)
    press(dock, "T")
    dock.wait_complete()
    agree(dock, "B", site="north", age=50.0)
    expected = {site: masks_by_predictor(model, [volume], {"site": site, "age": 50}) for site in SITES}
    assert not np.array_equal(expected["unknown"], expected["north"])
    assert np.array_equal(sliced(dock.mask), expected["north"])
    dock.pick("site", "south")  # edits B
    dock.wait_complete()
    agree(dock, "B", site="south", age=50.0)
    assert np.array_equal(sliced(dock.mask), expected["south"])
    press(dock, "T")
    agree(dock, "A", site="unknown", age=50.0)
    assert np.array_equal(sliced(dock.mask), expected["unknown"])
    click(dock, "film_slot_b")
    agree(dock, "B", site="south", age=50.0)
    click(dock, "film_flip")
    agree(dock, "A", site="unknown", age=50.0)


def test_steps_go_round_and_back(dock, model, volume, masks_by_predictor):
    segment(dock, model, volume)
    expected = {site: masks_by_predictor(model, [volume], {"site": site, "age": 50}) for site in SITES}
    for key, order in ((".", ("north", "south", "unknown")), (",", ("south", "north", "unknown"))):
        for value in order:
            press(dock, key)
            dock.wait_complete()
            agree(dock, "A", site=value, age=50.0)
            assert np.array_equal(sliced(dock.mask), expected[value])
    assert dock.widget.metadata.form.origins()["site"] == "you"
    dock.pick("film_step_field", "age")
    for value in (75.0, 100.0, 0.0):
        press(dock, ".")
        agree(dock, "A", site="unknown", age=value)
    press(dock, ",")
    agree(dock, "A", site="unknown", age=100.0)
    click(dock, "film_step_back")
    agree(dock, "A", site="unknown", age=75.0)
    click(dock, "film_step_on")
    agree(dock, "A", site="unknown", age=100.0)


def test_outline_hide_and_difference(dock, model, volume, masks_by_predictor):
    segment(dock, model, volume)
    a = dock.mask
    press(dock, "G")
    assert a.contour == 1
    assert dock.child(QPushButton, "film_outline").isChecked()
    press(dock, "H")
    assert not a.visible
    press(dock, "H")
    assert a.visible
    press(dock, "D")
    difference = next(layer for layer in dock.viewer.layers if "difference" in layer.name)
    assert not a.visible
    assert difference.contour == 1
    dock.wait(lambda: (sliced(difference) != NOT_COMPUTED).all())
    masks = [masks_by_predictor(model, [volume], {"site": site, "age": 50}) > 0 for site in SITES[:2]]
    expected = np.full(masks[0].shape, NEITHER)
    expected[masks[0] & masks[1]] = BOTH
    expected[masks[0] & ~masks[1]] = ONLY_A
    expected[~masks[0] & masks[1]] = ONLY_B
    assert set(np.unique(expected)) == {NEITHER, BOTH, ONLY_A, ONLY_B}
    assert np.array_equal(sliced(difference), expected)
    assert list(difference.features["label"]) == ["background", "both", "only A: unknown, 50", "only B: north, 50", "not computed"][:4]
    assert dock.child(QWidget, "film_difference_legend").isVisible()
    press(dock, "H")
    assert not difference.visible
    press(dock, "H")
    press(dock, "D")
    assert difference not in dock.viewer.layers
    assert a.visible
    press(dock, "G")
    assert a.contour == 0


def test_keys_wherever_the_keyboard_is(dock, model, volume):
    """With the Labels layer active, after a choice in a dropdown, with a button focused; but not while a person types."""
    segment(dock, model, volume)
    dock.viewer.layers.selection.active = dock.mask
    press(dock, "T")
    assert dock.session.slot == "B"
    dock.pick("site", "unknown")
    window = dock.widget.window()
    window.activateWindow()
    dock.wait(window.isActiveWindow)
    target = QApplication.focusWidget() or window
    assert not isinstance(target, QComboBox)
    dock.qtbot.keyClick(target, KEYS["T"])
    assert dock.session.slot == "A"
    for name in ("film_segment", "film_keep", "film_all_at_once"):
        slot = dock.session.slot
        button = dock.child(QPushButton, name)
        press(dock, "T", on=button)
        assert dock.session.slot != slot, name
    before = (dock.session.slot, dict(dock.session.metadata))
    box = dock.child(NumberBox, "film_smallest")
    for key in KEYS:
        press(dock, key, on=box.lineEdit())
    assert (dock.session.slot, dict(dock.session.metadata)) == before
    assert not dock.child(QPushButton, "film_hide").isChecked()


def test_keys_before_there_is_anything(dock, model):
    for key in KEYS:
        press(dock, key)
    dock.widget.picker.choose(model)
    for key in KEYS:
        press(dock, key)
    assert dock.session.state is State.READY
    assert [layer.name for layer in dock.viewer.layers] == []
    assert dock.session.slot == "B"
    assert slot_texts(dock) == ["Show mask A: unknown, 50.", "Show mask B: north, 50."]


def test_the_fade_blends_and_its_ends_edit(dock, model, volume, masks_by_predictor):
    segment(dock, model, volume)
    fade, slots = dock.child(QWidget, "film_fade"), dock.widget.views.slots
    fade.setValue(25)
    dock.wait_complete()
    dock.wait_idle()
    a, b = slots.layer("A"), slots.layer("B")
    assert a.opacity == pytest.approx(0.75 * OPACITY)
    assert b.opacity == pytest.approx(0.25 * OPACITY)
    assert a.visible
    assert b.visible
    assert dock.session.slot == "A"
    for layer, site in ((a, "unknown"), (b, "north")):
        assert np.array_equal(sliced(layer), masks_by_predictor(model, [volume], {"site": site, "age": 50}))
    fade.setValue(100)
    agree(dock, "B", site="north", age=50.0)
    assert slots.layer("B").opacity == pytest.approx(OPACITY)
    press(dock, ".")
    dock.wait_complete()
    agree(dock, "B", site="south", age=50.0)
    fade.setValue(60)
    assert dock.session.slot == "B"
    assert a.visible
    assert b.visible
    fade.setValue(0)
    agree(dock, "A", site="unknown", age=50.0)


def cells(dock):
    return dock.widget.views.gallery.masks


def wait_compared(dock):
    def done():
        found = [dock.session.results_of(choice) for choice in dock.session.compared]
        return bool(found) and all(results.complete for results in found) and not dock.widget.views.pending

    dock.wait(done)


def test_all_values_in_the_grid_by_one_button(dock, model, volume, masks_by_predictor, unpainted):
    segment(dock, model, volume)
    click(dock, "film_all_at_once")
    wait_compared(dock)
    assert dock.viewer.canvas.grid.enabled
    assert [layer.name for layer in cells(dock)] == [f"{site}, 50" for site in CHOICES]
    assert all(layer.name_overlay.visible for layer in cells(dock))
    for layer, site in zip(cells(dock), CHOICES, strict=True):
        assert np.array_equal(sliced(layer), masks_by_predictor(model, [volume], {"site": site, "age": 50}))
    visible = [layer for layer in dock.viewer.layers if layer.visible]
    assert len(visible) == 2 * len(SITES)
    click(dock, "film_take_away")
    assert cells(dock) == []
    assert not dock.viewer.canvas.grid.enabled
    assert dock.session.compared == ()
    assert not dock.child(QPushButton, "film_take_away").isEnabled()
    agree(dock, "A", site="unknown", age=50.0)


@pytest.mark.slow
def test_a_product_of_fields_stacked(dock, model, volume, masks_by_predictor, unpainted):
    segment(dock, model, volume)
    points = focus(dock, dock.child(QLineEdit, "film_values_age"))
    dock.qtbot.keyClicks(points, "0, 5t.")
    assert dock.session.slot == "A"
    assert dock.child(QLabel, "film_values_count").text().startswith("⚠")
    assert not dock.child(QPushButton, "film_all_at_once").isEnabled()
    dock.session.step("site", 1)  # nothing falls over the half-written points
    dock.session.step("site", -1)
    for _ in "t.":
        dock.qtbot.keyClick(points, Qt.Key.Key_Backspace)
    dock.qtbot.keyClicks(points, "0, 100.")
    assert dock.child(QLabel, "film_values_count").text() == "9 masks"
    dock.pick("film_layout", "Stacked layers")
    click(dock, "film_all_at_once")
    wait_compared(dock)
    assert not dock.viewer.canvas.grid.enabled
    names = [f"{site}, {age}" for site in CHOICES for age in (0, 50, 100)]
    assert [layer.name for layer in cells(dock)] == names
    for layer in cells(dock):
        site, age = layer.name.split(", ")
        assert np.array_equal(sliced(layer), masks_by_predictor(model, [volume], {"site": site, "age": float(age)})), layer.name
    dock.pick("film_layout", "Grid")
    assert dock.viewer.canvas.grid.enabled
    assert [layer.name for layer in cells(dock)] == names


def test_cancel_keeps_what_there_is_and_the_button_goes_on(dock, gate, model, volume, masks_by_predictor, unpainted):
    segment(dock, model, volume)
    dock.pick("film_step_field", "age")
    begun = len(gate.order)
    gate.hold()
    click(dock, "film_all_at_once")
    button = dock.child(QPushButton, "film_all_at_once")
    assert button.text() == "Cancel"
    gate.let(3)
    dock.wait(lambda: len(gate.order) == begun + 3)
    click(dock, "film_all_at_once")
    assert button.text() == "All values at once"
    gate.open()
    dock.wait(lambda: sum(dock.session.results_of(choice).progress()[0] for choice in dock.session.compared) >= 6 + 3)
    dock.wait(lambda: not dock.widget.views.pending)
    assert len(cells(dock)) == 5
    done = 0
    for layer, age in zip(cells(dock), (0, 25, 50, 75, 100), strict=True):
        shown = sliced(layer)
        known = (shown != NOT_COMPUTED).all(axis=(1, 2))
        done += known.sum()
        assert known.all() == (age == 50), age
        assert np.array_equal(shown[known], masks_by_predictor(model, [volume], {"site": "unknown", "age": age})[known])
    assert done in (6 + 3, 6 + 4)  # one was on its way
    click(dock, "film_all_at_once")
    wait_compared(dock)
    assert not any((sliced(layer) == NOT_COMPUTED).any() for layer in cells(dock))


def told(notified):
    return [notification.message for notification in notified]


def test_before_segment_one_sentence(dock, model, volume, notified):
    dock.add(volume)
    dock.widget.picker.choose(model)
    click(dock, "film_all_at_once")
    assert told(notified) == ["No images are open yet; press Segment first, then all values can be computed."]
    tick(dock, "film_sensitivity")
    assert told(notified)[1:] == ["No images are open yet; press Segment first, then the map can be made."]
    assert not dock.child(QCheckBox, "film_sensitivity").isChecked()


def test_too_little_memory_is_one_sentence(dock, model, volume, notified, unpainted):
    segment(dock, model, volume)
    dock.session.set_memory(2 * 12 * 16 * 6)
    click(dock, "film_all_at_once")
    assert len(notified) == 1
    assert "are more than may be kept (2); choose fewer values" in told(notified)[0]
    assert cells(dock) == []
    assert dock.child(QPushButton, "film_all_at_once").text() == "All values at once"
    agree(dock, "A", site="unknown", age=50.0)


def test_a_model_without_metadata_offers_nothing(dock, make_checkpoint, volume):
    segment(dock, make_checkpoint(seed=3), volume)
    assert not dock.child(QPushButton, "film_all_at_once").isEnabled()
    assert not dock.child(QCheckBox, "film_sensitivity").isEnabled()
    for key in KEYS:
        press(dock, key)
    assert dock.mask.name == "B · lesion: no metadata"


def test_a_field_of_one_value(dock, make_checkpoint, volume, unpainted):
    segment(dock, make_checkpoint(ONE, seed=3), volume)
    press_before = dict(dock.session.metadata)
    click(dock, "film_step_on")
    assert dock.session.metadata == press_before
    click(dock, "film_all_at_once")
    wait_compared(dock)
    assert [layer.name for layer in cells(dock)] == ["only"]


@pytest.mark.slow
def test_forty_values_are_stacked_and_said_to_be(dock, make_checkpoint, make_volume, masks_by_predictor, notified, unpainted):
    small = make_volume((8, 8, 2))
    model = make_checkpoint(MANY, seed=5)
    segment(dock, model, small)
    assert dock.child(QLabel, "film_values_count").text() == "40 masks"
    click(dock, "film_all_at_once")
    wait_compared(dock)
    assert len(cells(dock)) == 40
    assert not dock.viewer.canvas.grid.enabled
    assert told(notified) == ["40 masks are too many for napari's grid, which takes 16 at a bearable speed; they are stacked."]
    for number in (0, 17, 39):
        assert cells(dock)[number].name == f"scanner {number}"
        assert np.array_equal(sliced(cells(dock)[number]), masks_by_predictor(model, [small], {"scanner": f"scanner_{number}"}))
    click(dock, "film_take_away")
    assert len(dock.viewer.layers) == 2


def two_ages(dock):
    """Ask for two masks that are not kept yet."""
    dock.pick("film_step_field", "age")
    points = focus(dock, dock.child(QLineEdit, "film_values_age"))
    points.selectAll()
    dock.qtbot.keyClicks(points, "0, 100")
    click(dock, "film_all_at_once")
    dock.wait(lambda: len(cells(dock)) == 2)


@pytest.mark.slow
def test_segment_again_while_all_values_are_computed(dock, gate, model, volume, unpainted):
    segment(dock, model, volume)
    gate.hold()
    two_ages(dock)
    gate.let(2)
    dock.widget.segment()
    assert cells(dock) == []
    assert dock.session.compared == ()
    assert dock.child(QPushButton, "film_all_at_once").text() == "All values at once"
    gate.open()
    dock.wait_complete()
    dock.wait_idle()
    assert [layer.name for layer in dock.viewer.layers] == ["noise", "A · lesion: unknown, 50"]


def test_another_model_while_all_values_are_computed(dock, gate, model, tumors, volume, unpainted):
    segment(dock, model, volume)
    gate.hold()
    two_ages(dock)
    dock.widget.picker.choose(tumors)
    assert cells(dock) == []
    assert not dock.viewer.canvas.grid.enabled
    assert [layer.name for layer in dock.viewer.layers] == ["noise", "lesion: unknown, 50"]
    assert dock.child(QLabel, "film_values_count").text() == "3 masks"
    assert dock.child(QPushButton, "film_all_at_once").text() == "All values at once"
    assert not dock.child(QCheckBox, "film_sensitivity").isEnabled()
    assert "different things" in dock.child(QCheckBox, "film_sensitivity").toolTip()
    gate.open()


def test_closing_the_dock_while_all_values_are_computed(dock, gate, model, volume, unpainted):
    segment(dock, model, volume)
    gate.hold()
    two_ages(dock)
    gate.open()
    dock.viewer.window.remove_dock_widget(dock.dock)
    assert dock.session.state is State.CLOSED
    assert [layer.name for layer in dock.viewer.layers] == ["noise", "lesion: unknown, 50"]
    assert not dock.viewer.canvas.grid.enabled


def test_maps_by_their_boxes(dock, model, volume, masks_by_predictor, unpainted):
    segment(dock, model, volume)
    tick(dock, "film_disagreement")
    wait_compared(dock)
    layer = dock.widget.views.maps.layer("disagreement")
    votes = sum(masks_by_predictor(model, [volume], {"site": site, "age": 50}) > 0 for site in SITES)
    assert np.array_equal(sliced(layer), votes)
    dock.viewer.layers.remove(layer)
    assert not dock.child(QCheckBox, "film_disagreement").isChecked()
    tick(dock, "film_disagreement")
    assert dock.widget.views.maps.layer("disagreement") is not None
    click(dock, "film_take_away")
    assert dock.widget.views.maps.layer("disagreement") is None
    assert not dock.child(QCheckBox, "film_disagreement").isChecked()


@pytest.mark.slow
def test_outline_and_hide_hold_for_what_is_laid_out_later(dock, model, volume, unpainted):
    segment(dock, model, volume)
    click(dock, "film_outline")
    click(dock, "film_hide")
    click(dock, "film_all_at_once")
    wait_compared(dock)
    assert all(layer.contour == 1 and layer.opacity == 0 for layer in cells(dock))
    click(dock, "film_hide")
    assert all(layer.opacity == OPACITY for layer in cells(dock))


def test_in_the_grid_a_flip_brings_no_slot_into_view(dock, model, volume, unpainted):
    segment(dock, model, volume)
    click(dock, "film_all_at_once")
    wait_compared(dock)
    seen = [layer.name for layer in dock.viewer.layers if layer.visible]
    click(dock, "film_flip")
    click(dock, "film_step_on")
    dock.wait_complete()
    assert [layer.name for layer in dock.viewer.layers if layer.visible] == seen
    click(dock, "film_take_away")
    dock.wait(lambda: not dock.viewer.canvas.grid.enabled)
    agree(dock, "B", site="south", age=50.0)

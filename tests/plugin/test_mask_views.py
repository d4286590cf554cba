"""What is drawn, and when: slices as they come, clean-ups when they are done, copies, and what a person deletes by hand."""

import json
import threading

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari.layers import Labels
from napari.settings import get_settings
from numpy.testing import assert_array_equal
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QCheckBox, QPushButton, QWidget

from napari_film import nifti
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import cleaned_labels
from napari_film.inference.sidecar import sidecar_path
from napari_film.plugin.layers import label_names
from napari_film.plugin.live_array import LiveArray
from napari_film.plugin.mask_layer import OPACITY

pytestmark = pytest.mark.usefixtures("on_the_cpu", "unpainted")

SITES = ("north", "south", "unknown")
A, B, DIFFERENCE = "A · lesion: north", "B · lesion: south", "A and B: difference"
MAP = "sensitivity over 3 masks"
SLICES = 5
LARGEST = Postprocessing(threshold=150, largest_component=True)


@pytest.fixture(scope="module")
def model(make_checkpoint, site):
    return make_checkpoint(site, seed=18)


@pytest.fixture(scope="module")
def volume(make_volume, make_affine):
    return make_volume((12, 16, SLICES), make_affine(flips=(True, False, True), spacing=(1, 1, 2)))


@pytest.fixture
def north(dock, model, volume):
    """Gives the dock ready to segment, with north in A and south in B."""
    dock.add(volume)
    dock.widget.picker.choose(model)
    for slot, site in (("B", "south"), ("A", "north")):
        dock.session.set_metadata({"site": site}, slot)
    return dock


@pytest.fixture
def whole(north):
    """Gives the dock with whole masks."""
    north.click_segment()
    north.wait_complete()
    north.wait_idle()
    return north


@pytest.fixture
def expected(masks_by_predictor, model, volume):
    """Masks (N, H, W) of all values, as `Predictor` makes them."""
    return {site: masks_by_predictor(model, [volume], {"site": site}) for site in SITES}


def tick(dock, name):
    box = dock.child(QCheckBox, name)
    dock.qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))


def lay_out(dock, layout):
    form = dock.widget.workbench.values_form
    form.setLayoutValue(layout)
    dock.click("film_all_at_once")


def fade(dock, percent):
    dock.child(QWidget, "film_fade").setValue(percent)


def wait_compared(dock):
    def done():
        found = [dock.session.results_of(choice) for choice in dock.session.compared]
        return bool(found) and all(results.complete for results in found) and not dock.widget.views.pending

    dock.wait(done)


def plane(layer):
    """What is drawn of a layer, as napari has it in hand."""
    return np.asarray(getattr(layer, "__wrapped__", layer)._slice.image.raw)


def seen(dock):
    return [layer.name for layer in dock.viewer.layers if layer.visible]


def one_more(dock, gate, arrived):
    """Let one slice more come, and be drawn; what was on its way when something else was asked for comes twice."""
    count = len(arrived)
    gate.let(1)
    dock.wait(lambda: len(arrived) > count and not dock.widget.views.pending)


class Drawings:
    """Which layers were drawn since somebody asked."""

    def __init__(self, dock):
        self._drawn = []
        for layer in dock.viewer.layers:
            layer.events.set_data.connect(lambda event: self._drawn.append(event.source.name))

    def taken(self):
        drawn, self._drawn = self._drawn, []
        return drawn


# slices as they come


def test_each_slice_is_drawn_where_it_is_seen_and_nowhere_else(north, gate):
    """Two slots, their difference or the fade, cells and a map: all that show the condition, if the slice is in view, once."""
    dock = north
    arrived = []
    dock.session.arrived.connect(lambda condition, index: arrived.append((condition, index)))
    dock.viewer.dims.set_current_step(0, 1)
    gate.hold()
    dock.click_segment()
    dock.wait(lambda: dock.session.prepared is not None and dock.mask is not None)
    fade(dock, 40)
    lay_out(dock, "stacked")
    tick(dock, "film_sensitivity")
    assert seen(dock) == ["noise", A, B, *SITES, MAP]
    drawings, visible = Drawings(dock), dock.widget.layers.visible
    assert visible == 1
    site_of = {choice.conditions()[0]: site for choice, site in zip(dock.session.compared, SITES, strict=True)}
    while len(set(arrived)) < 3 * SLICES:
        one_more(dock, gate, arrived)
        condition, index = arrived[-1]
        site = site_of[condition]
        concerned = [{"north": A, "south": B}.get(site), site, MAP] if index == visible else []
        assert sorted(drawings.taken()) == sorted(filter(None, concerned)), (site, index)
    gate.open()
    dock.wait_idle()


def test_of_the_difference_only_it_is_drawn(north, gate):
    dock = north
    gate.hold()
    dock.click_segment()
    dock.wait(lambda: dock.mask is not None)
    dock.click("film_difference")
    assert seen(dock) == ["noise", DIFFERENCE]
    drawings, visible = Drawings(dock), dock.widget.layers.visible
    difference = dock.viewer.layers[DIFFERENCE]
    arrived = []
    dock.session.arrived.connect(lambda condition, index: arrived.append((condition, index)))
    while len(set(arrived)) < 2:
        assert (plane(difference) == NOT_COMPUTED).all(), "drawn before both masks were there"
        one_more(dock, gate, arrived)
        assert drawings.taken() == [DIFFERENCE]
    assert {index for _, index in arrived} == {visible}, "both masks of the slice in view come first"
    assert not (plane(difference) == NOT_COMPUTED).any()


def test_a_cell_that_becomes_whole_says_how_it_was_made(north, gate, tmp_path, expected):
    """What was laid out as a part of a mask is saved as the whole that it has become."""
    dock = north
    gate.hold()
    dock.click_segment()
    dock.wait(lambda: dock.mask is not None)
    lay_out(dock, "grid")
    assert label_names(dock.viewer.layers["south"]) == {1: "lesion", NOT_COMPUTED: "not computed"}
    gate.open()
    wait_compared(dock)
    for name, site in (("south", "south"), (A, "north")):
        layer = dock.viewer.layers[name]
        path = tmp_path / f"{site}.nii.gz"
        layer.save(str(path), plugin="napari-film")
        assert nifti.label_names(path) == {1: "lesion"}
        assert_array_equal(nifti.read(path).data, dock.session.prepared.to_source(expected[site]))
        beside = json.loads(sidecar_path(path).read_text())
        assert beside["Metadata"] == {"site": site}
        assert beside["Coverage"]["SlicesComputed"] == SLICES


def test_in_3d_the_whole_mask_is_drawn_as_it_grows(north, gate, expected):
    dock = north
    gate.hold()
    dock.click_segment()
    gate.let(1)
    dock.wait(lambda: dock.mask is not None and len(dock.slices) == 1)
    dock.viewer.dims.ndisplay = 3
    assert plane(dock.mask).shape == dock.mask.data.shape
    assert (plane(dock.mask) == NOT_COMPUTED).any()
    gate.open()
    dock.wait_complete()
    dock.wait(lambda: not (plane(dock.mask) == NOT_COMPUTED).any())
    assert_array_equal(plane(dock.mask), np.asarray(dock.mask.data))
    assert_array_equal(dock.voxels(dock.mask), expected["north"])
    dock.pick("site", "south")
    dock.wait_complete()
    dock.wait(lambda: np.array_equal(plane(dock.mask), np.asarray(dock.mask.data)))
    assert_array_equal(dock.voxels(dock.mask), expected["south"])
    dock.wait_idle()


@pytest.fixture
def on_other_threads():
    """Let napari ask for slices on a thread of its own."""
    settings = get_settings().experimental
    before, settings.async_ = settings.async_, True
    yield
    settings.async_ = before


@pytest.fixture
def asynchronous(on_other_threads, dock):
    """Gives the dock in a window that asks for slices on a thread."""
    return dock


def test_napari_s_own_threads_see_the_same_masks(asynchronous, north, gate, expected):
    dock = asynchronous
    asked = set()
    real = LiveArray.__getitem__

    def ask(array, index):
        asked.add(threading.current_thread() is threading.main_thread())
        return real(array, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiveArray, "__getitem__", ask)
        gate.hold()
        dock.click_segment()
        gate.let(2)
        dock.wait(lambda: dock.mask is not None and len(dock.slices) == 2)
        gate.open()
        dock.wait_complete()
        dock.wait_idle()
        for turn in range(12):
            site, step = SITES[turn % 3], turn % SLICES
            dock.session.set_metadata({"site": site})
            dock.viewer.dims.set_current_step(0, step)
            now = expected[site][step]
            dock.wait(lambda now=now: dock.mask.loaded and np.array_equal(plane(dock.mask), now))
            assert dock.mask.name == f"A · lesion: {site}"
    assert False in asked, "napari asked on the main thread alone"


# clean-ups


@pytest.fixture
def cleaner(monkeypatch):
    """Holds clean-ups on the errands' thread: ``begun`` counts them, ``go`` lets one be done."""

    class Cleaner:
        begun = 0
        go = threading.Semaphore(0)
        free = False

    real = Postprocessing.apply

    def apply(self, labels, *arguments, **options):
        if threading.current_thread().name == "napari-film errands":
            Cleaner.begun += 1
            assert Cleaner.free or Cleaner.go.acquire(timeout=60)
        return real(self, labels, *arguments, **options)

    monkeypatch.setattr(Postprocessing, "apply", apply)
    yield Cleaner
    Cleaner.free = True
    Cleaner.go.release(100)


def planes(dock, layer):
    """What a layer shows slice by slice, (N, H, W): not what it says of itself as a whole."""
    by_slice = np.stack([layer.data[index] for index in range(layer.data.shape[0])])
    return dock.widget.layers.geometry.to_sliced(by_slice, "axial")


def masks_of(dock, post):
    """Give the shown mask without and with the clean-up, by the functions that files are made by."""
    composition = dock.session.results.composition()
    assert composition.postprocessing == post
    q = composition.shares[0].kept.q[0]
    raw = (q >= post.threshold).astype(np.uint8)
    cleaned = cleaned_labels(composition.predictions())
    assert not np.array_equal(raw, cleaned)
    return raw, cleaned


def test_without_the_clean_up_until_it_is_done(whole, cleaner):
    dock = whole
    told = []
    dock.widget.views.cleaning.told.connect(told.append)
    before = plane(dock.mask)
    dock.session.set_postprocessing(LARGEST)
    raw, cleaned = masks_of(dock, LARGEST)
    assert_array_equal(planes(dock, dock.mask), raw)
    assert not np.array_equal(plane(dock.mask), before), "the visible slice follows the threshold at once"
    dock.wait(lambda: cleaner.begun == 1)
    assert told[-1] == "Cleaning up…"
    assert_array_equal(planes(dock, dock.mask), raw)
    assert_array_equal(dock.voxels(dock.mask), cleaned)  # who takes the whole of it gets what it is said to be
    cleaner.go.release()
    dock.wait(lambda: not dock.widget.views.cleaning.busy and told[-1] == "")
    assert_array_equal(planes(dock, dock.mask), cleaned)
    dock.session.set_postprocessing(Postprocessing())
    assert_array_equal(plane(dock.mask), before)


def test_a_clean_up_under_former_settings_is_never_shown(whole, cleaner):
    dock = whole
    dock.session.set_postprocessing(LARGEST)
    dock.wait(lambda: cleaner.begun == 1)
    other = Postprocessing(threshold=190, largest_component=True)
    dock.session.set_postprocessing(other)
    raw, cleaned = masks_of(dock, other)
    seen = []
    dock.widget.views.cleaning.cleaned.connect(lambda: seen.append(planes(dock, dock.mask)))
    cleaner.go.release()  # the former one goes on to its end
    dock.wait(lambda: cleaner.begun == 2)
    assert seen == []
    assert_array_equal(planes(dock, dock.mask), raw)
    cleaner.go.release()
    dock.wait(lambda: bool(seen))
    assert len(seen) == 1
    assert_array_equal(planes(dock, dock.mask), cleaned)


def test_a_clean_up_of_another_value_is_never_shown(whole, cleaner):
    dock = whole
    dock.session.set_postprocessing(LARGEST)
    dock.wait(lambda: cleaner.begun == 1)
    dock.pick("site", "south")
    raw, cleaned = masks_of(dock, LARGEST)
    cleaner.go.release()
    dock.wait(lambda: cleaner.begun == 2)
    assert_array_equal(planes(dock, dock.mask), raw)
    cleaner.go.release()
    dock.wait(lambda: np.array_equal(planes(dock, dock.mask), cleaned))
    assert dock.mask.name == "A · lesion: south"
    cleaner.free = True


def test_all_in_view_are_cleaned_each_once(whole, cleaner):
    dock = whole
    cleaner.free = True
    lay_out(dock, "stacked")
    wait_compared(dock)
    dock.session.set_postprocessing(LARGEST)
    cleaning = dock.widget.views.cleaning
    compositions = [dock.session.results_of(choice).composition() for choice in dock.session.compared]
    dock.wait(lambda: not cleaning.busy and all(cleaning.labels(one) is not None for one in compositions))
    for layer, composition in zip(dock.widget.views.gallery.masks, compositions, strict=True):
        assert_array_equal(planes(dock, layer), cleaned_labels(composition.predictions()))
    assert cleaner.begun == 3, "north is in view twice and one mask"


def test_a_mask_that_grows_is_cleaned_once_it_is_whole(north, gate, cleaner):
    dock = north
    told = []
    dock.widget.views.cleaning.told.connect(told.append)
    dock.session.set_postprocessing(LARGEST)
    gate.hold()
    dock.click_segment()
    gate.let(2)
    dock.wait(lambda: len(dock.slices) == 2 and not dock.widget.views.pending)
    dock.wait(lambda: told[-1:] == ["The clean-up follows when all slices are computed."])
    assert cleaner.begun == 0
    gate.open()
    dock.wait_complete()
    dock.wait(lambda: cleaner.begun == 1)
    cleaner.free = True
    cleaner.go.release()
    _, cleaned = masks_of(dock, LARGEST)
    dock.wait(lambda: np.array_equal(planes(dock, dock.mask), cleaned))
    dock.wait_idle()


# copies


def test_kept_it_is_a_copy_that_a_person_may_paint_in(whole, expected, tmp_path):
    dock = whole
    dock.click("film_keep")
    (kept,) = [layer for layer in dock.viewer.layers if layer.name == "lesion: north (kept)"]
    assert kept.editable
    assert isinstance(kept.data, np.ndarray)
    assert list(kept.features["site"]) == ["north", "north"]
    assert list(kept.features["label"]) == ["background", "lesion"]
    kept.save(str(tmp_path / "kept.nii"), plugin="napari-film")
    assert json.loads((tmp_path / "kept.json").read_text())["Metadata"] == {"site": "north"}
    dock.pick("site", "south")
    dock.wait_complete()
    assert_array_equal(dock.voxels(kept), expected["north"])
    assert_array_equal(dock.voxels(dock.mask), expected["south"])
    assert kept.name == "lesion: north (kept)"
    kept.brush_size = 1
    kept.paint((2, 3, 4), 1 - int(kept.data[2, 3, 4]))
    kept.save(str(tmp_path / "painted.nii"), plugin="napari-film")
    assert nifti.read(tmp_path / "painted.nii").data.sum() != nifti.read(tmp_path / "kept.nii").data.sum()
    assert not (tmp_path / "painted.json").exists(), "a file says how a mask came to be that a person has painted in"
    assert nifti.label_names(tmp_path / "painted.nii") == {1: "lesion"}
    dock.viewer.layers.remove("noise")
    assert "lesion: north (kept)" in dock.names()


def test_nothing_to_keep_is_one_sentence(north, notified):
    assert not north.child(QPushButton, "film_keep").isEnabled()
    assert north.widget.views.keep() is None


@pytest.mark.parametrize("what", ["slot", "difference", "cell", "map"])
def test_duplicated_by_napari_it_is_an_ordinary_layer(whole, what):
    dock = whole
    if what == "difference":
        dock.click("film_difference")
    if what == "cell":
        lay_out(dock, "stacked")
    if what == "map":
        tick(dock, "film_sensitivity")
    if what in ("cell", "map"):
        wait_compared(dock)
    name = {"slot": A, "difference": DIFFERENCE, "cell": "south", "map": MAP}[what]
    layer = dock.viewer.layers[name]
    dock.viewer.layers.selection = {layer}
    get_app_model().commands.execute_command("napari.layer.duplicate").result()
    copy = dock.viewer.layers[f"{name} copy"]
    assert isinstance(copy.data, np.ndarray)
    assert isinstance(layer.data, LiveArray)
    before = np.array(layer.data)
    assert_array_equal(copy.data, before)
    dock.session.set_metadata({"site": "unknown"})
    dock.session.set_postprocessing(Postprocessing(threshold=100))
    assert_array_equal(copy.data, before)
    if isinstance(copy, Labels):
        copy.data_setitem((np.array([0]), np.array([0]), np.array([0])), 9)
        assert not (np.asarray(layer.data) == 9).any()
    dock.viewer.layers.remove(copy)
    assert layer in dock.viewer.layers
    assert dock.session.results is not None


# what a person deletes by hand


def test_the_difference_deleted_by_hand_is_switched_off(whole):
    dock = whole
    button = dock.child(QPushButton, "film_difference")
    for _ in range(2):
        dock.click("film_difference")
        assert seen(dock) == ["noise", DIFFERENCE]
        dock.viewer.layers.remove(DIFFERENCE)
        dock.wait(lambda: not button.isChecked())
        assert seen(dock) == ["noise", A]
        assert dock.session.results.complete


def test_the_other_mask_deleted_by_hand_leaves_that_which_is_edited(whole, expected):
    dock = whole
    slider = dock.child(QWidget, "film_fade")
    fade(dock, 40)
    assert dock.session.slot == "A"
    assert seen(dock) == ["noise", A, B]
    dock.viewer.layers.remove(B)
    dock.wait(lambda: slider.value() == 0)
    assert seen(dock) == ["noise", A]
    assert dock.mask.opacity == OPACITY
    fade(dock, 60)
    assert seen(dock) == ["noise", A, B]
    assert_array_equal(dock.voxels(dock.viewer.layers[B]), expected["south"])


def test_a_mask_out_of_view_deleted_by_hand_comes_again(whole, expected):
    dock = whole
    dock.click("film_flip")
    dock.wait_complete()
    assert seen(dock) == ["noise", B]
    dock.viewer.layers.remove(A)
    assert seen(dock) == ["noise", B]
    assert dock.session.results.complete
    dock.click("film_flip")
    assert seen(dock) == ["noise", A]
    assert_array_equal(dock.voxels(dock.mask), expected["north"])


@pytest.mark.parametrize("state", ["alone", "faded", "difference", "grid", "map"])
def test_the_shown_mask_deleted_by_hand_ends_it(whole, state):
    dock = whole
    if state == "faded":
        fade(dock, 40)
    if state == "difference":
        dock.click("film_difference")
    if state == "grid":
        lay_out(dock, "grid")
    if state == "map":
        tick(dock, "film_sensitivity")
    dock.viewer.layers.remove(A)
    assert dock.names() == ["noise"]
    assert seen(dock) == ["noise"]
    assert dock.session.prepared is None
    assert not dock.viewer.canvas.grid.enabled
    assert not dock.child(QCheckBox, "film_sensitivity").isChecked()
    dock.click_segment()
    dock.wait_complete()
    assert dock.mask is not None


def test_a_map_deleted_by_hand_unticks_its_box(whole):
    dock = whole
    for name in ("film_sensitivity", "film_disagreement"):
        tick(dock, name)
    wait_compared(dock)
    dock.viewer.layers.remove(MAP)
    assert not dock.child(QCheckBox, "film_sensitivity").isChecked()
    assert dock.child(QCheckBox, "film_disagreement").isChecked()
    assert dock.names() == ["noise", A, "disagreement over 3 masks"]
    tick(dock, "film_sensitivity")
    assert MAP in dock.names()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["south", "image of unknown"])
def test_a_cell_deleted_by_hand_takes_the_grid_away(whole, name):
    dock = whole
    dock.click("film_flip")
    dock.wait_complete()
    before = dock.names(), seen(dock)
    lay_out(dock, "grid")
    wait_compared(dock)
    assert seen(dock) == [each for site in SITES for each in (f"image of {site}", site)]
    dock.viewer.layers.remove(name)
    dock.wait(lambda: not dock.viewer.canvas.grid.enabled)
    assert (dock.names(), seen(dock)) == before
    dock.click("film_flip")
    assert seen(dock) == ["noise", A]


def test_the_grid_goes_with_the_image_and_leaves_the_mask(whole, expected):
    dock = whole
    lay_out(dock, "grid")
    wait_compared(dock)
    dock.viewer.layers.remove("noise")
    assert dock.names() == ["lesion: north"]
    (mask,) = dock.viewer.layers
    assert mask.visible
    assert isinstance(mask.data, np.ndarray)
    assert_array_equal(dock.voxels(mask), expected["north"])
    assert not dock.viewer.canvas.grid.enabled


@pytest.mark.slow
def test_everything_deleted_in_the_grid(whole):
    dock = whole
    lay_out(dock, "grid")
    tick(dock, "film_disagreement")
    dock.viewer.layers.clear()
    assert dock.names() == []
    assert not dock.viewer.canvas.grid.enabled
    assert dock.session.prepared is None

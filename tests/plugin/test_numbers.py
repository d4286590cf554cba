"""The table below the picture, wired: its numbers are those of the masks that `Predictor` makes."""

import csv

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QPushButton

from napari_film.comparison.scores import component_count, hausdorff95, surface_dice
from napari_film.inference.postprocessing import Postprocessing
from napari_film.plugin.layers import layer_data_from_volume
from napari_film.volume import Volume

pytestmark = pytest.mark.usefixtures("on_the_cpu", "unpainted")

SITES = ("north", "south", "unknown")
SPACING = (3.0, 1.5, 1.0)  # mm along N, H, W of the sliced layout
STALE = "These numbers are of an earlier choice"


@pytest.fixture(scope="module")
def model(make_checkpoint, site):
    return make_checkpoint(site, seed=36)


@pytest.fixture(scope="module")
def volume(make_volume):
    """RAS, so that (N, H, W) is its transpose."""
    return make_volume((12, 16, 6), np.diag([1.0, 1.5, 3.0, 1.0]))


@pytest.fixture
def panel(dock):
    return dock.widget.comparison.numbers_panel


def click(dock, name, parent=None):
    button = dock.child(QPushButton, name) if parent is None else parent.findChild(QPushButton, name)
    dock.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def segment(dock, model, volume):
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    dock.wait_idle()
    click(dock, "film_numbers")


def compare(dock, panel):
    click(dock, "film_compare", panel)
    dock.wait(lambda: panel.findChild(QPushButton, "film_compare").text() == "Compare")


def reference(dock, array, affine, name="reference", names=None):
    """Open labels (I, J, K) as a file is opened."""
    data, given, _ = layer_data_from_volume(Volume(array, affine, f"{name}.nii"), kind="labels", names=names)
    return dock.viewer.add_labels(data, **given)


def status(panel):
    return panel.findChild(QLabel, "film_numbers_status").text()


def told(notified):
    return [notification.message for notification in notified]


def overlap(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_the_table_is_what_the_masks_say(dock, panel, model, volume, masks_by_predictor, tmp_path):
    segment(dock, model, volume)
    masks = {site: masks_by_predictor(model, [volume], {"site": site}) > 0 for site in SITES}
    truth = np.zeros(volume.data.shape, np.uint8)
    truth[2:9, 3:12, 1:5] = 1
    truth[:2, :2] = 2
    reference(dock, truth, volume.affine, names={1: "lesion", 2: "other"})
    assert panel.findChild(QComboBox, "film_reference").findText("reference") >= 0
    panel.setReference("reference")
    assert panel.findChild(QComboBox, "film_reference_label").findText("2 other") >= 0
    panel.setLabel(1)
    compare(dock, panel)
    shown = panel.comparison()
    assert [row.name for row in shown.rows] == list(SITES)
    wanted = truth.T == 1
    for row in shown.rows:
        mask = masks[row.name]
        assert row.volume_ml == pytest.approx(mask.sum() * 4.5 / 1000)
        assert row.components == component_count(mask)
        assert row.dice_a == pytest.approx(overlap(mask, masks["unknown"]))
        assert row.dice == pytest.approx(overlap(mask, wanted))
        assert row.surface_dice == pytest.approx(surface_dice(mask, wanted, SPACING, tolerance=2.0))
        assert row.hausdorff95 == pytest.approx(hausdorff95(mask, wanted, SPACING))
    best = max(SITES, key=lambda site: overlap(masks[site], wanted))
    assert shown.rows[shown.best].name == best
    assert status(panel).startswith(f"★ {best} fits the reference best. That is no diagnostic evidence")
    expected = [[overlap(masks[a], masks[b]) for b in SITES] for a in SITES]
    np.testing.assert_allclose(shown.agreement, expected)
    click(dock, "film_copy_numbers", panel)
    copied = QApplication.clipboard().text()
    assert [line.split("\t")[0] for line in copied.splitlines()] == ["Name", *SITES]
    panel.save(tmp_path / "numbers.csv")
    rows = list(csv.DictReader((tmp_path / "numbers.csv").open()))
    assert [float(row["dice_reference"]) for row in rows] == [row.dice for row in shown.rows]


def test_a_reference_on_another_grid_is_resampled_and_that_is_said(dock, panel, model, volume, masks_by_predictor):
    segment(dock, model, volume)
    affine = np.diag([2.0, 3.0, 3.0, 1.0])
    affine[:2, 3] = 0.5, 0.75
    coarse = np.zeros((6, 8, 6), np.uint8)
    coarse[1:5, 2:6, 1:5] = 1
    reference(dock, coarse, affine)
    panel.setReference("reference")
    compare(dock, panel)
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1)  # each coarse voxel is 2 x 2 fine ones
    for row in panel.comparison().rows:
        assert row.dice == pytest.approx(overlap(masks_by_predictor(model, [volume], {"site": row.name}) > 0, fine.T > 0))
    assert "reference.nii was resampled from 6 x 8 x 6 at 2 x 3 x 3 mm to 12 x 16 x 6 at 1 x 1.5 x 3 mm" in status(panel)


def test_a_reference_of_another_place_is_one_sentence(dock, panel, model, volume, notified):
    segment(dock, model, volume)
    far = volume.affine.copy()
    far[:3, 3] = 900
    reference(dock, np.ones(volume.data.shape, np.uint8), far)
    panel.setReference("reference")
    compare(dock, panel)
    assert len(notified) == 1
    assert "No foreground of reference.nii lies inside the image" in told(notified)[0]
    assert panel.comparison() is None
    panel.setReference(None)
    compare(dock, panel)
    assert len(panel.comparison().rows) == 3
    assert {row.dice for row in panel.comparison().rows} == {None}


def test_a_label_that_the_reference_lacks_and_an_empty_one(dock, panel, model, volume, notified):
    segment(dock, model, volume)
    layer = reference(dock, np.full(volume.data.shape, 7, np.int16), volume.affine)
    panel.setReference("reference")
    panel.setLabel(7)
    layer.data = np.full(layer.data.shape, 5, np.int16)  # painted over since
    compare(dock, panel)
    assert told(notified) == ["reference.nii has no voxel of label 7; choose one of 5."]
    panel.setLabel(None)
    layer.data = np.zeros(layer.data.shape, np.int16)
    compare(dock, panel)
    assert told(notified)[1:] == ["reference.nii has no voxel above zero; choose a mask that has some."]


def test_a_reference_drawn_by_hand_lies_on_the_image(dock, panel, model, make_volume, masks_by_predictor, notified):
    """Of 1 mm voxels, so that nothing but the image says how large they are."""
    volume = make_volume((12, 16, 6), np.diag([-1.0, 1, 1, 1]))
    segment(dock, model, volume)
    image = dock.viewer.layers["noise"]
    drawn = np.zeros(image.data.shape, np.uint8)
    drawn[1:5, 4:12, :5] = 1
    dock.viewer.add_labels(drawn, name="drawn", scale=image.scale, translate=image.translate)
    panel.setReference("drawn")
    compare(dock, panel)
    assert not any("voxel" in sentence for sentence in told(notified))
    row = next(row for row in panel.comparison().rows if row.name == "north")
    mask = masks_by_predictor(model, [volume], {"site": "north"}) > 0  # (S, A, R), as the layer is
    assert row.dice == pytest.approx(overlap(mask, drawn > 0))


def test_the_reference_may_be_deleted_and_masks_that_are_shown_are_none(dock, panel, model, volume):
    segment(dock, model, volume)
    combo = panel.findChild(QComboBox, "film_reference")
    assert combo.count() == 1  # none but "no reference"
    layer = reference(dock, np.ones(volume.data.shape, np.uint8), volume.affine)
    panel.setReference("reference")
    compare(dock, panel)
    assert panel.comparison().best is not None
    dock.viewer.layers.remove(layer)
    assert panel.reference() is None
    assert STALE in status(panel)
    compare(dock, panel)
    assert {row.dice for row in panel.comparison().rows} == {None}
    assert STALE not in status(panel)


def test_a_changed_threshold_makes_them_old(dock, panel, model, volume, masks_by_predictor):
    segment(dock, model, volume)
    compare(dock, panel)
    before = [row.volume_ml for row in panel.comparison().rows]
    assert STALE not in status(panel)
    dock.widget.mask_form.setValue(Postprocessing(threshold=30, largest_component=True))
    assert STALE in status(panel)
    assert [row.volume_ml for row in panel.comparison().rows] == before
    compare(dock, panel)
    assert STALE not in status(panel)
    assert [row.volume_ml for row in panel.comparison().rows] != before
    assert {row.components for row in panel.comparison().rows} == {1}
    dock.pick("site", "south")  # A is another mask now
    assert STALE in status(panel)


def test_one_table_of_structures_where_the_field_is_a_target(dock, panel, make_checkpoint, tumor, site, volume):
    segment(dock, make_checkpoint(tumor, site, seed=18), volume)
    combo = panel.findChild(QComboBox, "film_reference")
    assert not combo.isVisibleTo(panel)
    reference(dock, np.ones(volume.data.shape, np.uint8), volume.affine)
    panel.setReference("reference")
    compare(dock, panel)
    shown = panel.comparison()
    assert [row.name for row in shown.rows] == [f"{value}, unknown" for value in tumor.values]
    assert shown.agreement is None
    assert {(row.dice_a, row.dice, row.surface_dice) for row in shown.rows} == {(None, None, None)}
    assert "different structures" in " ".join(label.text() for label in panel.findChildren(QLabel) if label.isVisibleTo(panel))
    dock.pick("film_step_field", "site")
    assert combo.isVisibleTo(panel)
    compare(dock, panel)
    assert [row.name for row in panel.comparison().rows] == [f"astrocytoma, {value}" for value in SITES]
    assert None not in {row.dice for row in panel.comparison().rows}


def test_of_several_classes_it_says_what_counts(dock, panel, make_checkpoint, site, volume, masks_by_predictor):
    model = make_checkpoint(site, seed=36, classes=("core", "edema"))
    segment(dock, model, volume)
    compare(dock, panel)
    assert "The foreground of all classes counts together." in status(panel)
    row = panel.comparison().rows[0]
    assert row.volume_ml == pytest.approx((masks_by_predictor(model, [volume], {"site": "north"}) > 0).sum() * 4.5 / 1000)


def test_masks_that_are_missing_are_computed_first_and_may_be_cancelled(dock, gate, panel, make_checkpoint, site, age, volume):
    segment(dock, make_checkpoint(site, age, seed=36), volume)
    dock.pick("film_step_field", "age")
    gate.hold()
    button = panel.findChild(QPushButton, "film_compare")
    click(dock, "film_compare", panel)
    assert button.text() == "Cancel"
    assert status(panel) == "1 of 5 values are computed."
    click(dock, "film_compare", panel)
    assert button.text() == "Compare"
    click(dock, "film_compare", panel)
    assert button.text() == "Cancel"
    dock.click_segment()  # Cancel there, too
    assert button.text() == "Compare"
    gate.open()
    compare(dock, panel)
    assert [row.name for row in panel.comparison().rows] == [f"unknown, {number}" for number in (0, 25, 50, 75, 100)]


def test_before_segment_one_sentence_and_nothing_after_another_model(dock, panel, model, volume, make_checkpoint, notified):
    dock.add(volume)
    dock.widget.picker.choose(model)
    click(dock, "film_numbers")
    click(dock, "film_compare", panel)
    assert told(notified) == ["No images are open yet; press Segment first, then masks can be compared."]
    dock.click_segment()
    dock.wait_complete()
    dock.wait_idle()
    compare(dock, panel)
    assert panel.comparison() is not None
    dock.widget.picker.choose(make_checkpoint(seed=3))
    assert panel.comparison() is None
    dock.click_segment()
    dock.wait_complete()
    compare(dock, panel)
    assert [row.name for row in panel.comparison().rows] == ["no metadata"]

"""The dock in a real window: a person clicks, masks come, and they are those of `Predictor`, on disk too."""

import json
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QLabel, QPushButton

from napari_film import nifti
from napari_film.bundled import bundled_checkpoints
from napari_film.checkpoint import load_checkpoint
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.plan import Plan
from napari_film.inference.prediction import joint_labels
from napari_film.inference.predictor import Predictor
from napari_film.inference.sidecar import sidecar_path
from napari_film.plugin.layers import geometry_of
from napari_film.plugin.session import State

pytestmark = pytest.mark.usefixtures("on_the_cpu")

VALUES = ("astrocytoma", "ependymoma", "hemangioblastoma")


@pytest.fixture(scope="module")
def model(make_checkpoint, tumor):
    """Of sagittal slices, on a spacing of its own."""
    return make_checkpoint(tumor, seed=18, preprocessing={"slice_axis": "sagittal", "spacing": (None, 1.5, 1.5)})


@pytest.fixture(scope="module")
def volume(make_volume, make_affine):
    """Stored in an odd order, oblique."""
    return make_volume((16, 12, 20), make_affine((2, 0, 1), (True, False, True), spacing=(1.5, 3, 1), angles=(4, 0, 7)))


def sliced(dock):
    """The shown mask as the session slices it."""
    header = dock.session.header
    return geometry_of(dock.mask).to_sliced(np.asarray(dock.mask.data), header.preprocessing.slice_axis)


def test_open_segment_swap_save_read_back(dock, model, volume, masks_by_predictor, tmp_path):
    dock.add(volume)
    dock.widget.picker.choose(model)
    assert dock.session.state is State.READY
    dock.click_segment()
    dock.wait_complete()
    names = []
    for value in (*VALUES, VALUES[0]):
        dock.pick("tumor_type", value)
        dock.wait_complete()
        expected = masks_by_predictor(model, [volume], {"tumor_type": value})
        assert 0 < (expected == 1).mean() < 1
        assert np.array_equal(sliced(dock), expected)
        names.append(dock.mask.name)

        path = tmp_path / f"{value}.nii.gz"
        dock.widget.keep.save(path)
        exported = tmp_path / f"{value}-export.nii"
        dock.mask.save(str(exported), plugin="napari-film")
        stored = dock.session.prepared.to_source(expected)
        for file in (path, exported):
            written = nifti.read(file)
            assert np.array_equal(written.data, stored)
            np.testing.assert_allclose(written.affine, volume.affine, atol=1e-5)
            assert nifti.label_names(file) == {1: value}
        beside = json.loads(sidecar_path(path).read_text())
        assert beside == json.loads(sidecar_path(exported).read_text())
        assert beside["Metadata"] == {"tumor_type": value}
        assert beside["Model"]["File"] == model.name
        assert beside["VolumesMl"][value] == pytest.approx((stored == 1).sum() * 4.5 / 1000, abs=1e-4)
    assert names == [f"A · lesion: {value}" for value in (*VALUES, VALUES[0])]
    assert [layer.name for layer in dock.viewer.layers] == ["noise", "A · lesion: astrocytoma"]


def test_the_view_turns_and_says_so(dock, model, volume):
    dock.add(volume)
    dock.widget.picker.choose(model)
    assert dock.viewer.dims.order == (0, 1, 2)
    dock.click_segment()
    dock.wait_complete()
    assert dock.viewer.dims.order == (2, 0, 1)
    assert "sagittal slices: what is in view is one of them" in dock.widget.slice_view._line.text()
    letters = dock.widget.slice_view.letters()
    assert (letters.left, letters.top, letters.right, letters.bottom) == ("A", "S", "P", "I")


def test_keyboard_chooses_and_the_canvas_gets_its_letters(dock, model, volume):
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    combo = dock.child(QComboBox, "tumor_type")
    combo.setFocus()
    dock.qtbot.keyClick(combo, Qt.Key.Key_Down)
    dock.wait(lambda: dock.mask.name == "A · lesion: ependymoma")
    dock.qtbot.keyClick(combo, Qt.Key.Key_Space)
    dock.wait(combo.view().isVisible)
    dock.qtbot.keyClick(combo.view(), Qt.Key.Key_Down)
    dock.qtbot.keyClick(combo.view(), Qt.Key.Key_Return)
    dock.wait(lambda: dock.mask.name == "A · lesion: hemangioblastoma")
    dock.pick("tumor_type", "astrocytoma")
    assert dock.mask.name == "A · lesion: astrocytoma"
    assert not combo.hasFocus()
    visible = dock.mask.visible
    window = dock.widget.window()
    window.activateWindow()
    dock.wait(window.isActiveWindow)
    target = QApplication.focusWidget() or window
    assert not isinstance(target, QComboBox)
    dock.qtbot.keyClick(target, Qt.Key.Key_E)  # a letter that begins a value's name
    dock.qtbot.keyClick(target, Qt.Key.Key_V)  # napari: hide and show the layer
    assert dock.mask.name == "A · lesion: astrocytoma"
    assert dock.mask.visible is not visible


def test_all_values_in_one_mask_by_a_click(dock, model, volume, masks_by_predictor, tmp_path):
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    box = dock.child(QCheckBox, "film_all_values")
    assert box.isVisible()
    dock.qtbot.mouseClick(box, Qt.MouseButton.LeftButton)
    assert box.isChecked()
    assert not dock.child(QComboBox, "tumor_type").isEnabled()
    dock.wait_complete()
    expected = masks_by_predictor(model, [volume], *({"tumor_type": value} for value in VALUES))
    assert np.array_equal(sliced(dock), expected)
    assert set(np.unique(expected)) == {0, 1, 2, 3}
    assert dock.mask.name == "A · lesion: all values"
    dock.widget.keep.save(tmp_path / "all.nii")
    assert nifti.label_names(tmp_path / "all.nii") == dict(enumerate(VALUES, start=1))
    assert list(dock.mask.features["label"]) == ["background", *VALUES]
    dock.qtbot.mouseClick(box, Qt.MouseButton.LeftButton)
    assert dock.child(QComboBox, "tumor_type").isEnabled()


def test_a_plain_model_offers_no_values(dock, make_checkpoint, volume, masks_by_predictor):
    plain = make_checkpoint()
    dock.add(volume)
    dock.widget.picker.choose(plain)
    assert not dock.child(QCheckBox, "film_all_values").isVisible()
    dock.click_segment()
    dock.wait_complete()
    assert dock.mask.name == "A · lesion: no metadata"
    assert np.array_equal(sliced(dock), masks_by_predictor(plain, [volume], {}))


def test_segmenting_again_replaces_the_mask_and_computes_nothing(dock, model, volume):
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    dock.wait_idle()
    first, computed = dock.mask, len(dock.slices)
    dock.click_segment()
    dock.wait(lambda: dock.mask is not None and dock.mask is not first)
    assert dock.session.results.complete
    assert len(dock.slices) == computed
    assert [layer.name for layer in dock.viewer.layers] == ["noise", "A · lesion: astrocytoma"]


def test_a_part_of_a_mask_says_so_on_disk(dock, gate, model, volume, tmp_path):
    dock.add(volume)
    dock.widget.picker.choose(model)
    gate.hold()
    dock.click_segment()
    gate.let(3)
    dock.wait(lambda: len(dock.slices) == 3 and not dock.widget.views.pending)
    dock.click_segment()  # Cancel
    assert dock.session.state is State.READY
    mask = sliced(dock)
    missing = (mask == NOT_COMPUTED).all(axis=(1, 2))
    assert (~missing).sum() == 3
    dock.widget.keep.save(tmp_path / "part.nii")
    dock.mask.save(str(tmp_path / "export.nii"), plugin="napari-film")
    for name in ("part.nii", "export.nii"):
        written = nifti.read(tmp_path / name)
        assert np.array_equal(written.data == NOT_COMPUTED, dock.session.prepared.to_source(mask) == NOT_COMPUTED)
        assert nifti.label_names(tmp_path / name) == {1: "astrocytoma", NOT_COMPUTED: "not computed"}
    beside = json.loads((tmp_path / "part.json").read_text())
    assert "VolumesMl" not in beside
    assert beside["Coverage"]["SlicesComputed"] == int((~missing).sum())
    assert not (tmp_path / "export.json").exists()


def test_saving_needs_a_mask(dock, model, volume, tmp_path):
    button = dock.child(QPushButton, "film_save")
    assert not button.isEnabled()
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    assert button.isEnabled()
    dock.session.forget()
    assert not button.isEnabled()


def test_the_save_button_asks_where(dock, model, volume, tmp_path, monkeypatch):
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    answers = iter(["", str(tmp_path / "mask.nii.gz"), str(tmp_path / "missing" / "mask.nii.gz")])
    monkeypatch.setattr("napari_film.plugin.keep_panel.QFileDialog.getSaveFileName", lambda *_: (next(answers), ""))
    for count in (0, 2, 2):
        dock.qtbot.mouseClick(dock.child(QPushButton, "film_save"), Qt.MouseButton.LeftButton)
        assert len(list(tmp_path.iterdir())) == count


def test_samples_choose_their_model_and_never_a_person_s(dock, model, volume):
    demos = bundled_checkpoints()
    assert set(demos) == {"abdomen", "cardiac", "clevr_seg", "spinal_tumor"}
    dock.viewer.open_sample("napari-film", "abdomen")
    assert dock.session.checkpoint == demos["abdomen"]
    dock.viewer.open_sample("napari-film", "spinal_tumor")
    assert dock.session.checkpoint == demos["spinal_tumor"]
    assert [layer.name for layer in dock.widget.channel_form.value()] == ["Spine, Gd-e T1w", "Spine, T2w"]
    dock.widget.picker.choose(model)
    dock.viewer.open_sample("napari-film", "abdomen")
    assert dock.session.checkpoint == model


def test_channels_on_other_grids_are_shown_on_the_reference_s(dock, make_checkpoint, make_volume, make_affine, tumor, masks_by_predictor):
    model = make_checkpoint(tumor, channels=2)
    reference = make_volume((16, 12, 10), make_affine(spacing=(1, 1, 2)))
    other = make_volume((12, 14, 14), make_affine(spacing=(1.2, 1, 1.5), angles=(10, 0, 0), origin=(1, -1, 2)), seed=1)
    a, b = dock.add(reference, name="channel 0"), dock.add(other, name="channel 1")
    dock.widget.picker.choose(model)
    assert dock.widget.channel_form.value() == [a, b]
    dock.click_segment()
    dock.wait_complete()
    metadata = {"tumor_type": "astrocytoma"}
    assert np.array_equal(sliced(dock), masks_by_predictor(model, [reference, other], metadata))
    stand_in = dock.viewer.layers["channel 1 (on the grid of channel 0)"]
    assert not b.visible
    assert np.allclose(stand_in.scale, a.scale)
    assert stand_in.data.shape == a.data.shape
    assert dock.widget.channel_form.value() == [a, b]
    prepared = dock.session.prepared
    dock.wait(lambda: all(resliced.complete for resliced in dock.widget.layers._resliced))
    expected = np.stack([prepared.channels[1].slice(i) for i in range(10)])
    assert np.array_equal(geometry_of(stand_in).to_sliced(stand_in.data, "axial"), expected)
    part = int(100 * prepared.coverage[1])
    assert f"channel 1 covers {part} % of channel 0." in dock.widget.run_panel._banner.text()
    assert part < 100
    dock.viewer.layers.remove(dock.mask)
    assert b.visible
    assert [layer.name for layer in dock.viewer.layers] == ["channel 0", "channel 1"]


def test_image_on_disk_through_napari_s_own_menus(dock, model, volume, tmp_path):
    nifti.write(tmp_path / "sub-1_T2w.nii.gz", volume.data, volume)
    dock.viewer.open(str(tmp_path / "sub-1_T2w.nii.gz"), plugin="napari-film")
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    assert dock.session.sources == ("sub-1_T2w.nii.gz",)
    dock.viewer.layers.selection = {dock.mask}
    dock.viewer.layers.save(str(tmp_path / "mask.nii.gz"), selected=True, plugin="napari-film")
    assert np.array_equal(nifti.read(tmp_path / "mask.nii.gz").data, dock.session.predictions()[0].mask())
    (again,) = dock.viewer.open(str(tmp_path / "mask.nii.gz"), plugin="napari-film")
    assert np.array_equal(again.data, dock.mask.data)
    assert Path(sidecar_path(tmp_path / "mask.nii.gz")).exists()


REAL = {
    "spine": ("mri_spine_bids/sub-unf01/anat/sub-unf01_T1w.nii.gz", "mri_spine_bids/sub-unf01/anat/sub-unf01_T2w.nii.gz"),
    "abdomen": ("ct_abdomen/ct_first_30_slices.nii.gz",),
}


@pytest.mark.parametrize("name", REAL)
def test_a_real_patient(dock, shared, name, make_checkpoint, tumor, masks_by_predictor, tmp_path):
    files = [shared / file for file in REAL[name]]
    demo = bundled_checkpoints().get("abdomen")
    if name == "abdomen" and demo is not None:
        model, field = demo, "organ"
        values = load_values(demo)[:2]
    else:
        model, field, values = (
            make_checkpoint(tumor, channels=len(files)),
            "tumor_type",
            VALUES[:2],
        )
    dock.viewer.open([str(file) for file in files], plugin="napari-film")
    dock.widget.picker.choose(model)
    images = list(dock.viewer.layers)
    dock.widget.channel_form.setValue(images)
    dock.click_segment()
    dock.wait_complete()
    volumes = [nifti.read(file) for file in files]
    for value in values:
        dock.pick(field, value.replace("_", " "))
        dock.wait_complete()
        dock.session.cancel()  # other values would only slow down the comparison
        metadata = {**dock.session.metadata, field: value}
        assert dock.session.metadata == metadata
        expected = masks_by_predictor(model, volumes, metadata)
        assert np.array_equal(sliced(dock), expected)
        dock.mask.save(str(tmp_path / f"{value}.nii.gz"), plugin="napari-film")
        written = nifti.read(tmp_path / f"{value}.nii.gz")
        assert np.array_equal(written.data, dock.session.prepared.to_source(expected))
        assert np.array_equal(written.affine, volumes[0].affine)


def load_values(checkpoint):
    from napari_film.header import read_header

    return read_header(checkpoint).metadata_schema.target.values


def test_a_precision_that_is_settled_on_the_way(dock, make_checkpoint, tumor, make_volume, monkeypatch):
    """What came in 32 bits is void and comes again in 16, under words that say so; no warning."""
    monkeypatch.setattr(Plan, "reduced", lambda plan, *_: plan.model_copy(update={"precision": "bfloat16"}))
    monkeypatch.setattr("napari_film.inference.selfcheck.disagreement", lambda *_: "")
    checkpoint, volume = make_checkpoint(tumor, seed=18), make_volume((12, 16, 20))
    plans = []
    dock.session.plan_changed.connect(plans.append)
    dock.add(volume)
    dock.widget.picker.choose(checkpoint)
    dock.click_segment()
    dock.wait_complete()
    dock.wait_idle()
    assert [plan.precision for plan in plans] == ["float32", "bfloat16"]
    assert sorted(dock.slices[-20:]) == list(range(20))
    predictor = Predictor(load_checkpoint(checkpoint), plan=plans[-1])
    expected = joint_labels([predictor.predict([volume], {"tumor_type": "astrocytoma"})])
    assert np.array_equal(geometry_of(dock.mask).to_sliced(np.asarray(dock.mask.data), "axial"), expected)
    device = dock.child(QLabel, "film_device")
    assert device.text() == "Device: CPU, 16-bit (bfloat16), checked against 32-bit"
    assert device.toolTip() == dock.session.checked != ""
    assert dock.session.checked in dock.session.opened.notices
    assert dock.session.checked not in dock.child(QLabel, "film_banner").text()

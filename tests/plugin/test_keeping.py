"""What a person takes along: weights, thresholds and clean-ups by hand, saved, and made again by the copied command."""

import json
import shlex
import sys

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QCheckBox, QLabel, QPushButton

from napari_film import cli, nifti
from napari_film.checkpoint import load_checkpoint
from napari_film.inference.mixture import Mixture
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.predictor import Predictor
from napari_film.inference.sidecar import sidecar_path
from napari_film.plugin.layers import geometry_of
from napari_film.plugin.number_box import NumberBox
from napari_film.plugin.slider import Slider

pytestmark = pytest.mark.usefixtures("on_the_cpu", "unpainted")

THRESHOLDS = [
    {"when": {"site": "north"}, "classes": (60,)},
    {"when": {"site": "south"}, "classes": (175,)},
    {"when": {"tumor_type": "ependymoma"}, "classes": (90,)},
]
TUMOR = "astrocytoma"


@pytest.fixture(scope="module")
def model(make_checkpoint, tumor, site):
    """A target and a context, with thresholds of their own."""
    return make_checkpoint(tumor, site, seed=5, header={"thresholds": THRESHOLDS})


@pytest.fixture(scope="module")
def image(tmp_path_factory, make_volume, make_affine):
    """A file that is stored in an odd order, oblique, in a folder that a shell has to be told of."""
    path = tmp_path_factory.mktemp("O'Neill & sons") / "the image.nii.gz"
    volume = make_volume((16, 6, 12), make_affine((2, 0, 1), (True, False, True), spacing=(3, 1.5, 1), angles=(4, 0, 7)))
    nifti.write(path, volume.data, volume)
    return path


@pytest.fixture
def opened(dock, model, image):
    """The image segmented, everything that comes ahead, too."""
    dock.viewer.open(image, plugin="napari-film")
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    dock.wait_idle()
    return dock


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(load_checkpoint(model), device="cpu")


def click(dock, name):
    dock.qtbot.mouseClick(dock.child(QPushButton, name), Qt.MouseButton.LeftButton)


def tick(dock, name):
    box = dock.child(QCheckBox, name)
    dock.qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))


def weigh(dock, value, percent):
    dock.child(Slider, f"film_weight_{value}").setValue(percent)


def shown(dock):
    """The shown mask, whole and cleaned, as the session slices it."""
    return geometry_of(dock.mask).to_sliced(np.asarray(dock.mask.data), "axial")


def plain(dock):
    pass


def cleaned(dock):
    dock.child(Slider, "film_threshold").setValue(120)
    tick(dock, "film_largest")
    tick(dock, "film_fill_holes")
    dock.child(NumberBox, "film_smallest").setValue(9)


def expected(dock):
    tick(dock, "film_uncertain")
    weigh(dock, "north", 70)


def blended(dock):
    expected(dock)
    dock.pick("film_mixture_mode", "Blended metadata")


def all_values(dock):
    dock.pick("site", "north")
    tick(dock, "film_all_values")


def everything(dock):
    all_values(dock)
    expected(dock)
    cleaned(dock)


def stepped(dock):
    click(dock, "film_slot_b")
    click(dock, "film_step_on")


@pytest.mark.parametrize("hand", [plain, cleaned, expected, blended, all_values, everything, stepped])
def test_the_copied_command_makes_the_saved_mask(opened, hand, image, tmp_path, monkeypatch):
    hand(opened)
    opened.wait_complete()
    saved = tmp_path / "saved.nii.gz"
    opened.widget.keep.save(saved)
    click(opened, "film_command")
    name, *words = shlex.split(QApplication.clipboard().text())
    assert name == "napari-film"
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    monkeypatch.setattr(sys, "argv", [name, *words])
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main()
    made, mask = nifti.read(tmp_path / "there" / "mask.nii.gz"), nifti.read(saved)
    assert 0 < (mask.data > 0).mean() < 1
    assert np.array_equal(made.data, mask.data)
    np.testing.assert_array_equal(made.affine, mask.affine)
    np.testing.assert_allclose(made.affine, nifti.read(image).affine, atol=1e-5)
    said, again = (json.loads(sidecar_path(path).read_text()) for path in (saved, tmp_path / "there" / "mask.nii.gz"))
    for key in ("Metadata", "Labels", "Thresholds", "Plan", "VolumesMl", "Model", "Sources"):
        assert said[key] == again[key], key
    assert [said.get(key) for key in ("Mixture", "Postprocessing")] == [again.get(key) for key in ("Mixture", "Postprocessing")]


def test_the_ways_give_other_masks(opened, tmp_path):
    """Else the test before would show little."""
    masks = {}
    for hand in (plain, cleaned, blended, stepped):
        hand(opened)
        opened.wait_complete()
        opened.widget.keep.save(tmp_path / "mask.nii")
        masks[hand.__name__] = nifti.read(tmp_path / "mask.nii").data.tobytes()
    assert len(set(masks.values())) == len(masks)


def test_an_image_of_no_file_is_one_sentence(dock, model, make_volume, notified):
    dock.add(make_volume((10, 12, 3)))
    dock.widget.picker.choose(model)
    assert not dock.child(QPushButton, "film_command").isEnabled()
    dock.click_segment()
    dock.wait_complete()
    click(dock, "film_command")
    sentences = [notification.message for notification in notified]
    assert sentences == ["The image for channel 0 was not opened from a NIfTI file; save it as one and open that."]


def test_weights_make_the_expected_mask(opened, predictor, image):
    volume = nifti.read(image)
    tick(opened, "film_uncertain")
    weigh(opened, "north", 70)
    opened.wait_complete()
    mixture = Mixture(field="site", percent={"north": 70, "south": 30})
    wanted = predictor.predict_mixture([volume], {"tumor_type": TUMOR}, mixture)
    assert np.array_equal(shown(opened), opened.session.prepared.from_source(wanted.mask()))
    assert opened.mask.name == "A · lesion: astrocytoma, 70 % north + 30 % south"
    own = opened.child(QPushButton, "film_own_threshold").text()
    assert own == f"Model's threshold ({wanted.thresholds[0] / 256:.2f})"
    weigh(opened, "south", 100)
    opened.wait_complete()
    alone = predictor.predict([volume], {"tumor_type": TUMOR, "site": "south"})
    assert np.array_equal(shown(opened), opened.session.prepared.from_source(alone.mask()))
    tick(opened, "film_uncertain")
    assert opened.mask.name == "A · lesion: astrocytoma, unknown"
    known = predictor.predict([volume], {"tumor_type": TUMOR, "site": "unknown"})
    assert np.array_equal(shown(opened), opened.session.prepared.from_source(known.mask()))


def test_blended_is_marked_everywhere(opened, predictor, image, tmp_path):
    blended(opened)
    opened.wait_complete()
    mixture = Mixture(field="site", percent={"north": 70, "south": 30}, mode="blended")
    wanted = predictor.predict_mixture([nifti.read(image)], {"tumor_type": TUMOR}, mixture)
    assert np.array_equal(shown(opened), opened.session.prepared.from_source(wanted.mask()))
    assert opened.mask.name.endswith("70 % north + 30 % south (blended)")
    warning = opened.child(QLabel, "film_mixture_says")
    assert warning.isVisible()
    assert warning.text().startswith("⚠")
    assert "off the training distribution" in warning.text()
    opened.mask.save(str(tmp_path / "mask.nii.gz"), plugin="napari-film")
    said = json.loads((tmp_path / "mask.json").read_text())
    assert said["Mixture"] == {"Field": "site", "Percent": {"north": 70, "south": 30}, "Mode": "blended", "OffTrainingDistribution": True}
    assert said["MetadataOrigin"]["site"] == "you"
    assert "site" not in said["Metadata"]


def test_each_slot_has_its_own_weights(opened):
    expected(opened)
    opened.wait_complete()
    click(opened, "film_flip")
    box = opened.child(QCheckBox, "film_uncertain")
    assert not box.isChecked()
    assert opened.session.choice.mixture is None
    tick(opened, "film_uncertain")
    weigh(opened, "north", 10)
    opened.wait_complete()
    assert opened.mask.name == "B · lesion: ependymoma, 10 % north + 90 % south"
    click(opened, "film_flip")
    assert opened.mask.name == "A · lesion: astrocytoma, 70 % north + 30 % south"
    assert opened.child(Slider, "film_weight_north").value() == 70
    tick(opened, "film_uncertain")
    click(opened, "film_flip")
    assert opened.child(QCheckBox, "film_uncertain").isChecked()
    assert opened.child(Slider, "film_weight_north").value() == 10


def test_threshold_and_clean_up_follow_and_the_network_rests(dock, gate, model, image, predictor):
    dock.viewer.open(image, plugin="napari-film")
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    dock.wait_idle()
    own = dock.child(QPushButton, "film_own_threshold")
    dock.pick("site", "north")
    assert own.text() == "Model's threshold (0.23)"
    dock.pick("site", "south")
    assert own.text() == "Model's threshold (0.68)"
    dock.wait_idle()
    begun = len(gate.order)
    prediction = predictor.predict([nifti.read(image)], {"tumor_type": TUMOR, "site": "south"})
    seen = dock.widget.layers.visible
    counts = []
    for steps in (20, 60, 128, 200):
        dock.child(Slider, "film_threshold").setValue(steps)
        drawn = np.asarray(dock.mask._slice.image.raw)  # what napari has in view
        wanted = (prediction.kept.q[0] >= steps)[seen]
        assert np.array_equal(np.sort(drawn, axis=None), np.sort(wanted, axis=None))
        assert np.array_equal(shown(dock) > 0, prediction.kept.q[0] >= steps)
        counts.append(wanted.sum())
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
    click(dock, "film_own_threshold")
    assert np.array_equal(shown(dock) > 0, prediction.kept.q[0] >= 175)
    cleaned(dock)
    dock.wait(lambda: dock.child(QLabel, "film_clean_status").text() == "" and dock.mask.data.source._cleaned is not None)
    asked = Postprocessing(threshold=120, largest_component=True, smallest_mm3=9, fill_holes=True)
    labels = (prediction.kept.q[0] >= 120).astype(np.uint8)
    assert not np.array_equal(asked.apply(labels, 4.5), labels)
    assert np.array_equal(shown(dock), asked.apply(labels, 4.5))
    assert len(gate.order) == begun

"""Whatever is wrong with what a person gives: one sentence, and the viewer as it was."""

import gzip
import json
import re
import struct

import numpy as np
import pytest
import torch
from napari.layers import Image
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QComboBox, QPushButton

from napari_film import nifti
from napari_film.nifti import NiftiError
from napari_film.plugin.layers import has_geometry
from napari_film.plugin.session import State
from napari_film.plugin.voxel_size_dialog import VoxelSizeDialog
from napari_film.volume import Volume

pytestmark = pytest.mark.usefixtures("on_the_cpu", "unpainted")


@pytest.fixture(scope="module")
def model(make_checkpoint, tumor):
    return make_checkpoint(tumor, seed=18)


@pytest.fixture
def complete(dock, model, make_volume, tmp_path):
    """The dock with a whole mask, which nothing of what follows may harm."""
    dock.add(make_volume((12, 16, 5)))
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    dock.wait_idle()
    return dock


def sentences(notified):
    return [note.message for note in notified]


def as_it_was(dock):
    """What must not change: layers, their data and names, the chosen model, the metadata."""
    layers = [(layer.name, layer.visible, np.array(layer.data)) for layer in dock.viewer.layers]
    return (
        layers,
        dock.session.checkpoint,
        dock.widget.picker.value(),
        dock.session.metadata,
        dock.session.state,
        dock.widget.metadata.form.value(),
    )


def assert_same(before, after):
    for (name, visible, data), (name_after, visible_after, data_after) in zip(before[0], after[0], strict=True):
        assert (name, visible) == (name_after, visible_after)
        assert np.array_equal(data, data_after, equal_nan=data.dtype.kind == "f")
    assert before[1:] == after[1:]


# checkpoints


def header_and_rest(path):
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(path, header, rest):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)


def truncated(source, path):
    path.write_bytes(source.read_bytes()[:-100])


def cut_in_the_header(source, path):
    path.write_bytes(source.read_bytes()[:50])


def empty(source, path):
    path.write_bytes(b"")


def pickled(source, path):
    torch.save({"weights": torch.zeros(3)}, path)


def without_header(source, path):
    header, rest = header_and_rest(source)
    del header["__metadata__"]
    with_header(path, header, rest)


def of_the_future(source, path):
    header, rest = header_and_rest(source)
    (key,) = header["__metadata__"]
    content = json.loads(header["__metadata__"][key])
    content["format"] = [99, 0]
    header["__metadata__"][key] = json.dumps(content)
    with_header(path, header, rest)


def gone(source, path):
    pass


CHECKPOINTS = {
    truncated: "cut off or damaged",
    cut_in_the_header: "cut off",
    empty: "is not a .safetensors file",
    pickled: "is a pickled model",
    without_header: "header",
    of_the_future: "99",
    gone: "does not exist",
}


@pytest.mark.parametrize("damage", CHECKPOINTS, ids=lambda damage: damage.__name__)
def test_a_checkpoint_that_cannot_be_used(complete, model, damage, tmp_path, notified):
    path = tmp_path / "bad.safetensors"
    damage(model, path)
    before = as_it_was(complete)
    complete.widget.picker.choose(path)
    (sentence,) = sentences(notified)
    assert CHECKPOINTS[damage] in sentence
    assert sentence.startswith("bad.safetensors")
    assert str(tmp_path) not in sentence
    assert_same(before, as_it_was(complete))
    combo = complete.child(QComboBox, "film_checkpoint")
    assert combo.currentData() == str(model)
    assert path not in complete.widget.picker.choices()


def test_a_file_chosen_in_the_dropdown_that_was_deleted_since(complete, model, make_checkpoint, notified):
    other = make_checkpoint(seed=5)
    renamed = other.with_name("other.safetensors")
    other.rename(renamed)
    complete.widget.picker.choose(renamed)
    complete.widget.picker.choose(model)
    content = renamed.read_bytes()
    renamed.write_bytes(b"nothing")
    complete.pick("film_checkpoint", "other")
    (sentence,) = sentences(notified)
    assert sentence.startswith("other.safetensors")
    assert complete.session.checkpoint == model
    assert complete.child(QComboBox, "film_checkpoint").currentData() == str(model)
    renamed.write_bytes(content)


def test_a_checkpoint_that_changed_since_it_was_chosen(dock, model, make_checkpoint, make_volume, notified):
    path = make_checkpoint(seed=5)
    dock.add(make_volume((12, 16, 5)))
    dock.widget.picker.choose(path)
    path.write_bytes(path.read_bytes()[:-100])
    dock.click_segment()
    dock.wait(lambda: dock.session.state is State.FAILED)
    (sentence,) = sentences(notified)
    assert "cut off or damaged" in sentence
    assert [layer.name for layer in dock.viewer.layers] == ["noise"]


# images that cannot be opened


def good(path, shape=(4, 5, 6)):
    data = np.zeros(shape, np.float32)
    nifti.write(path, data, Volume(data, np.eye(4)), dtype=np.float32)


def cut_short(path):
    good(path)
    path.write_bytes(path.read_bytes()[:-40])


def cut_gzip(path):
    good(path)
    path.write_bytes(path.read_bytes()[:-20])


def text(path):
    path.write_text("subject,age\n1,40\n" * 40)


def zero_voxel(path):
    good(path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<4f", content, 76, 1, 0, 1, 1)
    path.write_bytes(content)


def five_dimensions(path):
    good(path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<8h", content, 40, 5, 2, 2, 2, 3, 5, 1, 1)
    path.write_bytes(content)


def rgb(path):
    good(path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<2h", content, 70, 128, 24)
    path.write_bytes(content)


FILES = {
    "cut.nii": (cut_short, "is cut short"),
    "cut.nii.gz": (cut_gzip, "cut.nii.gz"),
    "empty.nii.gz": (lambda path: path.write_bytes(b""), "is empty"),
    "empty_inside.nii.gz": (lambda path: path.write_bytes(gzip.compress(b"")), "empty_inside.nii.gz"),
    "text.nii": (text, "does not hold NIfTI data"),
    "zero.nii": (zero_voxel, "voxel size"),
    "five.nii": (five_dimensions, "5 dimensions"),
    "rgb.nii": (rgb, "colour (RGB)"),
}


@pytest.mark.parametrize("name", FILES)
def test_an_image_file_that_cannot_be_read(complete, name, tmp_path):
    damage, sentence = FILES[name]
    damage(tmp_path / name)
    before = as_it_was(complete)
    with pytest.raises(NiftiError, match=re.escape(sentence)) as caught:  # napari shows what a reader raises
        complete.viewer.open(str(tmp_path / name), plugin="napari-film")
    assert str(tmp_path) not in str(caught.value)
    assert_same(before, as_it_was(complete))


# images that were opened, and do not fit


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_no_numbers(dock, model, make_volume, value, notified):
    volume = make_volume((12, 16, 5), dtype=np.float32)
    volume.data[3, 4, 2] = value
    dock.add(volume)
    dock.widget.picker.choose(model)
    before = as_it_was(dock)
    dock.click_segment()
    dock.wait(lambda: dock.session.state is State.FAILED)
    (told,) = sentences(notified)
    assert re.search("not finite|NaN|infinite", told), told
    assert_same(before[:1], as_it_was(dock)[:1])
    assert dock.child(QPushButton, "film_segment").text() == "Segment"
    assert not dock.child(QPushButton, "film_save").isEnabled()


def test_channels_that_do_not_overlap(dock, make_checkpoint, make_volume, make_affine, notified):
    dock.add(make_volume((12, 16, 5)), name="channel 0")
    dock.add(make_volume((12, 16, 5), make_affine(origin=(500, 0, 0))), name="channel 1")
    dock.widget.picker.choose(make_checkpoint(channels=2))
    before = as_it_was(dock)
    dock.click_segment()
    dock.wait(lambda: dock.session.state is State.FAILED)
    (told,) = sentences(notified)
    assert "covers 0% of" in told
    assert_same(before[:1], as_it_was(dock)[:1])


def test_frames_where_one_image_is_expected(dock, make_checkpoint, make_volume, notified):
    dock.add(make_volume((12, 16, 5, 3)))
    dock.widget.picker.choose(make_checkpoint(preprocessing={"fourth_axis": "channels"}))
    dock.click_segment()
    dock.wait(lambda: dock.session.state is State.FAILED)
    (told,) = sentences(notified)
    assert "3 channel(s) came from noise.nii, but 1 are expected" in told


@pytest.mark.parametrize(
    ("data", "arguments", "sentence"),
    [
        (np.zeros((8, 9, 3), np.uint8), {"rgb": True}, "colour (RGB)"),
        (np.zeros((8, 9)), {}, "is a picture of two axes; tiny takes volumes, in axial slices"),
        (np.zeros((2, 8, 9, 3), np.uint8), {"rgb": True}, "stack of colour (RGB) pictures"),
        (np.zeros((2, 2, 4, 8, 9)), {}, "has 5 axes"),
    ],
)
def test_a_layer_that_is_no_volume(dock, model, data, arguments, sentence, notified):
    dock.viewer.add_image(data, name="picture", **arguments)
    dock.widget.picker.choose(model)
    before = as_it_was(dock)
    dock.click_segment()
    (told,) = sentences(notified)
    assert told.startswith("picture")
    assert sentence in told
    assert_same(before, as_it_was(dock))
    dock.wait(lambda: not dock.widget.facts._rest.isActive())  # what is unusual about the image is looked for a moment later


def test_no_model_no_image(dock, model, notified):
    button = dock.child(QPushButton, "film_segment")
    assert not button.isEnabled()
    dock.widget.segment()
    dock.widget.picker.choose(model)
    dock.click_segment()
    assert sentences(notified) == [
        "No model is chosen; choose one first.",
        "No image is chosen for channel 0; open one and choose it.",
    ]
    assert dock.session.state is State.READY


def test_one_of_two_channels_is_not_chosen(dock, make_checkpoint, make_volume, notified):
    dock.add(make_volume((12, 16, 5)), name="channel 0")
    dock.widget.picker.choose(make_checkpoint(channels=2))
    dock.click_segment()
    assert sentences(notified) == ["No image is chosen for channel 1; open one and choose it."]


def test_metadata_that_the_model_refuses_leave_the_former_ones(complete, notified):
    before = as_it_was(complete)
    complete.widget.metadata.form.valueChanged.emit({"tumor_type": "glioma"})
    (told,) = sentences(notified)
    assert "tumor_type is 'glioma', which this model does not know" in told
    assert_same(before, as_it_was(complete))


def test_a_network_that_gives_no_numbers(dock, make_checkpoint, make_volume, monkeypatch, notified):
    from napari_film.inference.specialised import SpecialisedUNet

    real = SpecialisedUNet.probabilities
    monkeypatch.setattr(SpecialisedUNet, "probabilities", lambda *arguments: real(*arguments) * torch.nan)
    dock.add(make_volume((12, 16, 5)))
    dock.widget.picker.choose(make_checkpoint(seed=3))
    dock.click_segment()
    dock.wait(lambda: dock.session.state is State.FAILED)
    (told,) = sentences(notified)
    assert "values that are not numbers" in told
    assert not dock.child(QPushButton, "film_save").isEnabled()


def test_too_little_memory_is_said_once(dock, model, make_volume, monkeypatch, notified):
    from napari_film.inference.runner import OutOfMemory, Runner

    def run(self, condition, indices, ahead=()):
        raise OutOfMemory("no room")
        yield

    monkeypatch.setattr(Runner, "run", run)
    dock.add(make_volume((12, 16, 5)))
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait(lambda: dock.session.state is State.FAILED)
    (told,) = sentences(notified)
    assert told.startswith("There is not enough memory for a single slice")


# a layer that does not say how large its voxels are


def answer(action):
    """Do ``action`` to the dialog that comes next."""

    def act():
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, VoxelSizeDialog)
        action(dialog)

    QTimer.singleShot(0, act)


def test_the_voxel_size_is_asked_for(dock, model, notified):
    rng = np.random.default_rng(0)
    layer = dock.viewer.add_image(rng.random((5, 16, 12)), name="array")
    dock.widget.picker.choose(model)
    before = as_it_was(dock)
    answer(lambda dialog: dialog.reject())
    dock.click_segment()
    assert_same(before, as_it_was(dock))
    assert not has_geometry(layer)
    assert dock.session.state is State.READY

    answer(lambda dialog: (dialog.setValue((3, 2, 1)), dialog.accept()))
    dock.click_segment()
    dock.wait_complete()
    assert dock.session.prepared.reference.spacing == (1, 2, 3)
    assert np.allclose(dock.mask.scale, (3, 2, 1))
    assert sentences(notified) == []


def test_the_dialog_that_is_called_off_leaves_a_running_segmentation(complete, model):
    former = complete.mask
    array = complete.viewer.add_image(np.random.default_rng(0).random((5, 16, 12)), name="array")
    assert complete.mask is former
    complete.widget.channel_form.setValue([array])
    answer(lambda dialog: dialog.reject())
    complete.click_segment()
    assert former in complete.viewer.layers
    assert isinstance(array, Image)


def test_saving_where_nothing_can_be_written(complete, tmp_path, monkeypatch, notified):
    monkeypatch.setattr(
        "napari_film.plugin.keep_panel.QFileDialog.getSaveFileName", lambda *_: (str(tmp_path / "missing" / "mask.nii"), "")
    )
    before = as_it_was(complete)
    complete.qtbot.mouseClick(complete.child(QPushButton, "film_save"), Qt.MouseButton.LeftButton)
    (told,) = sentences(notified)
    assert "mask.nii" in told
    assert_same(before, as_it_was(complete))
    assert list(tmp_path.iterdir()) == []

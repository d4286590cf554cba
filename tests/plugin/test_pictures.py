"""Pictures in a real window: opened by napari's own readers, segmented, compared, saved; each pixel where it was."""

import json

import numpy as np
import pytest
from napari.layers import Labels
from PIL import Image as Picture
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton
from scipy import ndimage

from napari_film import nifti, picture
from napari_film.header import Channel
from napari_film.plugin import samples
from napari_film.plugin.layers import geometry_of, is_picture, layer_data_from_picture, path_of, volume_from_layer
from napari_film.plugin.session import State
from napari_film.preprocessing import Normalisation

pytestmark = pytest.mark.usefixtures("on_the_cpu")

VALUES = ("astrocytoma", "ependymoma", "hemangioblastoma")
H, W = 37, 52  # odd, unlike, and no multiples of what the network needs


@pytest.fixture(scope="module")
def colour_model(make_checkpoint, tumor):
    return make_checkpoint(
        tumor,
        seed=18,
        channels=3,
        preprocessing={"slice_axis": "acquired", "fourth_axis": "channels"},
        header={"channels": tuple(Channel(name=name) for name in ("red", "green", "blue"))},
    )


@pytest.fixture(scope="module")
def grey_model(make_checkpoint, tumor):
    """Trained on 8 bits."""
    window = (Normalisation(method="window", window=(0, 255)),)
    return make_checkpoint(tumor, seed=18, preprocessing={"slice_axis": "acquired", "normalisation": window})


def pixels(*colours, seed=0):
    """Smooth noise that no flip or turn leaves as it is: (H, W, *colours), uint8."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(H, W, *colours)), (2, 2, *(0 for _ in colours)))
    return np.round(255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)


def saved(path, array):
    Picture.fromarray(array).save(path)
    return path


def opened(dock, path):
    (layer,) = dock.viewer.open(str(path))
    return layer


def segmented(dock, model):
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()


def by_predictor(masks_by_predictor, model, path, value):
    """The mask (H, W) as the command line makes it of the file."""
    mask = masks_by_predictor(model, [picture.read(path)], {"tumor_type": value})
    assert 0 < (mask == 1).mean() < 1
    return mask[0]


def sentences(notified):
    return [note.message for note in notified]


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_picture_in_colour_is_segmented_swapped_and_saved(dock, colour_model, tmp_path, ending, masks_by_predictor):
    path = saved(tmp_path / f"scene.{ending}", pixels(3))
    layer = opened(dock, path)
    assert (layer.rgb, layer.ndim, path_of(layer)) == (True, 2, path)
    dock.widget.picker.choose(colour_model)
    assert dock.widget.channel_form.value() == [layer]  # one row for the three colours
    dock.click_segment()
    dock.wait_complete()
    for value in VALUES[:2]:
        dock.pick("tumor_type", value)
        dock.wait_complete()
        expected = by_predictor(masks_by_predictor, colour_model, path, value)
        assert dock.mask.ndim == 2
        assert np.array_equal(dock.mask.data, expected)
        assert np.allclose(dock.mask.extent.world, layer.extent.world)
        for name in ("kept.png", "kept.tif", "kept.nii.gz"):
            dock.widget.keep.save(tmp_path / name)
        dock.mask.save(str(tmp_path / "exported.png"))  # by napari's own writers
        dock.mask.save(str(tmp_path / "exported.tif"))
        dock.mask.save(str(tmp_path / "exported.nii.gz"), plugin="napari-film")
        for name in ("kept.png", "kept.tif", "exported.png", "exported.tif"):
            assert np.array_equal(np.asarray(Picture.open(tmp_path / name)), expected), name
        for name in ("kept.nii.gz", "exported.nii.gz"):
            written = nifti.read(tmp_path / name)
            assert np.array_equal(written.data[:, :, 0].T, expected), name
            assert np.array_equal(written.affine, np.eye(4))
            assert nifti.label_names(tmp_path / name) == {1: value}
        beside = json.loads((tmp_path / "kept.json").read_text())
        assert beside["Metadata"] == {"tumor_type": value}
        assert beside["Sources"] == [path.name]
        assert beside == json.loads((tmp_path / "exported.json").read_text())
    assert dock.viewer.dims.ndim == 2  # so there is no slider
    assert dock.widget.slice_view.letters() is None
    assert not dock.child(QComboBox, "film_convention").isVisible()


@pytest.mark.parametrize("turn", range(8))
def test_however_a_picture_is_turned(dock, colour_model, turn, tmp_path, masks_by_predictor):
    """Flips and quarter turns of one picture, as views with strides of any sign."""
    turned = np.rot90(pixels(3), turn % 4)
    turned = turned[:, ::-1] if turn > 3 else turned
    layer = dock.viewer.add_image(turned, rgb=True, name="turned")
    path = saved(tmp_path / "turned.png", np.ascontiguousarray(turned))
    assert np.array_equal(volume_from_layer(layer).data, picture.read(path).data)
    segmented(dock, colour_model)
    expected = by_predictor(masks_by_predictor, colour_model, path, VALUES[0])
    assert np.array_equal(dock.mask.data, expected)
    dock.widget.keep.save(tmp_path / "mask.png")
    assert np.array_equal(np.asarray(Picture.open(tmp_path / "mask.png")), expected)


def test_grey_pictures_for_both_kinds_of_model(dock, grey_model, colour_model, tmp_path, masks_by_predictor, notified):
    path = saved(tmp_path / "grey.png", pixels())
    grey = opened(dock, path)
    segmented(dock, grey_model)
    assert np.array_equal(dock.mask.data, by_predictor(masks_by_predictor, grey_model, path, VALUES[0]))
    assert dock.child(QLabel, "film_banner").text() == ""
    dock.viewer.layers.remove(dock.mask)
    segmented(dock, colour_model)
    volume, told = picture.for_model(picture.read(path), dock.session.header.preprocessing)
    assert np.array_equal(dock.mask.data, masks_by_predictor(colour_model, [volume], {"tumor_type": VALUES[0]})[0])
    assert told[0] in dock.child(QLabel, "film_banner").text()
    dock.widget.keep.save(tmp_path / "mask.tif")
    assert told[0] in json.loads((tmp_path / "mask.json").read_text())["Notices"]
    colour = opened(dock, saved(tmp_path / "colour.png", pixels(3)))
    dock.widget.picker.choose(grey_model)
    assert dock.widget.channel_form.value() == [grey]
    dock.widget.picker.choose(colour_model)
    assert dock.widget.channel_form.value() == [colour]  # the kind that is wanted, though it came later
    assert sentences(notified) == []


def test_16_bits_and_an_opaque_alpha_channel(dock, grey_model, colour_model, tmp_path, masks_by_predictor):
    wide = saved(tmp_path / "wide.png", pixels().astype(np.uint16) * 257)
    opened(dock, wide)
    segmented(dock, grey_model)
    assert np.array_equal(dock.mask.data, masks_by_predictor(grey_model, [eight_bits(wide)], {"tumor_type": VALUES[0]})[0])
    assert "16 bits" in dock.child(QLabel, "film_banner").text()
    dock.viewer.layers.clear()
    plain = saved(tmp_path / "plain.png", pixels(3))
    opened(dock, saved(tmp_path / "opaque.png", np.dstack([pixels(3), np.full((H, W), 255, np.uint8)])))
    segmented(dock, colour_model)
    assert np.array_equal(dock.mask.data, by_predictor(masks_by_predictor, colour_model, plain, VALUES[0]))
    assert "alpha" in dock.child(QLabel, "film_banner").text()


def eight_bits(path):
    volume = picture.read(path)
    return type(volume)((volume.data >> 8).astype(np.uint8), volume.affine, volume.name)


REFUSED = {
    "transparent": (np.dstack([pixels(3), pixels(seed=1)]), {"rgb": True}, "colour", "is transparent in places"),
    "colours for grey": (pixels(3), {"rgb": True}, "grey", "is a colour picture, and the model takes grey ones"),
    "too wide": (pixels().astype(np.int32) * 1000, {}, "grey", "int32 values"),
    "volume": (np.zeros((5, H, W), np.uint8), {"scale": (2, 1, 1)}, "colour", "is a volume of one number per voxel"),
    "stack": (np.zeros((5, H, W, 3), np.uint8), {"rgb": True}, "colour", "is a stack of colour (RGB) pictures"),
}


@pytest.mark.usefixtures("unpainted")
@pytest.mark.parametrize("case", REFUSED)
def test_what_could_be_meant_in_several_ways_is_one_sentence(dock, grey_model, colour_model, case, notified):
    data, arguments, kind, sentence = REFUSED[case]
    layer = dock.viewer.add_image(data, name="given", **arguments)
    dock.widget.picker.choose(grey_model if kind == "grey" else colour_model)
    assert dock.widget.channel_form.value() == [layer]
    dock.click_segment()
    (told,) = sentences(notified)
    assert told.startswith("given")
    assert sentence in told
    assert dock.names() == ["given"]
    assert dock.session.state is State.READY
    dock.wait(lambda: not dock.widget.facts._rest.isActive())


def test_a_picture_smaller_than_the_network_s_depth(dock, make_checkpoint, tumor, tmp_path, notified, masks_by_predictor):
    model = make_checkpoint(tumor, seed=18, depth=4, preprocessing={"slice_axis": "acquired"})
    path = saved(tmp_path / "small.png", pixels()[:9, :11])
    opened(dock, path)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    assert np.array_equal(dock.mask.data, masks_by_predictor(model, [picture.read(path)], {"tumor_type": VALUES[0]})[0])
    assert dock.mask.data.shape == (9, 11)
    assert "small.png has slices of 9 x 11 pixels, and this network needs 16 x 16 or more" in dock.child(QLabel, "film_banner").text()
    assert sentences(notified) == []


def test_labels_that_no_picture_holds(dock, notified, tmp_path):
    for data, sentence in ((np.full((H, W), 300), "labels from 300 to 300"), (np.zeros((2, 3, 4), int), "is no picture")):
        layer = dock.viewer.add_labels(data, scale=(2,) * data.ndim)
        with pytest.raises(OSError, match=sentence):
            layer.save(str(tmp_path / "mask.png"))
        assert list(tmp_path.iterdir()) == []


def test_comparing_on_a_picture(dock, colour_model, tmp_path, masks_by_predictor):
    """Difference, all values in a grid, a kept layer, 3D and back."""
    path = saved(tmp_path / "scene.png", pixels(3))
    layer = opened(dock, path)
    segmented(dock, colour_model)
    dock.wait_idle()
    masks = [by_predictor(masks_by_predictor, colour_model, path, value) for value in VALUES]
    dock.click("film_difference")
    difference = dock.viewer.layers["A and B: difference"]
    assert np.array_equal(np.asarray(difference.data) == 1, (masks[0] > 0) & (masks[1] > 0))
    dock.click("film_difference")
    dock.click("film_keep")
    kept = dock.viewer.layers[-1]
    assert type(kept.data) is np.ndarray
    assert np.array_equal(kept.data, masks[0])
    dock.click("film_all_at_once")
    dock.wait_idle()
    gallery = dock.widget.views.gallery
    assert [np.array_equal(cell.data, mask) for cell, mask in zip(gallery.masks, masks, strict=True)] == [True] * 3
    assert all(image.rgb and image.data is layer.data for image in gallery.images)
    dock.click("film_take_away")
    dock.viewer.dims.ndisplay = 3
    dock.pick("tumor_type", VALUES[2])
    dock.wait_complete()
    dock.viewer.dims.ndisplay = 2
    assert np.array_equal(dock.mask.data, masks[2])
    assert sorted(dock.names()) == ["A · lesion: hemangioblastoma", "B · lesion: ependymoma", "lesion: astrocytoma (kept)", "scene"]
    assert [layer.visible for layer in dock.viewer.layers if layer.name[:1] in "AB"] == [True, False]


def test_the_command_line_of_a_picture_s_mask(dock, colour_model, tmp_path):
    from qtpy.QtWidgets import QApplication

    path = saved(tmp_path / "scene.png", pixels(3))
    opened(dock, path)
    segmented(dock, colour_model)
    assert dock.child(QPushButton, "film_save").text() == "Save mask as PNG, TIFF or NIfTI…"
    dock.click("film_command")
    words = QApplication.clipboard().text()
    assert str(path) in words
    assert "--output mask.png" in words


def test_a_nifti_of_one_slice_is_no_picture(dock, grey_model, make_volume, tmp_path):
    from qtpy.QtWidgets import QApplication

    path = tmp_path / "slice.nii.gz"
    volume = make_volume((20, 24, 1), np.diag([0.5, 0.5, 6.0, 1.0]), dtype=np.uint8)
    nifti.write(path, volume.data, volume)
    dock.viewer.open(str(path), plugin="napari-film")
    segmented(dock, grey_model)
    assert dock.child(QPushButton, "film_save").text() == "Save mask as NIfTI…"
    dock.click("film_command")
    assert "--output mask.nii.gz" in QApplication.clipboard().text()


@pytest.mark.parametrize(
    ("scale", "said"), [((1, 1), "1 x 1 x 1 mm: 1 ml is 1,000 pixels"), ((0.5, 0.2), "0.2 x 0.5 x 1 mm: 1 ml is 10,000")]
)
def test_how_large_a_pixel_counts_in_the_numbers(dock, colour_model, scale, said):
    dock.viewer.add_image(pixels(3), rgb=True, name="scene", scale=scale)
    segmented(dock, colour_model)
    dock.wait_idle()
    dock.click("film_numbers")
    panel = dock.widget.comparison.numbers_panel
    dock.qtbot.mouseClick(panel.findChild(QPushButton, "film_compare"), Qt.MouseButton.LeftButton)
    dock.wait(lambda: panel.comparison() is not None)
    assert said in panel.findChild(QLabel, "film_numbers_status").text()


def test_a_picture_lies_as_any_viewer_has_it_after_a_volume_that_was_turned(dock, make_checkpoint, make_volume, colour_model, tmp_path):
    camera = tuple(map(str, dock.viewer.scene.camera.orientation))
    volume = dock.add(make_volume((12, 16, 5)))
    assert tuple(map(str, dock.viewer.scene.camera.orientation)) != camera
    layer = opened(dock, saved(tmp_path / "scene.png", pixels(3)))
    segmented(dock, colour_model)
    assert tuple(map(str, dock.viewer.scene.camera.orientation)) == camera
    assert dock.widget.channel_form.value() == [layer]
    dock.session.forget()
    dock.viewer.layers.remove(layer)
    assert volume in dock.viewer.layers


def test_the_scene_that_is_chosen_is_seen_and_no_mask_of_another(dock, colour_model):
    first, second, third = (dock.viewer.add_image(data, **arguments) for data, arguments, _ in samples.clevr_seg())
    dock.widget.picker.choose(colour_model)
    assert dock.widget.channel_form.value() == [first]
    dock.click_segment()
    dock.wait_complete()
    dock.wait_idle()
    mask = dock.mask
    dock.widget.channel_form.setValue([third])
    assert [layer.visible for layer in (first, second, third)] == [False, False, True]
    assert (mask.name, mask.visible) == ("lesion: astrocytoma (Scene 1)", False)
    dock.click_segment()
    dock.wait_complete()
    assert dock.mask is not mask
    assert dock.mask.visible


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_a_picture_of_ours_comes_back_from_its_layer(channels):
    volume = picture.Volume(np.swapaxes(pixels(*channels), 0, 1)[:, :, None], np.eye(4), "scene.png")
    from napari.layers import Layer

    layer = Layer.create(*layer_data_from_picture(volume, name="Scene", model="clevr_seg"))
    back = volume_from_layer(layer)
    assert np.array_equal(back.data, volume.data)
    assert np.shares_memory(back.data, volume.data)
    assert np.array_equal(back.affine, np.eye(4))
    assert (back.name, layer.name, bool(layer.rgb)) == ("scene.png", "Scene", bool(channels))
    assert is_picture(layer)


def test_pixels_that_have_a_size(make_volume):
    layer = Labels(np.zeros((H, W), np.uint8), scale=(0.5, 0.25), translate=(3, 4), units="mm")
    geometry = geometry_of(layer)
    assert geometry.shape == (H, W)
    assert geometry.grid.shape == (W, H, 1)
    assert geometry.grid.spacing == (0.25, 0.5, 1)
    stack = np.arange(2 * H * W).reshape(2, 1, H, W)
    assert np.array_equal(geometry.to_layer(stack, "acquired"), stack[:, 0])
    assert np.array_equal(geometry.to_sliced(stack[:, 0], "acquired"), stack)

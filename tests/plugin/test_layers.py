"""Layers and volumes: the way there and back, and where napari shows a voxel."""

import itertools
from pathlib import Path

import dask.array
import numpy as np
import pytest
from napari.layers import Image, Labels, Layer
from napari.layers._source import layer_source
from scipy.spatial.transform import Rotation

from napari_film.errors import InputError
from napari_film.plugin.layers import (
    GeometryNeeded,
    borrow_geometry,
    contrast_limits,
    geometry_of,
    give_voxel_size,
    has_geometry,
    label_names,
    layer_data_from_volume,
    mask_layer_kwargs,
    path_of,
    volume_from_layer,
)
from napari_film.plugin.orientation import dims_order, world_axis
from napari_film.volume import Volume, slicing

ORIENTATIONS = [(axes, signs) for axes in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]
AXES = ("axial", "coronal", "sagittal")
ACROSS = {0: "sagittal", 1: "coronal", 2: "axial"}


def _affine(axes=(0, 1, 2), signs=(1, 1, 1), spacing=(0.7, 1.5, 4.0), degrees=0.0):
    affine = np.zeros((4, 4))
    for voxel, (world, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[world, voxel] = sign * spacing[voxel]
    turn = np.deg2rad(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine[:3, :3] = about_x @ about_z @ affine[:3, :3]
    affine[:, 3] = (-12.0, 34.0, 56.0, 1.0)
    return affine


def _volume(shape=(3, 4, 5), dtype=np.int16, **geometry):
    return Volume(np.arange(np.prod(shape), dtype=dtype).reshape(shape), _affine(**geometry), "sub-1_T2w.nii.gz")


def _layer(volume, **options) -> Layer:
    return Layer.create(*layer_data_from_volume(volume, **options))


@pytest.mark.parametrize("degrees", [0.0, 17.0])
@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_volume_comes_back_from_its_layer(axes, signs, degrees):
    volume = _volume(axes=axes, signs=signs, degrees=degrees)
    layer = _layer(volume)
    back = volume_from_layer(layer)
    np.testing.assert_array_equal(back.data, volume.data)
    np.testing.assert_array_equal(back.affine, volume.affine)
    assert back.name == volume.name
    assert np.shares_memory(layer.data, volume.data)
    assert (np.asarray(layer.scale) > 0).all()
    np.testing.assert_array_equal(layer.affine.affine_matrix, np.eye(4))


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_world_position_is_ras_reversed(axes, signs):
    volume = _volume(axes=axes, signs=signs)
    layer = _layer(volume)
    for index in itertools.product(*(range(length) for length in layer.data.shape)):
        i, j, k = np.argwhere(volume.data == layer.data[index])[0]
        ras = (volume.affine @ (i, j, k, 1))[:3]
        np.testing.assert_allclose(layer.data_to_world(index)[::-1], ras, atol=1e-9)


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS[::5])
def test_display_of_an_oblique_volume_is_the_world_turned(axes, signs):
    volume = _volume(axes=axes, signs=signs, degrees=17.0)
    geometry = geometry_of(_layer(volume))
    turn = geometry.to_ras[:3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(geometry.to_ras[:3, 3], 0, atol=1e-9)
    assert geometry.letters == ("S", "A", "R")


@pytest.mark.parametrize("slice_axis", [*AXES, "acquired"])
@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS[::3])
def test_sliced_layout_to_layer_and_back(axes, signs, slice_axis):
    volume = _volume(axes=axes, signs=signs, degrees=10)
    layer = _layer(volume)
    geometry = geometry_of(layer)
    stack = slicing(volume.grid, slice_axis).apply(volume.data)
    shown = geometry.to_layer(stack, slice_axis)
    np.testing.assert_array_equal(shown, layer.data)
    assert np.shares_memory(shown, volume.data)
    np.testing.assert_array_equal(geometry.to_sliced(shown, slice_axis), stack)
    dimension = geometry.slice_dimension(slice_axis)
    closest = ACROSS[axes[2]] if slice_axis == "acquired" else slice_axis  # voxels are thickest along the third axis
    assert geometry.anatomical(slice_axis) == closest
    assert dimension == AXES.index(closest)
    index = 1
    plane = stack[geometry.slice_of(index, slice_axis)]
    np.testing.assert_array_equal(np.sort(np.take(layer.data, index, dimension).ravel()), np.sort(plane.ravel()))


def test_the_display_is_turned_to_acquired_slices_whatever_the_obliquity():
    turns = Rotation.random(300, random_state=0).as_matrix()
    for turn in turns:
        affine = np.eye(4)
        affine[:3, :3] = turn * [1.4, 1.4, 8]
        geometry = geometry_of(_layer(Volume(np.zeros((5, 6, 7), np.int16), affine)))
        assert geometry.letters == ("S", "A", "R")
        for slice_axis in (*AXES, "acquired"):
            across = world_axis(geometry.letters, geometry.anatomical(slice_axis))
            assert across == geometry.slice_dimension(slice_axis) == dims_order(geometry.letters, geometry.anatomical(slice_axis), 3)[0]
    nearest = np.abs(turns).argmax(axis=1)  # alone, two axes of some of these are nearest to one
    assert any(len(set(axes)) < 3 for axes in nearest.tolist())


def test_classes_stand_before_the_slices():
    volume = _volume(axes=(2, 0, 1), signs=(1, -1, 1))
    geometry = geometry_of(_layer(volume))
    stack = np.stack([slicing(volume.grid, "sagittal").apply(volume.data)] * 2)
    assert geometry.to_layer(stack, "sagittal").shape == (2, *geometry.shape)


def test_time_comes_first():
    volume = Volume(np.arange(3 * 4 * 5 * 2).reshape(3, 4, 5, 2), _affine(axes=(2, 1, 0)))
    layer = _layer(volume)
    assert layer.data.shape[0] == 2
    assert layer.axis_labels == ("t", "S", "A", "R")
    assert [str(unit) for unit in layer.units] == ["pixel", *["millimeter"] * 3]
    back = volume_from_layer(layer)
    np.testing.assert_array_equal(back.data, volume.data)
    np.testing.assert_array_equal(back.affine, volume.affine)
    mask = Labels(np.zeros(layer.data.shape[1:], np.uint8), **mask_layer_kwargs(layer, name="mask"))
    np.testing.assert_array_equal(volume_from_layer(mask).affine, volume.affine)


def test_layer_from_elsewhere_lies_where_it_is_seen():
    layer = Image(np.zeros((3, 4, 5)), scale=(3, 2, 1), translate=(30, 20, 10), name="by hand")
    volume = volume_from_layer(layer)
    assert volume.data.shape == (5, 4, 3)
    np.testing.assert_allclose(volume.affine, [[1, 0, 0, 10], [0, 2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]])


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_affine_and_negative_scale_of_a_layer_from_elsewhere():
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, -2], [0, 3, 0], [1.5, 0, 0]]
    layer = Image(np.arange(60).reshape(3, 4, 5), affine=affine, scale=(1, 1, 1))
    volume = volume_from_layer(layer)
    geometry = geometry_of(layer)
    for index in np.ndindex(3, 4, 5):
        i, j, k = np.argwhere(volume.data == layer.data[index])[0]
        np.testing.assert_allclose((volume.affine @ (i, j, k, 1))[:3], layer.data_to_world(index)[::-1], atol=1e-9)
    stack = geometry.to_sliced(layer.data, "axial")
    index = 1
    assert geometry.slice_dimension("axial") == 2
    np.testing.assert_array_equal(np.sort(stack[geometry.slice_of(index, "axial")].ravel()), np.sort(layer.data[..., index].ravel()))
    assert geometry.slice_of(index, "axial") == 3


@pytest.mark.parametrize(("unit", "size"), [("um", 0.001), ("cm", 10.0), ("mm", 1.0)])
def test_units_of_length_become_mm(unit, size):
    layer = Image(np.zeros((3, 4, 5)), units=(unit,) * 3)
    assert volume_from_layer(layer).spacing == pytest.approx((size,) * 3)


def test_layer_of_napari_nifti_has_its_affine_in_the_metadata():
    affine = _affine(spacing=(1, 2, 3), degrees=5)
    metadata = {"affine": affine, "header": {}, "coordinate_system": "RAS+"}
    layer = Image(np.zeros((5, 4, 3)), scale=(-3, -2, -1), translate=(20, 20, 20), metadata=metadata)
    np.testing.assert_array_equal(volume_from_layer(layer).affine, affine)
    assert geometry_of(layer).letters == ("I", "P", "L")
    mask = Labels(np.zeros((5, 4, 3), np.uint8), **mask_layer_kwargs(layer, name="mask"))
    np.testing.assert_array_equal(volume_from_layer(mask).affine, affine)


def test_layer_without_geometry_needs_it():
    layer = Image(np.zeros((3, 4, 5)), name="array")
    assert not has_geometry(layer)
    with pytest.raises(GeometryNeeded, match="array does not say how large its voxels are"):
        volume_from_layer(layer)
    give_voxel_size(layer, (3, 2, 1))
    assert volume_from_layer(layer).spacing == (1, 2, 3)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Image(np.zeros((3, 4, 5, 3), np.uint8), rgb=True), "stack of colour"),
        (Image(np.zeros((2, 2, 3, 4, 5))), "5 axes"),
    ],
)
def test_layer_that_is_no_volume_is_refused(layer, message):
    with pytest.raises(InputError, match=message):
        volume_from_layer(layer)


def test_multiscale_and_lazy_arrays():
    data = np.arange(512, dtype=np.float32).reshape(8, 8, 8)
    for array in ([data, data[::2, ::2, ::2]], dask.array.from_array(data)):
        volume = volume_from_layer(Image(array, scale=(2, 2, 2), multiscale=isinstance(array, list)))
        np.testing.assert_array_equal(volume.data, data.T)


def test_cropped_layer_lies_where_it_is_seen():
    volume = _volume(shape=(6, 7, 8), axes=(2, 0, 1), signs=(1, -1, 1), degrees=17)
    layer = _layer(volume)
    state = layer.as_layer_data_tuple()[1]
    state["translate"] = np.asarray(state["translate"]) + np.asarray(state["scale"]) * (1, 2, 3)
    crop = Image(layer.data[1:, 2:, 3:], **{k: state[k] for k in ("scale", "translate", "units", "metadata")})
    back = volume_from_layer(crop)
    for value in (crop.data[0, 0, 0], crop.data[-1, -1, 1]):
        here, there = np.argwhere(back.data == value)[0], np.argwhere(volume.data == value)[0]
        np.testing.assert_allclose(back.affine @ (*here, 1), volume.affine @ (*there, 1), atol=1e-6)


def test_mask_carries_names_and_place():
    volume = _volume(axes=(1, 0, 2), signs=(-1, 1, 1), degrees=12)
    layer = _layer(volume)
    mask = Labels(np.zeros(layer.data.shape, np.uint8), **mask_layer_kwargs(layer, name="spleen", names={1: "spleen"}))
    assert label_names(mask) == {1: "spleen"}
    np.testing.assert_array_equal(volume_from_layer(mask).affine, volume.affine)
    np.testing.assert_allclose(mask.data_to_world((1, 2, 3)), layer.data_to_world((1, 2, 3)))
    assert mask.units == layer.units


def test_mask_drawn_by_hand_borrows_the_geometry_that_it_lies_on():
    volume = _volume(axes=(1, 0, 2), signs=(-1, 1, 1), degrees=12)
    layer = _layer(volume)
    drawn = Labels(np.zeros(layer.data.shape, np.uint8), scale=layer.scale, translate=layer.translate, units=layer.units)
    elsewhere = Labels(np.zeros(layer.data.shape, np.uint8), scale=layer.scale, units=layer.units)
    for mask in (drawn, elsewhere):
        borrow_geometry(mask, [Image(np.zeros((2, 2))), layer])
    np.testing.assert_array_equal(volume_from_layer(drawn).affine, volume.affine)
    assert not elsewhere.metadata


def test_float_labels_become_integers_or_are_refused():
    volume = Volume(np.ones((2, 3, 4)), np.eye(4), "x_dseg.nii")
    assert layer_data_from_volume(volume, kind="labels")[0].dtype == np.int32
    with pytest.raises(InputError, match="open it as an image"):
        layer_data_from_volume(Volume(np.full((2, 3, 4), 0.5), np.eye(4), "x_dseg.nii"), kind="labels")


@pytest.mark.parametrize(
    ("data", "limits"),
    [(np.full((3, 3, 3), 7), (7, 8)), (np.full((2, 2, 2), np.nan), (0, 1)), (np.arange(1001.0).reshape(7, 11, 13), (5, 995))],
)
def test_contrast_limits(data, limits):
    assert contrast_limits(data) == pytest.approx(limits)


def test_a_layer_of_ours_knows_its_file_and_a_mask_on_it_does_not():
    data, arguments, _ = layer_data_from_volume(_volume(), path=Path("/somewhere/sub-01/anat/sub-01_T2w.nii.gz"))
    image = Image(data, **arguments)
    assert path_of(image) == Path("/somewhere/sub-01/anat/sub-01_T2w.nii.gz")
    mask = Labels(np.zeros(data.shape, np.uint8), **mask_layer_kwargs(image, name="mask"))
    assert path_of(mask) is None
    assert "somewhere" not in str(mask.metadata)
    drawn = Labels(np.zeros(data.shape, np.uint8), scale=image.scale, translate=image.translate)
    borrow_geometry(drawn, [image])
    assert has_geometry(drawn)
    assert path_of(drawn) is None


@pytest.mark.parametrize(("name", "known"), [("a_T2w.nii.gz", True), ("a_T2w.NII", True), ("a_T2w.tif", False), (None, False)])
def test_a_layer_of_another_plugin_knows_its_file_by_napari(tmp_path, name, known):
    path = tmp_path / name if name else None
    with layer_source(path=str(path) if path else None):
        layer = Image(np.zeros((3, 4, 5)))
    assert path_of(layer) == (path if known else None)


def test_few_voxels_along_the_last_axis_are_no_colours(make_napari_viewer_proxy, make_volume):
    """napari takes an image of three or four voxels along its last axis for a picture in colour."""
    volume = make_volume((3, 40, 41))
    data, arguments, _ = layer_data_from_volume(volume)
    layer = make_napari_viewer_proxy().add_image(data, **arguments)
    assert not layer.rgb
    assert np.array_equal(volume_from_layer(layer).data, volume.data)


@pytest.mark.parametrize("layer", [Image(np.zeros((3, 40, 41, 3), np.uint8), rgb=True), Image(np.zeros((1, 2, 3, 4, 5)))])
def test_what_is_no_volume_has_no_voxel_size(layer):
    assert not has_geometry(layer)

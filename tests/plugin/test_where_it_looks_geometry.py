"""What is relative to the network's slice lies on the layer's voxels that the network saw there."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from napari_film.plugin.layer_geometry import LayerGeometry, displayed
from napari_film.plugin.where_it_looks_geometry import WindowGeometry
from napari_film.plugin.where_it_looks_layers import LiveHeat
from napari_film.preprocessing import Normalisation, Preprocessing, prepare
from napari_film.volume import Volume

WINDOW = Normalisation(method="window", window=(0.0, 1.0))


@st.composite
def volumes(draw, ramp):
    """Volumes in any orientation, obliquity, spacing and odd sizes: noise, or a ramp that is linear in the indices."""
    shape = tuple(draw(st.integers(3, 11)) for _ in range(3))
    order = draw(st.permutations(range(3)))
    affine = np.eye(4)
    spacing = draw(st.tuples(*[st.floats(0.5, 4)] * 3))
    angles = draw(st.tuples(*[st.floats(-60, 60)] * 3))
    for axis, world in enumerate(order):
        affine[:3, axis] = 0
        affine[world, axis] = spacing[axis] * draw(st.sampled_from((-1, 1)))
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 3] = draw(st.tuples(*[st.floats(-50, 50)] * 3))
    if ramp:
        data = np.tensordot(np.array((0.021, 0.034, 0.013)), np.indices(shape), axes=1) + 0.05
    else:
        data = np.random.default_rng(draw(st.integers(0, 99))).random(shape)
    return Volume(data.astype(np.float32), affine)


def looks(volume, slice_axis, spacing=(None, None, None)):
    prepared = prepare([volume], Preprocessing(slice_axis=slice_axis, spacing=spacing, normalisation=(WINDOW,), divisor=8))
    geometry = displayed(volume)
    return prepared, geometry, WindowGeometry(prepared, geometry)


axes = st.sampled_from(("axial", "coronal", "sagittal", "acquired"))


@settings(max_examples=60, deadline=None)
@given(volumes(ramp=False), axes)
def test_the_middle_of_a_pixel_is_the_voxel_that_the_network_saw(volume, slice_axis):
    """Slices are padded to multiples of 8, which moves nothing."""
    prepared, geometry, windows = looks(volume, slice_axis)
    layer = geometry.order.apply(volume.data)
    _, height, width = prepared.network_shape
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    relative = np.stack([2 * (y + 0.5) / height - 1, 2 * (x + 0.5) / width - 1], axis=-1)
    for n in range(prepared.shape[0]):
        points = windows.points(relative, n)
        np.testing.assert_allclose(points, np.rint(points), atol=1e-6)
        index = tuple(np.rint(points).astype(int).transpose(2, 0, 1))
        np.testing.assert_array_equal(layer[index], prepared.image(n)[0, :height, :width])
    np.testing.assert_allclose(windows.rows, relative[:, 0, 0], atol=1e-9)
    np.testing.assert_allclose(windows.columns, relative[0, :, 1], atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(volumes(ramp=True), axes, st.tuples(*[st.floats(0.4, 5)] * 3))
def test_on_a_respaced_grid_too(volume, slice_axis, spacing):
    """Of a linear ramp the network sees at a place what lies there, between the voxels: where it is not beyond the outermost."""
    along = {"axial": 2, "coronal": 1, "sagittal": 0, "acquired": 2}[slice_axis]
    wanted = tuple(None if axis == along else size for axis, size in enumerate(spacing))
    prepared, geometry, windows = looks(volume, slice_axis, wanted)
    layer = geometry.order.apply(volume.data).astype(np.float64)
    _, height, width = prepared.network_shape
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    relative = np.stack([2 * (y + 0.5) / height - 1, 2 * (x + 0.5) / width - 1], axis=-1)
    n = prepared.shape[0] // 2
    points = windows.points(relative, n)
    inside = ((points >= 0) & (points <= np.array(layer.shape) - 1)).all(axis=-1)
    seen = prepared.image(n)[0, :height, :width]
    there = map_coordinates(layer, points.transpose(2, 0, 1), order=1, mode="nearest")
    np.testing.assert_allclose(seen[inside], there[inside], atol=2e-3)
    # And the way back: what the rows and columns of the source have as u is where they are.
    source = np.stack(np.meshgrid(windows.rows, windows.columns, indexing="ij"), axis=-1)
    back = windows.points(source, n)
    np.testing.assert_allclose(back, np.rint(back), atol=1e-6)
    found = layer[tuple(np.rint(back).astype(int).transpose(2, 0, 1))]
    np.testing.assert_array_equal(found, prepared.from_source(volume.data.astype(np.float64))[n])


@settings(max_examples=30, deadline=None)
@given(volumes(ramp=False), axes, arrays(np.float64, (4, 2), elements=st.floats(-1, 1)), st.floats(0.01, 2))
def test_ellipses_have_their_windows_in_the_middle_and_end_with_the_image(volume, slice_axis, centre, size):
    _, geometry, windows = looks(volume, slice_axis)
    lattice, dimension = np.array(geometry.lattice), geometry.slice_dimension(slice_axis)
    lengths = np.delete(lattice, dimension)
    half = np.maximum(size * lengths / 2, 0.5)  # voxels
    outlines = windows.ellipses(centre, np.full((4, 2), size), 1)
    middle = np.delete(windows.points(centre, 1), dimension, axis=1)
    for outline, at in zip(outlines, middle, strict=True):
        assert (outline[:, dimension] == geometry.slice_of(1, slice_axis)).all()
        np.testing.assert_array_equal(outline[0], outline[-1])
        assert np.abs(np.diff(outline, axis=0)).max(axis=1).min() > 0, "napari draws spikes where a point comes twice"
        ellipse = np.delete(outline, dimension, axis=1)
        off = (ellipse - at) / half
        inside = ((ellipse > -0.5 + 1e-6) & (ellipse < lengths - 0.5 - 1e-6)).all(axis=1)
        np.testing.assert_allclose((off[inside] ** 2).sum(axis=1), 1, atol=1e-6)
        assert (off**2).sum(axis=1).max() <= 1 + 1e-6, "what was cut off lies on the edge of the image, within the ellipse"
        assert (ellipse >= -0.5).all()
        assert (ellipse <= lengths - 0.5).all()


@settings(max_examples=30, deadline=None)
@given(volumes(ramp=False), axes, st.booleans(), st.data())
def test_heat_is_shown_on_the_slices_that_it_is_of(volume, slice_axis, alike, data):
    prepared, geometry, _ = looks(volume, slice_axis)
    stack = np.random.default_rng(0).random(prepared.shape).astype(np.float32)
    if alike:
        stack = np.broadcast_to(stack[:1], stack.shape)
    asked = []

    def plane(number):
        asked.append(number)
        return stack[number]

    heat = LiveHeat(plane, geometry, slice_axis, alike=alike)
    expected = geometry.to_layer(stack, slice_axis)
    dimension = geometry.slice_dimension(slice_axis)
    at = data.draw(st.integers(0, geometry.lattice[dimension] - 1))
    one = tuple(at if axis == dimension else slice(None) for axis in range(3))
    np.testing.assert_array_equal(heat[one], expected[one])
    assert len(asked) == 1, "no other slice is made"
    other = tuple(1 if axis == (dimension + 1) % 3 else slice(None, None, 2) for axis in range(3))
    for index in (..., 1, (1, 2), other, (slice(1, 3), ..., 0), (0, 1, 2)):
        np.testing.assert_array_equal(heat[index], expected[index])


def test_a_picture_has_no_slices():
    data = np.random.default_rng(1).random((6, 5, 1))  # columns, rows
    volume = Volume(data, np.eye(4))
    prepared = prepare([volume], Preprocessing(slice_axis="acquired", normalisation=(WINDOW,), divisor=4))
    whole = displayed(volume)
    geometry = LayerGeometry(whole.grid, whole.order, whole.world, flat=True)
    windows = WindowGeometry(prepared, geometry)
    assert geometry.shape == (5, 6)
    np.testing.assert_allclose(windows.points(np.array([-1 + 0.2, 1 - 1 / 6]), 0), (0, 5), atol=1e-9)
    stack = np.random.default_rng(0).random((1, 5, 6)).astype(np.float32)
    heat = LiveHeat(lambda number: stack[number], geometry, "acquired", alike=True)
    for index in (..., (slice(None), slice(None)), (2, 3), (slice(1, 3), slice(None))):
        np.testing.assert_array_equal(heat[index], stack[0][index])

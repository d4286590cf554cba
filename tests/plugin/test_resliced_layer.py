"""A channel on another grid is shown as the network sees it."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtWidgets import QComboBox

from napari_film.header import Channel
from napari_film.plugin.channel_form import ChannelForm
from napari_film.plugin.layers import geometry_of, layer_data_from_volume
from napari_film.plugin.resliced_layer import ReslicedLayer
from napari_film.preprocessing import Normalisation, Preprocessing, prepare


def image(volume, **arguments):
    data, given, _ = layer_data_from_volume(volume)
    return Image(data, **{**given, **arguments})


@pytest.fixture
def pair(make_volume, make_affine):
    reference = make_volume((8, 9, 5), make_affine((1, 0, 2), (True, False, False), spacing=(1, 1, 3)))
    other = make_volume((10, 7, 8), make_affine(spacing=(1, 1.5, 2), angles=(0, 8, 0), origin=(-1, -9, 0)), seed=1)
    prepared = prepare([reference, other], Preprocessing(slice_axis="axial", normalisation=(Normalisation(),) * 2))
    original = image(other, name="T2w", colormap="magma")
    first = image(reference, name="T1w")
    return original, first, ReslicedLayer(original, first, geometry_of(first), prepared, prepared.channels[1]), prepared


def test_slices_are_what_the_network_sees(pair):
    _, first, resliced, prepared = pair
    count = prepared.shape[0]
    shown = geometry_of(first).to_sliced(resliced.layer.data, "axial")
    resliced.fill(3)
    assert np.array_equal(shown[3], prepared.channels[1].slice(3))
    assert np.isclose(shown[0], prepared.channels[1].fill).all()
    assert not resliced.complete
    for _ in range(count):
        resliced.fill(None)
    assert resliced.complete
    resliced.fill(None)
    assert np.array_equal(shown, np.stack([prepared.channels[1].slice(i) for i in range(count)]))


def test_it_is_not_offered_as_an_image(pair, qtbot):
    original, first, resliced, _ = pair
    viewer = ViewerModel()
    form = ChannelForm(viewer)
    qtbot.addWidget(form)
    form.setChannels([Channel(name="T1w"), Channel(name="T2w")])
    for layer in (first, original, resliced.layer):
        viewer.add_layer(layer)
    combos = form.findChildren(QComboBox)
    assert [[combo.itemText(row) for row in range(combo.count())][-2:] for combo in combos] == [["T1w", "T2w"]] * 2


def test_it_lies_on_the_reference_and_looks_like_the_original(pair):
    original, first, resliced, _ = pair
    layer = resliced.layer
    assert layer.name == "T2w (on the grid of T1w)"
    assert np.allclose(layer.extent.world, first.extent.world)
    assert layer.colormap.name == "magma"
    assert list(layer.contrast_limits) == list(original.contrast_limits)


def test_the_original_is_hidden_as_long(pair):
    original, _, resliced, _ = pair
    assert not original.visible
    resliced.give_back()
    assert original.visible


def test_an_original_that_was_hidden_stays_so(pair):
    _, first, _, prepared = pair
    hidden = Image(np.zeros((4, 4, 4)), visible=False)
    resliced = ReslicedLayer(hidden, first, geometry_of(first), prepared, prepared.channels[1])
    assert not resliced.layer.visible
    resliced.give_back()
    assert not hidden.visible

"""The channel form follows the viewer's layers."""

import numpy as np
import pytest

from napari_film.header import Channel
from napari_film.plugin.channel_form import ChannelForm
from napari_film.plugin.layers import layer_data_from_volume
from napari_film.volume import Volume

CHANNELS = (Channel(name="Gd-e T1w", suffix="ce-gadolinium_T1w"), Channel(name="T2w", suffix="T2w"))


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


@pytest.fixture
def form(viewer):
    form = ChannelForm(viewer)
    viewer.window.add_dock_widget(form, name="channels")
    yield form
    form.close_form()


def _image(viewer, name):
    return viewer.add_image(np.zeros((3, 4, 5)), name=name)


def test_layers_are_guessed_by_suffix_as_they_come(qtbot, viewer, form):
    form.setChannels(CHANNELS)
    assert form.value() == [None, None]
    data, arguments, _ = layer_data_from_volume(Volume(np.zeros((3, 4, 5)), np.eye(4), "sub-1_T2w.nii.gz"), name="second")
    with qtbot.waitSignal(form.valueChanged):
        second = viewer.add_image(data, **arguments)
    assert form.value() == [None, second]
    viewer.add_labels(np.zeros((3, 4, 5), int), name="T1w mask")
    first = _image(viewer, "Spine, Gd-e T1w")
    _image(viewer, "another T1w")
    assert form.value() == [first, second]


def test_a_choice_stays_when_layers_come_go_and_are_renamed(viewer, form):
    first, second = _image(viewer, "a T1w"), _image(viewer, "b T2w")
    form.setChannels(CHANNELS)
    form.setValue([second, first])
    third = _image(viewer, "c ce-gadolinium_T1w")
    first.name = "renamed"
    viewer.layers.move(0, 2)
    assert form.value() == [second, first]
    viewer.layers.remove(second)
    assert form.value() == [third, first]


def test_deleted_layer_leaves_an_empty_place(qtbot, viewer, form):
    layer = _image(viewer, "T2w")
    form.setChannels(CHANNELS)
    assert form.value() == [None, layer]
    with qtbot.waitSignal(form.valueChanged) as told:
        viewer.layers.remove(layer)
    assert told.args == [[None, None]]


def test_the_only_image_for_the_only_channel(viewer, form):
    layer = _image(viewer, "whatever")
    form.setChannels(CHANNELS[:1])
    assert form.value() == [layer]
    form.setChannels(())
    assert form.value() == []

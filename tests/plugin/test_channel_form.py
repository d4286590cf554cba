"""The channel form follows the viewer's layers."""

import itertools

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QComboBox

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


@pytest.fixture
def bare_viewer():
    """Layers without a window."""
    return ViewerModel()


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


FILES = ("sub-01_T1w", "sub-01_T2w", "sub-01_acq-fast_T1w", "sub-01_ce-gadolinium_T1w")
PLAIN = (Channel(name="T1w", suffix="T1w"), Channel(name="T2w", suffix="T2w"))


def _open(viewer, file):
    data, arguments, _ = layer_data_from_volume(Volume(np.zeros((3, 4, 5)), np.eye(4), f"{file}.nii.gz"), name=f"layer of {file[-1]}")
    return viewer.add_image(data, **arguments)


@pytest.mark.parametrize("order", list(itertools.permutations(FILES))[::5])
@pytest.mark.parametrize(("channels", "expected"), [(CHANNELS, (FILES[3], FILES[1])), (PLAIN, (FILES[0], FILES[1]))])
def test_the_whole_suffix_decides_in_whatever_order_files_come(qtbot, bare_viewer, order, channels, expected):
    form = ChannelForm(bare_viewer)
    qtbot.addWidget(form)
    form.setChannels(channels)
    layers = {file: _open(bare_viewer, file) for file in order}
    assert form.value() == [layers[file] for file in expected]
    form.close_form()


def test_an_image_with_contrast_agent_is_left_to_the_channel_that_wants_it(qtbot, bare_viewer):
    form = ChannelForm(bare_viewer)
    qtbot.addWidget(form)
    form.setChannels((PLAIN[0], CHANNELS[0]))
    agent = _open(bare_viewer, FILES[3])
    assert form.value() == [None, agent]
    plain = _open(bare_viewer, FILES[0])
    assert form.value() == [plain, agent]
    form.close_form()


@pytest.mark.parametrize("how", ["keep", "setValue"])
def test_what_is_kept_gives_way_to_nothing_better(qtbot, bare_viewer, how):
    form = ChannelForm(bare_viewer)
    qtbot.addWidget(form)
    form.setChannels(CHANNELS[:1])
    plain = _open(bare_viewer, FILES[0])
    form.keep() if how == "keep" else form.setValue([plain])
    _open(bare_viewer, FILES[3])
    assert form.value() == [plain]
    form.close_form()


def test_a_guess_stays_when_its_layer_is_renamed(qtbot, bare_viewer):
    form = ChannelForm(bare_viewer)
    qtbot.addWidget(form)
    form.setChannels(CHANNELS)
    layer = bare_viewer.add_image(np.zeros((3, 4, 5)), name="T2w")
    with qtbot.assertNotEmitted(form.valueChanged):
        layer.name = "second"
    assert form.value() == [None, layer]
    form.close_form()


def test_what_a_person_picks_stays(qtbot, bare_viewer):
    form = ChannelForm(bare_viewer)
    qtbot.addWidget(form)
    form.setChannels(CHANNELS)
    second, plain = _open(bare_viewer, FILES[1]), _open(bare_viewer, FILES[0])
    combo = form.findChildren(QComboBox)[0]
    combo.setCurrentIndex(combo.findText(second.name))
    assert form.value()[0] is second
    _open(bare_viewer, FILES[3])
    assert form.value()[0] is second
    assert plain in bare_viewer.layers
    form.close_form()

"""The noise floor, from the dock's button to its layers."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton

from napari_film.checkpoint import load_checkpoint, save_checkpoint
from napari_film.comparison.noise_floor import noise_floor
from napari_film.plugin.layers import geometry_of

pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.fixture(scope="module")
def trainings(make_checkpoint, site, tmp_path_factory):
    """Three networks that are a little different, as those of one recipe are."""
    first = load_checkpoint(make_checkpoint(site, seed=36))
    paths = []
    for seed in range(3):
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            network = deepcopy(first.network)
            for parameter in network.parameters():
                parameter += 0.01 * torch.randn_like(parameter)
        paths.append(tmp_path_factory.mktemp("training") / "best.safetensors")
        provenance = first.header.provenance.model_copy(update={"seed": seed, "data_hash": "abc"})
        save_checkpoint(paths[-1], network, first.header.model_copy(update={"provenance": provenance}))
    return paths


@pytest.fixture(scope="module")
def target(make_checkpoint, tumor):
    return make_checkpoint(tumor, seed=18)


@pytest.fixture(scope="module")
def volume(make_volume, make_affine):
    return make_volume((12, 16, 5), make_affine((0, 2, 1), (True, False, False)))


@pytest.fixture
def panel(dock):
    return dock.widget.retraining.panel


def compute(dock):
    button = next(button for button in dock.widget.retraining.panel.findChildren(QPushButton) if "ompute" in button.text())
    dock.widget.show_tab(button)
    dock.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def opened(dock, model, volume):
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_idle()


def test_layers_are_what_the_trainings_say(dock, panel, trainings, volume):
    opened(dock, trainings[0], volume)
    panel.setValue(trainings)
    dock.session.set_metadata({"site": "north"}, "A")
    dock.session.set_metadata({"site": "south"}, "B")
    dock.wait_idle()
    compute(dock)
    name = "A − B beyond retraining (3 trainings)"
    dock.wait(lambda: name in [layer.name for layer in dock.viewer.layers])
    expected = noise_floor(trainings, [volume], {"site": "north"}, {"site": "south"}, device="cpu")
    layers = {layer.name: layer for layer in dock.viewer.layers}

    def sliced(title):
        return geometry_of(layers[title]).to_sliced(np.asarray(layers[title].data), "axial")

    assert expected.beyond.any()
    assert not expected.beyond.all()
    assert np.array_equal(sliced(name), expected.beyond[0])
    assert np.array_equal(sliced("A · north: average of 3 trainings"), expected.mask_a())
    assert np.array_equal(sliced("B · south: average of 3 trainings"), expected.mask_b())
    floor = layers["noise floor of 3 trainings"]
    assert isinstance(floor, Image)
    assert np.allclose(sliced(floor.name), expected.floor[0] / 256)


def test_the_same_metadata_twice_are_no_pair(dock, panel, trainings, volume, notified):
    opened(dock, trainings[0], volume)
    panel.setValue(trainings)
    dock.session.set_metadata(dock.session.choices["A"].metadata, "B")
    (button,) = [button for button in panel.findChildren(QPushButton) if "ompute" in button.text()]
    assert not button.isEnabled()
    dock.widget.retraining.compute(trainings)
    assert "A and B have the same metadata" in notified[-1].message
    assert len(dock.viewer.layers) == 2


def test_nothing_is_open(dock, panel, trainings, notified):
    dock.widget.picker.choose(trainings[0])
    panel.setValue(trainings)
    compute(dock)
    assert "No images are open yet; press Segment first" in notified[-1].message


def test_what_is_looked_for_has_no_noise_floor(dock, panel, target):
    dock.widget.picker.choose(target)
    assert not next(button for button in panel.findChildren(QPushButton) if "ompute" in button.text()).isEnabled()


def test_letting_go_of_the_images_ends_it(dock, panel, trainings, volume):
    opened(dock, trainings[0], volume)
    panel.setValue(trainings)
    dock.session.set_metadata({"site": "north"}, "A")
    compute(dock)
    dock.session.forget()
    assert not dock.widget.errands.busy("noise floor")
    dock.wait_idle()
    assert not [layer for layer in dock.viewer.layers if "trainings" in layer.name]

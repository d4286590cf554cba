"""What was chosen is there again when the dock is opened the next time."""

import json

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox

from napari_film.inference.postprocessing import Postprocessing

pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.fixture(scope="module")
def model(make_checkpoint, site, age):
    return make_checkpoint(site, age, seed=36)


@pytest.fixture(scope="module")
def other(make_checkpoint, tumor):
    return make_checkpoint(tumor, seed=18)


@pytest.fixture
def again(dock):
    """Close the dock by its cross and open it anew."""

    def reopen():
        dock.qtbot.mouseClick(dock.dock.title.close_button, Qt.MouseButton.LeftButton)
        dock.dock, dock.widget = dock.viewer.window.add_plugin_dock_widget("napari-film", "FiLM segmentation")
        dock.session = dock.widget.session
        return dock.widget

    return reopen


@pytest.fixture
def store(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("store")
    monkeypatch.setattr("napari_film.plugin.remembered.user_state_path", lambda *_: folder)
    return folder / "dock.json"


def test_all_choices_are_back(dock, again, model):
    widget = dock.widget
    widget.picker.choose(model)
    dock.pick("site", "south")
    widget.workbench.flip()
    dock.pick("site", "north")
    widget.workbench.set_field("age")
    widget.mask_form.setValue(Postprocessing(threshold=40, fill_holes=True, smallest_mm3=20))
    widget.workbench.values_form.setLayoutValue("stacked")
    widget.workbench.values_form.layoutChanged.emit("stacked")
    widget.slice_view.setValue("neurological")
    widget.tabs.setCurrentIndex(2)
    new = again()
    assert new is not widget
    assert new.session.checkpoint == model
    assert new.session.choices["A"].metadata["site"] == "south"
    assert new.session.choices["B"].metadata["site"] == "north"
    assert new.workbench.field == "age"
    assert new.session.postprocessing == new.mask_form.value() == Postprocessing(threshold=40, fill_holes=True, smallest_mm3=20)
    assert new.workbench.values_form.layoutValue() == "stacked"
    assert new.slice_view.value() == "neurological"
    assert new.tabs.currentIndex() == 2
    assert new.metadata.form.value()["site"] == "south"


def test_each_model_has_its_own(dock, again, model, other):
    widget = dock.widget
    widget.picker.choose(other)
    dock.pick("tumor_type", "hemangioblastoma")
    widget.mask_form.setValue(Postprocessing(threshold=99))
    widget.picker.choose(model)
    assert widget.session.postprocessing == Postprocessing(), "a threshold of another model says nothing"
    dock.pick("site", "south")
    new = again()
    new.picker.choose(other)
    assert new.session.metadata == {"tumor_type": "hemangioblastoma"}
    assert new.session.postprocessing == Postprocessing(threshold=99)


def test_a_model_that_is_gone_is_not_missed(store, again, model, tmp_path):
    path = tmp_path / "gone.safetensors"
    path.write_bytes(model.read_bytes())
    dock = again()
    dock.choose_checkpoint(path)
    dock.memory.save()
    path.unlink()
    new = again()
    assert new.session.checkpoint is None


@pytest.mark.parametrize(
    "content", ["", "no JSON", "[]", json.dumps({"checkpoint": 3}), json.dumps({"page": 77, "layout": "circle", "convention": "both"})]
)
def test_a_state_that_cannot_be_read_is_no_state(store, again, content):
    store.write_text(content)
    new = again()
    assert new.session.checkpoint is None
    assert new.tabs.currentIndex() == 0
    assert new.workbench.values_form.layoutValue() == "grid"
    assert new.slice_view.value() == "radiological"


def test_values_that_a_new_version_of_the_model_lacks_stay_as_they_are(store, dock, again, model):
    dock.widget.picker.choose(model)
    dock.pick("site", "south")
    dock.widget.memory.flush()
    kept = json.loads(store.read_text())
    kept["checkpoints"][str(model)]["slots"]["A"]["site"] = "east"
    store.write_text(json.dumps(kept))
    new = again()
    assert new.session.metadata["site"] == "unknown"


def test_a_sample_brings_its_own_model_whatever_was_used_last(dock, again, model):
    dock.widget.picker.choose(model)
    new = again()
    assert new.session.checkpoint == model
    dock.viewer.open_sample("napari-film", "abdomen")
    assert new.session.checkpoint.stem == "abdomen"
    assert dock.child(QComboBox, "organ") is not None


def test_two_windows_forget_nothing_of_each_other(dock, again, make_napari_viewer_proxy, model, other):
    dock.widget.picker.choose(model)
    dock.pick("site", "south")
    dock.widget.memory.flush()
    second = make_napari_viewer_proxy()
    _, widget = second.window.add_plugin_dock_widget("napari-film", "FiLM segmentation")
    assert widget.session.checkpoint == model
    assert widget.session.metadata["site"] == "south"
    widget.picker.choose(other)
    widget.session.set_metadata({"tumor_type": "ependymoma"})
    widget.memory.flush()
    dock.pick("site", "north")
    dock.widget.memory.flush()
    new = again()
    assert new.session.checkpoint == model
    assert new.session.metadata["site"] == "north"
    new.picker.choose(other)
    assert new.session.metadata == {"tumor_type": "ependymoma"}
    widget.close_session()

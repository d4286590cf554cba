"""Where condition values are from, through all that a person may do: other images, other models, the other slot, keys, saving."""

import json

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton

from napari_film import nifti
from napari_film.fields import CategoricalField
from napari_film.inference.sidecar import sidecar_path

pytestmark = pytest.mark.usefixtures("on_the_cpu", "unpainted")

SEX = CategoricalField(name="sex", values=("F", "M"), synonyms={"F": ("female",), "M": ("male",)}, unknown=True)


@pytest.fixture(scope="module")
def model(make_checkpoint, age):
    return make_checkpoint(SEX, age, seed=36)


@pytest.fixture(scope="module")
def tree(tmp_path_factory, make_volume):
    """Two subjects of a BIDS data set, of one of whom the age is not known, and a third who is in no table."""
    root = tmp_path_factory.mktemp("data set")
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    (root / "participants.tsv").write_text("participant_id\tsex\tage\nsub-01\tfemale\t30\nsub-02\tM\tn/a\n", encoding="utf-8-sig")
    images = {}
    for seed, subject in enumerate(("01", "02", "03")):
        images[subject] = root / f"sub-{subject}" / "anat" / f"sub-{subject}_T1w.nii.gz"
        images[subject].parent.mkdir(parents=True)
        volume = make_volume((10, 12, 3), seed=seed)
        nifti.write(images[subject], volume.data, volume)
    return images


def show(dock, path):
    """Open an image in place of all others."""
    dock.viewer.layers.clear()
    return dock.viewer.open(path, plugin="napari-film")[0]


def click(dock, name):
    dock.qtbot.mouseClick(dock.child(QPushButton, name), Qt.MouseButton.LeftButton)


def caption(dock, name):
    """What stands below an editor, as it is read."""
    text = dock.child(QLabel, f"film_origin_{name}").text()
    return text.replace("<small>", "").replace("</small>", "").replace("\u200b", "")


def value(dock):
    return dock.widget.metadata.form.value()


def test_both_slots_are_filled_and_each_has_its_own_origins(dock, model, tree):
    dock.widget.picker.choose(model)
    assert value(dock) == {"sex": "unknown", "age": 50.0}
    show(dock, tree["01"])
    assert value(dock) == dock.session.metadata == {"sex": "F", "age": 30.0}
    assert caption(dock, "sex") == caption(dock, "age") == "participants.tsv"
    assert dict(dock.session.choices["B"].metadata) == {"sex": "M", "age": 30.0}
    dock.pick("sex", "M")
    assert caption(dock, "sex") == "⚠ you; participants.tsv says F"
    click(dock, "film_slot_b")
    assert value(dock) == {"sex": "M", "age": 30.0}
    assert caption(dock, "sex").endswith("; participants.tsv says F")
    assert caption(dock, "age") == "participants.tsv"
    dock.pick("sex", "F")
    assert caption(dock, "sex") == "you"
    click(dock, "film_slot_a")
    assert caption(dock, "sex") == "⚠ you; participants.tsv says F"
    assert value(dock)["sex"] == "M"


def test_the_image_may_be_there_before_the_model(dock, model, tree):
    show(dock, tree["01"])
    dock.widget.picker.choose(model)
    assert value(dock) == {"sex": "F", "age": 30.0}
    assert caption(dock, "sex") == "participants.tsv"


def test_files_know_better_than_what_was_chosen_last(dock, model, make_checkpoint, tree):
    dock.widget.picker.choose(model)
    dock.pick("sex", "M")
    show(dock, tree["01"])
    assert value(dock)["sex"] == "F"
    dock.pick("sex", "M")
    dock.widget.picker.choose(make_checkpoint(SEX, seed=1))
    assert value(dock)["sex"] == "F"
    dock.widget.picker.choose(model)  # with which M was chosen last
    assert value(dock)["sex"] == "F"
    assert caption(dock, "sex") == "participants.tsv"


def test_what_one_subject_s_files_say_is_not_true_of_the_next(dock, model, tree):
    dock.widget.picker.choose(model)
    show(dock, tree["01"])
    assert value(dock) == {"sex": "F", "age": 30.0}
    show(dock, tree["02"])
    assert value(dock) == {"sex": "M", "age": 50.0}
    assert caption(dock, "age") == "default"
    dock.pick("sex", "F")
    show(dock, tree["01"])
    assert value(dock) == {"sex": "F", "age": 30.0}
    assert caption(dock, "sex") == "participants.tsv"
    show(dock, tree["03"])
    assert value(dock) == {"sex": "unknown", "age": 50.0}
    assert caption(dock, "sex") == "default"
    assert [choice.metadata["age"] for choice in dock.session.choices.values()] == [50, 50]


def test_what_is_saved_says_where_its_values_are_from(dock, model, tree, tmp_path):
    """Of each slot its own; a step by a key is a person's choice, though a file says the same."""
    dock.widget.picker.choose(model)
    show(dock, tree["01"])
    dock.click_segment()
    dock.wait_complete()

    def origins(layer):
        path = tmp_path / "mask.nii.gz"
        layer.save(str(path), plugin="napari-film")
        return json.loads(sidecar_path(path).read_text())["MetadataOrigin"]

    assert origins(dock.mask) == {"sex": "participants.tsv", "age": "participants.tsv"}
    click(dock, "film_slot_b")
    click(dock, "film_step_on")  # from M to unknown
    click(dock, "film_step_on")  # to F
    dock.wait_complete()
    assert dock.session.metadata["sex"] == "F"
    assert caption(dock, "sex") == "you"
    assert origins(dock.mask) == {"sex": "you", "age": "participants.tsv"}
    file = tmp_path / "file.nii.gz"
    dock.widget.keep.save(file)
    assert json.loads(sidecar_path(file).read_text())["MetadataOrigin"] == {"sex": "you", "age": "participants.tsv"}
    click(dock, "film_slot_a")
    assert origins(dock.mask) == {"sex": "participants.tsv", "age": "participants.tsv"}
    assert origins(dock.widget.views.slots.layer("B")) == {"sex": "you", "age": "participants.tsv"}
    click(dock, "film_keep")
    kept = next(layer for layer in dock.viewer.layers if "kept" in layer.name)
    dock.pick("sex", "M")
    dock.wait_complete()
    assert origins(kept) == {"sex": "participants.tsv", "age": "participants.tsv"}
    assert origins(dock.mask) == {"sex": "you", "age": "participants.tsv"}

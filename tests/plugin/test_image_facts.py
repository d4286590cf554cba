"""What the files around an image say fills the form in, and what is unusual is said before anything is computed."""

import json

import dask.array as da
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton

from napari_film import nifti
from napari_film.inference import sidecar

pytestmark = pytest.mark.usefixtures("on_the_cpu")

RANGE = {"low": 1.0, "median": 1.0, "high": 1.0}


@pytest.fixture(scope="module")
def model(make_checkpoint, site, age):
    return make_checkpoint(site, age, seed=36)


@pytest.fixture(scope="module")
def strict(make_checkpoint, site):
    """A model that met 1 mm voxels alone."""
    size = {"low": 4, "median": 12, "high": 100}
    levels = {"low": -5.0, "median": 0.0, "high": 5.0}
    fingerprint = {
        "subjects": 20,
        "spacing": [RANGE] * 3,
        "size": [size] * 3,
        "intensity": [levels],
        "metadata": {"site": {"north": 10, "south": 10, "unknown": 10}},
    }
    return make_checkpoint(site, seed=36, header={"fingerprint": fingerprint})


@pytest.fixture
def tree(tmp_path, make_volume):
    """A BIDS tree of two subjects: south and 30, north and n/a."""
    (tmp_path / "dataset_description.json").write_text('{"Name": "test", "BIDSVersion": "1.9.0"}')
    rows = "\ufeffparticipant_id\tage\tsite\nsub-1\t30\tSOUTH\nsub-2\tn/a\tnorth\n"
    (tmp_path / "participants.tsv").write_text(rows, encoding="utf-8")
    paths = []
    for subject in "12":
        path = tmp_path / f"sub-{subject}" / "anat" / f"sub-{subject}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        volume = make_volume((12, 16, 5), seed=int(subject))
        nifti.write(path, volume.data, volume, dtype=np.float32)
        paths.append(path)
    return paths


def open_file(dock, path):
    (layer,) = dock.viewer.open(path, plugin="napari-film")
    dock.widget.channel_form.setValue([layer])
    return layer


def caption(dock, field):
    text = dock.widget.findChild(QLabel, f"film_origin_{field}").text()
    return text.replace("\u200b", "")


def line(dock):
    return dock.widget.facts.line


def test_the_form_fills_itself_in(dock, model, tree):
    dock.widget.picker.choose(model)
    assert "default" in caption(dock, "site")
    open_file(dock, tree[0])
    assert dock.session.metadata == {"site": "south", "age": 30}
    assert dock.widget.metadata.form.value() == {"site": "south", "age": 30}
    assert "participants.tsv" in caption(dock, "site")
    assert "participants.tsv" in caption(dock, "age")
    assert dock.session.choices["B"].metadata == {"site": "north", "age": 30}


def test_a_choice_that_contradicts_the_file_is_warned_of_and_saved_as_a_persons(dock, model, tree, tmp_path):
    dock.widget.picker.choose(model)
    open_file(dock, tree[0])
    dock.pick("site", "north")
    said = caption(dock, "site")
    assert "⚠" in said
    assert "participants.tsv says south" in said
    dock.click_segment()
    dock.wait_complete()
    path = tmp_path / "mask.nii.gz"
    dock.widget.keep.save(path)
    made = json.loads(sidecar.sidecar_path(path).read_text())
    assert made["Metadata"] == {"site": "north", "age": 30}
    assert made["MetadataOrigin"] == {"site": "you", "age": "participants.tsv"}
    assert str(tmp_path) not in sidecar.sidecar_path(path).read_text(), "a folder can name a patient"


def test_another_subject_fills_it_in_anew(dock, model, tree):
    dock.widget.picker.choose(model)
    open_file(dock, tree[0])
    dock.pick("site", "unknown")
    open_file(dock, tree[1])
    assert dock.session.metadata["site"] == "north"
    assert "participants.tsv" in caption(dock, "site")
    assert "⚠" not in caption(dock, "site")


def test_stepping_is_a_persons_choice_and_each_slot_has_its_own(dock, model, tree):
    dock.widget.picker.choose(model)
    open_file(dock, tree[0])
    dock.qtbot.mouseClick(dock.child(QPushButton, "film_step_on"), Qt.MouseButton.LeftButton)
    assert dock.widget.facts.origins(dock.session.choices["A"])["site"] == "you"
    dock.widget.workbench.flip()
    dock.widget.workbench.flip()
    assert dock.widget.facts.origins(dock.session.choices["A"])["site"] == "you"
    assert dock.widget.facts.origins(dock.session.choices["A"])["age"] == "participants.tsv"


def test_a_file_of_dcm2niix_beside_the_image(dock, model, tmp_path, make_volume):
    path = tmp_path / "scan.nii.gz"
    volume = make_volume((12, 16, 5))
    nifti.write(path, volume.data, volume, dtype=np.float32)
    (tmp_path / "scan.json").write_text(json.dumps({"Site": "South", "PatientAge": "045Y"}))
    dock.widget.picker.choose(model)
    open_file(dock, path)
    assert dock.session.metadata == {"site": "south", "age": 45}
    assert "scan.json" in caption(dock, "age")


@pytest.mark.parametrize(
    ("content", "said"), [("{", "scan.json"), ('{"Site": "moon"}', "moon"), ("[1, 2]", "scan.json"), ('{"Age": 1e999}', "")]
)
def test_a_file_that_cannot_be_used_is_a_line(dock, model, tmp_path, make_volume, content, said):
    path = tmp_path / "scan.nii.gz"
    volume = make_volume((12, 16, 5))
    nifti.write(path, volume.data, volume, dtype=np.float32)
    (tmp_path / "scan.json").write_text(content)
    dock.widget.picker.choose(model)
    open_file(dock, path)
    assert dock.session.metadata == {"site": "unknown", "age": 50}
    dock.wait(lambda: said in line(dock).text())


def test_what_is_unusual_is_said_before_segment(dock, strict, make_volume, make_affine):
    dock.widget.picker.choose(strict)
    thick = dock.add(make_volume((12, 16, 8), make_affine(spacing=(1, 1, 3))))
    dock.widget.channel_form.setValue([thick])
    dock.wait(lambda: "3 times as thick" in line(dock).text())
    assert dock.session.prepared is None
    usual = dock.add(make_volume((12, 16, 8)))
    dock.widget.channel_form.setValue([usual])
    dock.wait(lambda: "thick" not in line(dock).text())


def test_what_is_computed_when_it_is_asked_for_is_not_asked(dock, strict):
    read = []

    def block(_):
        read.append(1)
        return np.zeros((4, 16, 12), dtype=np.float32)

    lazy = da.map_blocks(block, da.zeros((8, 16, 12), chunks=(4, 16, 12), dtype=np.float32), dtype=np.float32, meta=np.empty((0, 0, 0)))
    layer = dock.viewer.add_image(lazy, scale=(3, 1, 1), units="mm", contrast_limits=(0, 1))
    dock.widget.picker.choose(strict)
    dock.widget.channel_form.setValue([layer])
    before = len(read)
    dock.widget.facts._judge()
    assert len(read) == before

"""What the program fills in slice by slice: seen in the form, changed to one number and back, computed, saved and made again."""

import json
import shlex
import sys

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit

from napari_film import cli, nifti
from napari_film.conditioning import MetadataSchema
from napari_film.fields import BY_SLICE, UNKNOWN, CategoricalField, ContinuousField
from napari_film.inference.sidecar import sidecar_path
from napari_film.plugin.choice import Choice, steps
from napari_film.plugin.metadata_form import MetadataForm
from napari_film.plugin.number_box import NumberBox
from napari_film.plugin.values_form import ValuesForm

PHASE = CategoricalField(name="phase", values=("ED", "ES"))
POSITION = ContinuousField(name="slice_position", minimum=0, maximum=1, per_slice="position")
DEPTH = ContinuousField(name="depth", minimum=10, maximum=60, unit="mm", per_slice="position", unknown=True)
SLICES = 6


def child(widget, kind, name):
    found = widget.findChild(kind, name)
    assert found is not None, name
    return found


@pytest.fixture
def form(qtbot):
    form = MetadataForm()
    qtbot.addWidget(form)
    form.setSchema(MetadataSchema(fields=(PHASE, POSITION, DEPTH)))
    form.show()
    return form


def test_the_program_fills_it_in_and_the_number_of_the_slice_stands_beside(form):
    assert form.value() == {"phase": "ED", "slice_position": BY_SLICE, "depth": BY_SLICE}
    here = child(form, QLabel, "film_here_slice_position")
    assert not here.isVisible()
    for place, text, depth in (((0, 6), "0.00", "10"), ((2, 6), "0.40", "30"), ((5, 6), "1.00", "60"), ((0, 1), "0.50", "35")):
        form.setSlice(place)
        assert here.isVisible()
        assert here.text() == f"{text} in this slice"
        assert child(form, QLabel, "film_here_depth").text() == f"{depth} in this slice"
    form.setSlice(None)
    assert not here.isVisible()
    assert form.origins()["slice_position"] == "filled in by the program"
    assert child(form, QLabel, "film_origin_slice_position").text() == "<small>filled in by the program</small>"


def test_one_number_by_the_keyboard_and_back(form, qtbot):
    form.setSlice((4, 6))
    kind, number = child(form, QComboBox, "film_kind_slice_position"), child(form, NumberBox, "film_number_slice_position")
    kind.setFocus()
    with qtbot.waitSignal(form.valueChanged):
        qtbot.keyClick(kind, Qt.Key.Key_Down)
    assert form.value()["slice_position"] == pytest.approx(0.8)  # where the slice in view is
    assert form.origins()["slice_position"] == "you"
    assert number.isVisible()
    assert not child(form, QLabel, "film_here_slice_position").isVisible()
    number.setFocus()
    with qtbot.waitSignal(form.valueChanged):
        qtbot.keyClick(number, Qt.Key.Key_Up)
    assert form.value()["slice_position"] == pytest.approx(0.85)
    line = number.findChild(QLineEdit)
    line.selectAll()
    qtbot.keyClicks(line, "0.25")
    with qtbot.waitSignal(form.valueChanged):
        qtbot.keyClick(line, Qt.Key.Key_Return)
    assert form.value()["slice_position"] == pytest.approx(0.25)
    kind.setFocus()
    with qtbot.waitSignal(form.valueChanged):
        qtbot.keyClick(kind, Qt.Key.Key_Up)
    assert form.value()["slice_position"] == BY_SLICE
    assert child(form, QLabel, "film_here_slice_position").text() == "0.80 in this slice"


def test_values_from_elsewhere(form):
    told = []
    form.valueChanged.connect(told.append)
    for value in (0.5, BY_SLICE, UNKNOWN, "10,20,30"):
        form.setValue({"depth": 15.0 if value == 0.5 else value})
        assert form.value()["depth"] == (15.0 if value == 0.5 else value)
    assert len(told) == 4
    assert child(form, QComboBox, "film_kind_depth").currentText() == "3 numbers"
    form.setValue({"depth": 22.5})  # a step between the ends, where the box has whole numbers
    assert child(form, NumberBox, "film_number_depth").text() == "23"
    assert form.value()["depth"] == told[-1]["depth"] == 22.5


def test_stepping_and_all_values(qtbot, make_header):
    header = make_header(PHASE, POSITION)
    assert steps(header, "slice_position") == [0, 0.25, 0.5, 0.75, 1, BY_SLICE]
    choice = Choice.first(header)
    seen = []
    for _ in range(7):
        choice = choice.stepped("slice_position", 1)
        seen.append(choice.metadata["slice_position"])
    assert seen == [0, 0.25, 0.5, 0.75, 1, BY_SLICE, 0]
    assert choice.stepped("slice_position", -1).metadata["slice_position"] == BY_SLICE
    between = choice.with_metadata({**choice.metadata, "slice_position": 0.3})[0]
    assert [between.stepped("slice_position", by).metadata["slice_position"] for by in (-1, 1)] == [0.25, 0.5]
    values = ValuesForm()
    qtbot.addWidget(values)
    values.setSchema(header.metadata_schema, choice.metadata, "slice_position")
    assert [value["slice_position"] for value in values.value()] == [0, 0.25, 0.5, 0.75, 1, BY_SLICE]


# in a window


@pytest.fixture(scope="module")
def model(make_checkpoint):
    return make_checkpoint(PHASE, POSITION, seed=18, preprocessing={"slice_axis": "acquired", "spacing": (1.5, 1.5, None)})


@pytest.fixture(scope="module")
def image(tmp_path_factory, make_volume, make_affine):
    """Double-oblique, thick slices along the file's first axis."""
    path = tmp_path_factory.mktemp("heart") / "stack.nii.gz"
    volume = make_volume((SLICES, 20, 16), make_affine((1, 2, 0), (True, False, True), spacing=(8, 1.5, 1.2), angles=(31, 20, 38)))
    nifti.write(path, volume.data, volume)
    return path


@pytest.mark.usefixtures("on_the_cpu", "unpainted")
def test_a_stack_is_segmented_slice_by_slice(dock, model, image, masks_by_predictor, tmp_path, monkeypatch):
    dock.viewer.open(image, plugin="napari-film")
    dock.widget.picker.choose(model)
    here = dock.child(QLabel, "film_here_slice_position")
    assert not here.isVisible()
    dock.click_segment()
    dock.wait_complete()
    volume = nifti.read(image)

    def expect(position):
        dock.wait_idle()
        expected = masks_by_predictor(model, [volume], {"phase": dock.session.metadata["phase"], "slice_position": position})
        assert 0 < (expected == 1).mean() < 1
        assert np.array_equal(dock.voxels(dock.mask), expected)
        return expected

    by_slice = expect(BY_SLICE)
    assert dock.mask.name == "A · lesion: ED, by slice"
    for k in (0, 3, SLICES - 1):
        dock.widget.slice_view.show_slice(dock.viewer.layers[0], "acquired", k)
        assert here.text() == f"{k / (SLICES - 1):.2f} in this slice"
    dock.pick("phase", "ES")
    dock.wait_complete()
    expect(BY_SLICE)
    dock.pick("film_kind_slice_position", "one for all slices")  # that of the last slice, which is in view
    dock.wait_complete()
    assert dock.mask.name == "A · lesion: ES, 1"
    expect(1.0)
    dock.pick("phase", "ED")
    dock.wait_complete()
    assert np.array_equal(expect(1.0)[-1], by_slice[-1])
    dock.pick("film_kind_slice_position", BY_SLICE)
    dock.wait_complete()
    assert np.array_equal(expect(BY_SLICE), by_slice)

    saved = tmp_path / "saved.nii.gz"
    dock.widget.keep.save(saved)
    said = json.loads(sidecar_path(saved).read_text())
    assert said["Metadata"] == {"phase": "ED", "slice_position": BY_SLICE}
    assert said["MetadataOrigin"]["slice_position"] == "filled in by the program"
    dock.click("film_command")
    name, *words = shlex.split(QApplication.clipboard().text())
    assert f"slice_position={BY_SLICE}" in words
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *words])
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main()
    assert np.array_equal(nifti.read(tmp_path / "mask.nii.gz").data, nifti.read(saved).data)


@pytest.mark.usefixtures("on_the_cpu", "unpainted")
def test_all_positions_at_once_and_the_card(dock, model, image, masks_by_predictor):
    dock.viewer.open(image, plugin="napari-film")
    dock.widget.picker.choose(model)
    assert BY_SLICE in dock.widget.card.text()
    dock.click_segment()
    dock.wait_complete()
    dock.pick("film_step_field", "slice position")
    dock.click("film_all_at_once")
    dock.wait_idle()
    masks = dock.widget.views.gallery.masks
    assert [mask.name for mask in masks] == [f"ED, {word}" for word in ("0", "0.25", "0.5", "0.75", "1", BY_SLICE)]
    for mask, position in zip(masks, (0, 0.25, 0.5, 0.75, 1, BY_SLICE), strict=True):
        expected = masks_by_predictor(model, [nifti.read(image)], {"phase": "ED", "slice_position": position})
        assert np.array_equal(dock.voxels(mask), expected)
    dock.click("film_take_away")

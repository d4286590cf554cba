"""The checkpoint picker, and the list of what was used last."""

import pytest
from qtpy.QtWidgets import QComboBox, QFileDialog, QPushButton

from napari_film.plugin import checkpoint_picker
from napari_film.plugin.checkpoint_picker import CheckpointPicker
from napari_film.recent import RecentFiles


@pytest.fixture
def recent(tmp_path):
    return RecentFiles(tmp_path / "state" / "recent.json")


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    path = tmp_path / "spinal_tumor.safetensors"
    path.touch()
    monkeypatch.setattr(checkpoint_picker, "bundled_checkpoints", lambda: {"spinal_tumor": path})
    return path


@pytest.fixture
def picker(qtbot, recent, bundled):
    picker = CheckpointPicker(recent=recent)
    qtbot.addWidget(picker)
    return picker


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.touch()
    return path


def test_a_choice_is_told_and_only_its_use_remembered(qtbot, picker, recent, bundled, checkpoint):
    assert picker.value() is None
    assert picker.choices() == [bundled]
    with qtbot.waitSignal(picker.valueChanged) as told:
        picker.choose(checkpoint)
    assert told.args == [checkpoint]
    assert recent.paths() == []
    with qtbot.assertNotEmitted(picker.valueChanged):
        picker.setValue(checkpoint)
    assert picker.value() == checkpoint
    assert recent.paths() == [checkpoint]
    assert picker.choices() == [bundled, checkpoint]
    assert picker.findChild(QComboBox).currentText() == "mine"


def test_trained_models_go_by_their_runs(picker, tmp_path, checkpoint):
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        path = tmp_path / run / "best.safetensors"
        path.write_bytes(checkpoint.read_bytes())
        picker.setValue(path)
    assert picker.findChild(QComboBox).currentText() == "second"
    assert picker.findChild(QComboBox).findText("first") > 0


def test_bundled_ones_are_not_recent(picker, recent, bundled):
    picker.setValue(bundled)
    assert recent.paths() == []
    assert picker.findChild(QComboBox).currentText() == "spinal tumor (demo)"
    picker.setValue(None)
    assert picker.findChild(QComboBox).currentIndex() == -1


def test_cancelled_dialog_is_no_path(qtbot, monkeypatch, picker, checkpoint):
    button = picker.findChild(QPushButton)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    with qtbot.assertNotEmitted(picker.valueChanged):
        button.click()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(checkpoint), ""))
    with qtbot.waitSignal(picker.valueChanged):
        button.click()


def test_recent_files_that_are_gone_are_dropped(recent, tmp_path):
    paths = [tmp_path / f"{number}.safetensors" for number in range(10)]
    for path in paths:
        path.touch()
        recent.add(path)
    recent.add(paths[5])
    paths[7].unlink()
    assert [path.stem for path in recent.paths()] == ["5", "9", "8", "6", "4", "3", "2"]


@pytest.mark.parametrize("content", ["", "{", '{"a": 1}', "[1, null]", '["\\u0000"]'])
def test_damaged_list_is_empty(tmp_path, content):
    store = tmp_path / "recent.json"
    store.write_text(content)
    assert RecentFiles(store).paths() == []


def test_list_that_cannot_be_written_is_no_error(tmp_path, checkpoint):
    (tmp_path / "file").touch()
    RecentFiles(tmp_path / "file" / "recent.json").add(checkpoint)

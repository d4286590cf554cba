"""The panel holds checkpoints of one experiment, and lets a person compute where it makes sense."""

from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QLabel, QListWidget, QProgressBar, QPushButton

from napari_film.plugin.noise_panel import NoisePanel


@pytest.fixture(scope="module")
def trainings(make_checkpoint, site):
    """Three trainings of one experiment."""
    return [make_checkpoint(site, header={"provenance": {"seed": seed, "data_hash": "abc"}}) for seed in range(3)]


@pytest.fixture(scope="module")
def stranger(make_checkpoint, site):
    return make_checkpoint(site, width=8, header={"provenance": {"seed": 7, "data_hash": "abc"}})


@pytest.fixture
def panel(qtbot):
    panel = NoisePanel()
    qtbot.addWidget(panel)
    panel.show()
    return panel


def text(panel, name):
    label = panel.findChild(QLabel, f"film_noise_{name}")
    return label.text() if label.isVisible() else ""


def button(panel, name):
    return panel.findChild(QPushButton, f"film_noise_{name}")


def rows(panel):
    shown = panel.findChild(QListWidget, "film_noise_list")
    return [shown.item(row).text() for row in range(shown.count())]


def select(panel, qtbot, row):
    shown = panel.findChild(QListWidget, "film_noise_list")
    place = shown.visualItemRect(shown.item(row)).center()
    qtbot.mouseClick(shown.viewport(), Qt.MouseButton.LeftButton, pos=place)


def click(panel, qtbot, name):
    qtbot.mouseClick(button(panel, name), Qt.MouseButton.LeftButton)


def test_without_a_model_there_is_nothing_to_do(panel):
    assert panel.value() == []
    assert "Choose a model" in text(panel, "sentence")
    assert not any(button(panel, name).isEnabled() for name in ("add", "remove", "compute"))
    panel.setValue([Path("some.safetensors")])
    assert panel.value() == []


def test_checkpoints_are_added_behind_the_one_in_use(panel, qtbot, trainings, monkeypatch):
    changes = []
    panel.valueChanged.connect(changes.append)
    panel.setCurrent(trainings[0])
    assert "trained from other seeds" in text(panel, "sentence")
    monkeypatch.setattr(
        QFileDialog, "getOpenFileNames", lambda *_: ([str(path) for path in (trainings[2], trainings[0], trainings[2])], "")
    )
    click(panel, qtbot, "add")
    assert panel.value() == [trainings[0], trainings[2]]
    assert text(panel, "sentence").startswith("2 trainings of one experiment, seeds 0, 2. Two trainings are a weak floor")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(trainings[1])], ""))
    click(panel, qtbot, "add")
    assert text(panel, "sentence") == "3 trainings of one experiment, seeds 0, 2, 1."
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([], ""))  # cancelled
    click(panel, qtbot, "add")
    assert changes == [trainings[:1], [trainings[0], trainings[2]], [trainings[0], trainings[2], trainings[1]]]
    assert rows(panel)[0].endswith("tiny.safetensors (in use)")
    assert len(set(rows(panel))) == 3


def test_all_but_the_one_in_use_can_be_removed(panel, qtbot, trainings):
    panel.setCurrent(trainings[0])
    panel.setValue(trainings)
    select(panel, qtbot, 0)
    assert not button(panel, "remove").isEnabled()
    select(panel, qtbot, 1)
    click(panel, qtbot, "remove")
    assert panel.value() == [trainings[0], trainings[2]]
    assert not button(panel, "remove").isEnabled()


def test_what_does_not_fit_is_said_and_not_computed(panel, trainings, stranger, tmp_path):
    panel.setPair("north", "south")
    panel.setCurrent(trainings[0])
    panel.setValue([stranger])
    assert "differ in their architecture" in text(panel, "sentence")
    assert not button(panel, "compute").isEnabled()
    assert "differ in their architecture" in button(panel, "compute").toolTip()
    panel.setValue([trainings[1], tmp_path / "gone.safetensors"])
    assert "gone.safetensors does not exist" in text(panel, "sentence")
    panel.setValue([trainings[1]])
    assert button(panel, "compute").isEnabled()


def test_another_model_keeps_those_that_belong_to_it(panel, trainings, stranger):
    changes = []
    panel.setCurrent(trainings[0])
    panel.setValue(trainings[1:])
    panel.valueChanged.connect(changes.append)
    panel.setCurrent(trainings[0])
    assert changes == []
    panel.setCurrent(trainings[2])
    assert panel.value() == [trainings[2], trainings[1]]
    panel.setCurrent(stranger)
    assert panel.value() == [stranger]
    panel.setCurrent(None)
    assert panel.value() == []
    assert len(changes) == 3


def test_a_and_b_are_needed_and_differ(panel, qtbot, trainings):
    clicked = []
    panel.compute_clicked.connect(clicked.append)
    panel.setCurrent(trainings[0])
    panel.setValue(trainings)
    assert text(panel, "pair") == "A: not chosen\nB: not chosen"
    for pair, why in ((("north", ""), "for A and for B"), (("north", "north"), "the same metadata")):
        panel.setPair(*pair)
        assert why in button(panel, "compute").toolTip()
        click(panel, qtbot, "compute")
        assert clicked == []
    panel.setPair("north", "south")
    assert text(panel, "pair") == "A: north\nB: south"
    assert button(panel, "compute").toolTip() == ""
    click(panel, qtbot, "compute")
    assert clicked == [trainings]


def test_while_it_computes_it_can_be_cancelled_and_nothing_else(panel, qtbot, trainings):
    cancelled, clicked = [], []
    panel.cancel_clicked.connect(lambda: cancelled.append(True))
    panel.compute_clicked.connect(clicked.append)
    panel.setCurrent(trainings[0])
    panel.setValue(trainings)
    panel.setPair("north", "south")
    bar = panel.findChild(QProgressBar, "film_noise_progress")
    assert not bar.isVisible()
    panel.setBusy(True)
    assert (button(panel, "compute").text(), bar.isVisible(), bar.text()) == ("Cancel", True, "loading")
    assert not button(panel, "add").isEnabled()
    panel.setProgress(30, 120)
    assert (bar.value(), bar.maximum(), bar.text()) == (30, 120, "30 of 120 slices")
    panel.setPair("", "")  # chosen away meanwhile: Cancel stays
    click(panel, qtbot, "compute")
    assert (cancelled, clicked) == ([True], [])
    panel.setBusy(False)
    assert (button(panel, "compute").text(), bar.isVisible()) == ("Compute noise floor", False)
    panel.setBusy(True)
    assert bar.text() == "loading"


def test_a_message_stays_until_the_list_changes(panel, trainings):
    panel.setCurrent(trainings[0])
    assert text(panel, "message") == ""
    panel.setMessage("3 % of the voxels of A or B are beyond the noise floor.")
    assert text(panel, "message").startswith("3 %")
    panel.setValue(trainings[1:])
    assert text(panel, "message") == ""


def test_where_it_makes_no_sense_it_says_why(panel):
    panel.setOffered(False, "organ says what to segment, so A and B are not comparable.")
    assert text(panel, "why").startswith("organ says what to segment")
    assert not button(panel, "compute").isVisible()
    panel.setOffered(True)
    assert text(panel, "why") == ""
    assert button(panel, "compute").isVisible()


def test_a_click_leaves_the_keyboard_where_it_is(panel):
    for part in (*(button(panel, name) for name in ("add", "remove", "compute")), panel.findChild(QListWidget, "film_noise_list")):
        assert part.focusPolicy() == Qt.FocusPolicy.TabFocus

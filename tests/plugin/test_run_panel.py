"""The panel shows what it is told."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QProgressBar, QPushButton

from napari_film.inference.plan import Plan
from napari_film.plugin.run_panel import RunPanel
from napari_film.plugin.session import State


@pytest.fixture
def panel(qtbot):
    panel = RunPanel()
    qtbot.addWidget(panel)
    panel.show()
    return panel


@pytest.mark.parametrize(
    ("state", "text", "enabled"),
    [
        (State.EMPTY, "Segment", False),
        (State.READY, "Segment", True),
        (State.RUNNING, "Cancel", True),
        (State.AHEAD, "Cancel", True),
        (State.FAILED, "Segment", True),
        (State.CLOSED, "Segment", False),
    ],
)
def test_the_button_names_what_it_does_and_does_it(panel, qtbot, state, text, enabled):
    clicked = []
    panel.segment_clicked.connect(lambda: clicked.append("Segment"))
    panel.cancel_clicked.connect(lambda: clicked.append("Cancel"))
    button = panel.findChild(QPushButton, "film_segment")
    panel.setState(state)
    assert button.text() == text
    assert button.isEnabled() is enabled
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert clicked == ([text] if enabled else [])


def test_progress_in_words(panel):
    bar = panel.findChild(QProgressBar)
    assert bar.text() == "no mask yet"
    panel.setProgress(3, 8)
    assert (bar.value(), bar.maximum(), bar.text()) == (3, 8, "3 of 8 slices")
    panel.setState(State.RUNNING)
    assert bar.text() == "3 of 8 slices, computing"
    panel.setState(State.READY)
    assert bar.text() == "3 of 8 slices"


@pytest.mark.parametrize(
    ("plan", "checked", "words"),
    [
        (None, "", "Device: none in use yet"),
        (Plan(device="cpu"), "", "Device: CPU, 32-bit"),
        (Plan(device="cuda", precision="bfloat16"), "", "Device: GPU, 16-bit (bfloat16)"),
        (Plan(device="cpu", precision="bfloat16"), "They agree.", "Device: CPU, 16-bit (bfloat16), checked against 32-bit"),
        (Plan(device="mps"), "They do not agree.", "Device: Apple GPU, 32-bit"),
    ],
)
def test_device_and_precision_in_words(panel, plan, checked, words):
    device = panel.findChild(QLabel, "film_device")
    panel.setPlan(plan, checked=checked)
    assert device.text() == words
    assert device.toolTip() == checked


def test_the_banner_stays_until_it_is_told_otherwise(panel):
    banner = panel.findChild(QLabel, "film_banner")
    assert not banner.isVisible()
    panel.setBanner(["No GPU was found; running on the CPU.", "T2w covers 93 % of T1w."])
    assert banner.isVisible()
    panel.setProgress(8, 8)
    panel.setState(State.READY)
    assert banner.text() == "No GPU was found; running on the CPU.\nT2w covers 93 % of T1w."
    panel.setBanner([])
    assert not banner.isVisible()

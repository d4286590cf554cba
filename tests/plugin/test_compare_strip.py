"""The strip says what a person does, and shows what it is told."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QSlider, QWidget

from napari_film.plugin.compare_strip import CompareStrip


@pytest.fixture
def strip(qtbot):
    strip = CompareStrip()
    qtbot.addWidget(strip)
    strip.setTexts("ependymoma", "astrocytoma")
    strip.setFields(("tumor_type", "site"), "site")
    strip.resize(328, strip.sizeHint().height())
    strip.show()
    return strip


@pytest.fixture
def told(strip):
    """Everything that the strip says."""
    told = []
    strip.slotChosen.connect(lambda slot: told.append(("slot", slot)))
    strip.flipClicked.connect(lambda: told.append(("flip",)))
    strip.stepClicked.connect(lambda step: told.append(("step", step)))
    strip.fieldChosen.connect(lambda name: told.append(("field", name)))
    strip.outlineToggled.connect(lambda on: told.append(("outline", on)))
    strip.hideToggled.connect(lambda on: told.append(("hide", on)))
    strip.fadeChanged.connect(lambda percent: told.append(("fade", percent)))
    strip.differenceToggled.connect(lambda on: told.append(("difference", on)))
    return told


def button(strip, name) -> QPushButton:
    return strip.findChild(QPushButton, f"film_{name}")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("slot_a", [("slot", "A")] * 2),
        ("slot_b", [("slot", "B")] * 2),
        ("flip", [("flip",)] * 2),
        ("step_back", [("step", -1)] * 2),
        ("step_on", [("step", 1)] * 2),
        ("outline", [("outline", True), ("outline", False)]),
        ("hide", [("hide", True), ("hide", False)]),
        ("difference", [("difference", True), ("difference", False)]),
    ],
)
def test_each_button_says_what_it_does_and_takes_no_keyboard(qtbot, strip, told, name, says):
    for _ in range(2):
        qtbot.mouseClick(button(strip, name), Qt.MouseButton.LeftButton)
    assert told == says
    assert not button(strip, name).hasFocus()


def test_setters_are_silent(strip, told):
    strip.setSlot("B")
    strip.setTexts("a", "b")
    strip.setFields(("site", "scanner"), "scanner")
    strip.setFade(70)
    strip.setOutline(True)
    strip.setMasksHidden(True)
    strip.setDifference(True)
    strip.setColours("#000000", "#FFFFFF")
    strip.setAvailable(False, "why")
    assert told == []
    assert button(strip, "slot_b").isChecked()
    assert strip.findChild(QSlider, "film_fade").value() == 70
    assert button(strip, "outline").isChecked()
    assert button(strip, "hide").isChecked()
    assert button(strip, "difference").isChecked()


def test_one_of_a_and_b_is_in_view(qtbot, strip):
    qtbot.mouseClick(button(strip, "slot_b"), Qt.MouseButton.LeftButton)
    assert [button(strip, name).isChecked() for name in ("slot_a", "slot_b")] == [False, True]
    strip.setSlot("A")
    assert [button(strip, name).isChecked() for name in ("slot_a", "slot_b")] == [True, False]


def test_a_long_name_is_cut_off_and_widens_nothing(strip):
    before = strip.minimumSizeHint().width()
    strip.setTexts("expected mask of 40 % ependymoma & 60 % astrocytoma", "b")
    a = button(strip, "slot_a")
    assert a.text().startswith("A exp")
    assert a.text().endswith("…")
    assert "60 % astrocytoma" in a.toolTip()
    assert strip.minimumSizeHint().width() == before


@pytest.mark.parametrize(("names", "offered", "steps"), [((), False, False), (("site",), False, True), (("site", "age"), True, True)])
def test_fields_to_step_through(strip, names, offered, steps):
    strip.setFields(names, names[-1] if names else None)
    combo = strip.findChild(QComboBox, "film_step_field")
    assert combo.isVisible() is offered
    assert button(strip, "step_on").isEnabled() is steps
    assert (names[-1] if names else "takes no metadata") in button(strip, "step_back").toolTip()


def test_a_chosen_field_is_told(qtbot, strip, told):
    combo = strip.findChild(QComboBox, "film_step_field")
    assert combo.currentText() == "site"
    combo.setFocus()
    qtbot.keyClick(combo, Qt.Key.Key_Up)
    assert told == [("field", "tumor_type")]
    assert "tumor type" in button(strip, "step_on").toolTip()


def test_the_fade_follows_a_hand(qtbot, strip, told):
    slider = strip.findChild(QSlider, "film_fade")
    slider.setValue(30)
    slider.setValue(31)
    assert told == [("fade", 30), ("fade", 31)]


def test_the_legend_stands_while_the_difference_does(qtbot, strip):
    legend = strip.findChild(QWidget, "film_difference_legend")
    assert not legend.isVisible()
    qtbot.mouseClick(button(strip, "difference"), Qt.MouseButton.LeftButton)
    assert legend.isVisible()
    assert [label.text() for label in legend.findChildren(QLabel) if label.text()] == ["both", "only A", "only B"]
    strip.setDifference(False)
    assert not legend.isVisible()


def test_not_available_says_why(strip):
    why = strip.findChild(QLabel, "film_strip_why")
    strip.setAvailable(False, "Press Segment to have masks to compare.")
    assert why.text() == "Press Segment to have masks to compare."
    assert why.isVisible()
    assert not any(found.isEnabled() for found in strip.findChildren(QPushButton))
    strip.setAvailable(True)
    assert not why.isVisible()
    assert all(found.isEnabled() for found in strip.findChildren(QPushButton))


def test_fits_into_the_dock_with_a_choice_of_fields(make_napari_viewer_proxy, qtbot):
    """Under napari's own style sheet, which comes with the window's next events; the dock is 350 px wide."""
    viewer = make_napari_viewer_proxy(show=True)
    strip = CompareStrip()
    strip.setTexts("hemangioblastoma", "ependymoma")
    strip.setFields(("tumor_type", "site"), "site")
    viewer.window.add_dock_widget(strip, name="strip")
    qtbot.waitUntil(lambda: strip.minimumSizeHint().width() <= 340)

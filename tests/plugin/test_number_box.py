"""Boxes and sliders of a scrolling dock: whole numbers typed, and a wheel that scrolls."""

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_film.plugin.number_box import NumberBox
from napari_film.plugin.slider import Slider


@pytest.fixture
def box(qtbot):
    box = NumberBox(0, 1000, decimals=1)
    qtbot.addWidget(box)
    box.show()
    return box


@pytest.fixture
def slider(qtbot):
    slider = Slider(0, 255)
    qtbot.addWidget(slider)
    slider.show()
    return slider


def turn_wheel(widget):
    """Turn it over ``widget``; whether the widget took it."""
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle,
        QPointF(widget.mapToGlobal(QPoint(0, 0))),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def type_into(qtbot, box, text):
    box.selectAll()
    for key in text:
        qtbot.keyClick(box, key)


def test_a_number_is_told_whole_when_typing_pauses(qtbot, box):
    told = []
    box.valueChanged.connect(told.append)
    type_into(qtbot, box, "50")
    assert told == []
    qtbot.waitUntil(lambda: bool(told))
    assert told == [50.0]


def test_enter_needs_no_pause(qtbot, box):
    with qtbot.waitSignal(box.valueChanged) as told:
        type_into(qtbot, box, "12")
        qtbot.keyClick(box, Qt.Key.Key_Return)
    assert told.args == [12.0]


def test_showing_a_value_is_silent(qtbot, box, slider):
    with qtbot.assertNotEmitted(box.valueChanged), qtbot.assertNotEmitted(slider.valueChanged):
        box.show_value(70)
        slider.show_value(70)
    assert (box.value(), slider.value()) == (70, 70)


def test_the_wheel_scrolls_the_dock_and_changes_nothing(box, slider):
    for widget in (box, slider):
        widget.setValue(7)
        assert not turn_wheel(widget)
        assert widget.value() == 7


def test_a_click_on_a_slider_leaves_the_keyboard_where_it_is(qtbot, box, slider):
    slider.window().activateWindow()
    qtbot.mouseClick(slider, Qt.MouseButton.LeftButton)
    assert not slider.hasFocus()

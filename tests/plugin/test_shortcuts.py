"""Keys: once each, wherever the keyboard is, and given back."""

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari.layers import Image, Labels
from napari.viewer import Viewer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QComboBox, QDockWidget, QDoubleSpinBox, QLineEdit, QPushButton, QSlider, QVBoxLayout, QWidget

from napari_film.plugin.compare_strip import CompareStrip
from napari_film.plugin.dropdown import Dropdown
from napari_film.plugin.shortcuts import Shortcuts

try:
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
except ImportError:
    from qtpy.QtWidgets import QOpenGLWidget

KEYS = {
    "T": Qt.Key.Key_T,
    ",": Qt.Key.Key_Comma,
    ".": Qt.Key.Key_Period,
    "G": Qt.Key.Key_G,
    "H": Qt.Key.Key_H,
    "D": Qt.Key.Key_D,
}


class Hand:
    """A window with a dock, and a person's keyboard."""

    def __init__(self, viewer, qtbot):
        self.viewer = viewer
        self.qtbot = qtbot
        self.called = []
        self.made = []
        self.dock, self.outer = self.open()
        window = self.dock.window()  # not kept: napari's fixture looks for whoever holds it
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        self.canvas = window.centralWidget().findChildren(QOpenGLWidget)[0]

    def open(self, name="dock"):
        """Open a dock with one of each kind of widget."""
        dock = QWidget()
        rows = QVBoxLayout(dock)
        combo = Dropdown()
        combo.addItems(["first", "Two", "third", "great", "huge", "deep"])
        for widget in (QPushButton("button"), QSlider(), combo, QLineEdit(), QDoubleSpinBox()):
            rows.addWidget(widget)
        return dock, self.viewer.window.add_dock_widget(dock, name=name)

    def bind(self, dock=None, tag=""):
        shortcuts = Shortcuts(self.viewer, dock or self.dock, {key: lambda key=key: self.called.append(tag + key) for key in KEYS})
        self.made.append(shortcuts)
        return shortcuts

    def press_all(self, widget):
        """Press each key and say who was called."""
        self.called.clear()
        widget.setFocus()
        self.qtbot.waitUntil(widget.hasFocus)
        for key in KEYS.values():
            self.qtbot.keyClick(widget, key)
        return list(self.called)

    def find(self, kind):
        return self.dock.findChild(kind)


@pytest.fixture
def hand(make_napari_viewer_proxy, qtbot):
    hand = Hand(make_napari_viewer_proxy(show=True), qtbot)
    yield hand
    for shortcuts in hand.made:
        shortcuts.close()


def add_nothing(viewer):
    pass


def add_labels(viewer):
    viewer.layers.selection.active = viewer.add_labels(np.eye(4, dtype=np.uint8))


def add_image(viewer):
    viewer.layers.selection.active = viewer.add_image(np.eye(4))


@pytest.mark.usefixtures("hand")
def test_none_is_napari_s_own():
    """Of the viewer, of Image and Labels layers, and of the menus; napari binds its own once there is a window."""
    taken = {str(key) for provider in (Viewer, Image, Labels) for kind in provider.__mro__ for key in vars(kind).get("class_keymap", ())}
    assert {"V", "E", "Ctrl+G"} <= taken
    menus = {str(binding.keybinding) for binding in get_app_model().keybindings}
    assert menus
    assert taken & set(KEYS) == menus & set(KEYS) == set()


def test_the_keys_are_those_printed_on_the_buttons(qtbot):
    strip = CompareStrip()
    qtbot.addWidget(strip)
    texts = [button.text() for button in strip.findChildren(QPushButton)]
    assert all(any(f"({key})" in text for text in texts) for key in KEYS)
    assert sum("(" in text for text in texts) == len(KEYS)


@pytest.mark.parametrize("add", [add_nothing, add_labels, add_image])
def test_each_key_calls_once_on_the_canvas(hand, add):
    add(hand.viewer)
    hand.bind()
    assert hand.press_all(hand.canvas) == list(KEYS)


@pytest.mark.parametrize("kind", [QPushButton, QSlider, QComboBox])
@pytest.mark.parametrize("floating", [False, True])
def test_each_key_calls_once_inside_the_dock(hand, kind, floating):
    hand.bind()
    outer = hand.outer
    assert isinstance(outer, QDockWidget)
    outer.setFloating(floating)
    widget = hand.find(kind)
    widget.window().activateWindow()
    hand.qtbot.waitUntil(widget.window().isActiveWindow)
    assert hand.press_all(widget) == list(KEYS)
    assert hand.find(QComboBox).currentText() == "first"


@pytest.mark.parametrize(("kind", "text"), [(QLineEdit, "t,.ghd"), (QDoubleSpinBox, None)])
def test_none_calls_while_a_person_types(hand, kind, text):
    hand.bind()
    assert hand.press_all(hand.find(kind)) == []
    assert text is None or hand.find(kind).text() == text


def test_none_calls_while_a_list_is_open(hand):
    hand.bind()
    combo = hand.find(QComboBox)
    combo.showPopup()
    hand.qtbot.waitUntil(combo.view().isVisible)
    assert hand.press_all(combo.view()) == []
    combo.hidePopup()


def test_closed_and_opened_again(hand):
    hand.bind().close()
    assert hand.press_all(hand.canvas) == []
    assert hand.press_all(hand.find(QPushButton)) == []
    assert dict(hand.viewer.keymap) == {}
    again = hand.bind()
    assert hand.press_all(hand.canvas) == list(KEYS)
    again.close()
    again.close()
    assert dict(hand.viewer.keymap) == {}


def test_a_binding_of_the_persons_own_comes_back(hand):
    hand.viewer.bind_key("T", lambda viewer: hand.called.append("own"))
    shortcuts = hand.bind()
    assert hand.press_all(hand.canvas) == list(KEYS)
    shortcuts.close()
    assert hand.press_all(hand.canvas) == ["own"]


def test_a_binding_made_later_stays(hand):
    shortcuts = hand.bind()
    hand.viewer.bind_key("T", lambda viewer: hand.called.append("later"), overwrite=True)
    shortcuts.close()
    assert hand.press_all(hand.canvas) == ["later"]


@pytest.mark.parametrize("first_closes_first", [True, False])
def test_a_second_dock_has_the_canvas_until_it_closes(hand, first_closes_first):
    first = hand.bind(tag="1")
    other, _ = hand.open("other")
    second = hand.bind(other, tag="2")
    ones, twos = [f"1{key}" for key in KEYS], [f"2{key}" for key in KEYS]
    assert hand.press_all(hand.canvas) == twos
    assert hand.press_all(hand.find(QPushButton)) == ones
    assert hand.press_all(other.findChild(QPushButton)) == twos
    (first if first_closes_first else second).close()
    assert hand.press_all(hand.canvas) == (twos if first_closes_first else ones)
    (second if first_closes_first else first).close()
    assert hand.press_all(hand.canvas) == []
    assert dict(hand.viewer.keymap) == {}
    QApplication.processEvents()

"""The dock below the picture: it opens, closes and opens again, and shows what the model does inside."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QPushButton

from napari_film.inference.film_space import film_space

pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.fixture(scope="module")
def model(make_checkpoint, site, age):
    return make_checkpoint(site, age, seed=36)


@pytest.fixture(scope="module")
def plain(make_checkpoint):
    return make_checkpoint()


@pytest.fixture(scope="module")
def volume(make_volume):
    return make_volume((12, 16, 4))


def below(dock):
    """The docks of the comparison in the window."""
    return [one for one in dock.widget.window().findChildren(QDockWidget) if one.isAncestorOf(dock.widget.comparison)]


def press(dock, name):
    dock.qtbot.mouseClick(dock.child(QPushButton, name), Qt.MouseButton.LeftButton)


def test_it_opens_closes_and_opens_with_what_it_had(dock, model, volume):
    comparison = dock.widget.comparison
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_idle()
    press(dock, "film_numbers")
    (window,) = below(dock)
    assert comparison.numbers_panel.isVisible()
    comparison.numbers.compare()
    dock.wait(lambda: comparison.numbers_panel.comparison() is not None)
    rows = comparison.numbers_panel.comparison().rows
    dock.qtbot.mouseClick(window.title.close_button, Qt.MouseButton.LeftButton)
    assert not below(dock)
    press(dock, "film_numbers")
    assert len(below(dock)) == 1
    assert comparison.numbers_panel.comparison().rows == rows
    press(dock, "film_numbers")
    assert len(below(dock)) == 1, "it is opened once"


def test_it_goes_with_the_main_dock(dock, model):
    dock.widget.picker.choose(model)
    press(dock, "film_inside")
    window = dock.widget.window()
    (one,) = below(dock)
    dock.qtbot.mouseClick(dock.dock.title.close_button, Qt.MouseButton.LeftButton)
    dock.wait(lambda: one not in window.findChildren(QDockWidget) or not one.isVisible())


def test_inside_the_model(dock, model, plain):
    panel = dock.widget.comparison.film_panel
    press(dock, "film_inside")
    assert panel.space() is None
    dock.widget.picker.choose(model)
    dock.wait(lambda: panel.space() is not None)
    header = dock.session.header
    conditions = {
        value: tuple(header.metadata_schema.encode({**dock.session.metadata, "site": value}).tolist())
        for value in ("north", "south", "unknown")
    }
    expected = film_space(model, conditions)
    assert all(np.array_equal(found, wanted) for found, wanted in zip(panel.space().gamma, expected.gamma, strict=True))
    assert all(np.array_equal(found, wanted) for found, wanted in zip(panel.space().beta, expected.beta, strict=True))
    dock.widget.workbench.set_field("age")
    dock.wait(lambda: len(panel.space().names) == 5)
    dock.widget.picker.choose(plain)
    dock.wait(lambda: panel.space() is None or not panel.space().places)


def test_inside_a_model_of_other_fields(dock, model, make_checkpoint, tumor):
    panel = dock.widget.comparison.film_panel
    dock.widget.picker.choose(model)
    dock.widget.workbench.set_field("age")
    press(dock, "film_inside")
    dock.wait(lambda: panel.space() is not None)
    other = make_checkpoint(tumor, seed=18)
    dock.widget.picker.choose(other)
    dock.wait(lambda: panel.space().names == tumor.values)
    conditions = dict(zip(tumor.values, np.eye(3), strict=True))
    expected = film_space(other, conditions)
    assert all(np.array_equal(found, wanted) for found, wanted in zip(panel.space().gamma, expected.gamma, strict=True))
    dock.widget.picker.choose(None)
    dock.wait(lambda: panel.space() is None)


def test_it_fits_a_narrow_window(dock, model, volume):
    comparison = dock.widget.comparison
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_idle()
    press(dock, "film_numbers")
    comparison.numbers.compare()
    dock.wait(lambda: comparison.numbers_panel.comparison() is not None)
    press(dock, "film_inside")
    dock.wait(lambda: comparison.film_panel.space() is not None)
    (one,) = below(dock)
    assert one.minimumSizeHint().width() <= 600
    one.setFloating(True)
    one.resize(600, 220)
    assert one.width() == 600

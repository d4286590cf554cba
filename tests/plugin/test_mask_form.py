"""The threshold and the clean-up: one value, told when it changes."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QLabel, QPushButton, QSlider

from napari_film.inference.postprocessing import Postprocessing
from napari_film.plugin.mask_form import MaskForm

OTHER = Postprocessing(threshold=77, largest_component=True, smallest_mm3=50, fill_holes=True)


@pytest.fixture
def form(qtbot):
    form = MaskForm()
    form.setOwnThresholds((110,))
    qtbot.addWidget(form)
    form.show()
    return form


def words(form) -> list[str]:
    return [label.text() for label in form.findChildren(QLabel) if label.isVisible()]


def slider(form) -> QSlider:
    return form.findChild(QSlider, "film_threshold")


def own(form) -> QPushButton:
    return form.findChild(QPushButton, "film_own_threshold")


def test_starts_with_the_models_threshold_and_no_clean_up(form):
    assert form.value() == Postprocessing()
    assert slider(form).value() == 110
    assert "0.430" in words(form)
    assert "(0.43)" in own(form).text()
    assert not own(form).isEnabled()


def test_a_value_comes_back(qtbot, form):
    with qtbot.waitSignal(form.valueChanged) as told:
        form.setValue(OTHER)
    assert form.value() == told.args[0] == OTHER
    with qtbot.assertNotEmitted(form.valueChanged):
        form.setValue(OTHER)


def test_a_change_of_everything_is_told_once(form):
    told = []
    form.valueChanged.connect(told.append)
    form.setValue(OTHER)
    form.setValue(Postprocessing())
    assert told == [OTHER, Postprocessing()]


def test_the_slider_is_followed_and_the_model_gets_its_own_back(qtbot, form):
    told = []
    form.valueChanged.connect(lambda value: told.append(value.threshold))
    slider(form).setValue(64)
    slider(form).setValue(65)
    assert "0.254" in words(form)
    assert any("you" in text for text in words(form))
    qtbot.mouseClick(own(form), Qt.MouseButton.LeftButton)
    assert told == [64, 65, None]
    assert slider(form).value() == 110
    assert any("model's" in text for text in words(form))


def test_the_models_threshold_follows_the_shown_value(qtbot, form):
    with qtbot.assertNotEmitted(form.valueChanged):
        form.setOwnThresholds((128,))
    assert slider(form).value() == 128
    form.setValue(OTHER)
    form.setOwnThresholds((30,))
    assert slider(form).value() == 77
    assert "(0.12)" in own(form).text()


def test_thresholds_of_several_classes(form):
    form.setOwnThresholds((110, 128))
    assert "(0.43 / 0.50)" in own(form).text()
    assert "0.430" not in words(form)
    form.setOwnThresholds((110, 110))
    assert "(0.43)" in own(form).text()


@pytest.mark.parametrize(
    ("name", "changed"),
    [("film_largest", Postprocessing(largest_component=True)), ("film_fill_holes", Postprocessing(fill_holes=True))],
)
def test_boxes(qtbot, form, name, changed):
    with qtbot.waitSignal(form.valueChanged) as told:
        form.findChild(QCheckBox, name).click()
    assert told.args == [changed]


def test_small_components(qtbot, form):
    box = form.findChild(QDoubleSpinBox, "film_smallest")
    assert box.text() == "off"
    with qtbot.waitSignal(form.valueChanged) as told:
        box.setValue(40)
    assert told.args == [Postprocessing(smallest_mm3=40)]
    assert "mm³" in box.text()


def test_the_status_takes_no_room_while_there_is_none(form):
    status = form.findChild(QLabel, "film_clean_status")
    assert not status.isVisible()
    form.setStatus("cleaning up…")
    assert status.isVisible()
    assert status.text() == "cleaning up…"
    form.setStatus("")
    assert not status.isVisible()

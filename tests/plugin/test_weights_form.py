"""Weights of a field's values: whole percents that sum to 100, whatever a hand does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel, QPushButton, QScrollArea, QSlider

from napari_film.fields import CategoricalField
from napari_film.inference.mixture import Mixture
from napari_film.plugin.weights_form import WeightsForm, rebalanced

FIELD = CategoricalField(name="tumor_type", values=("astrocytoma", "ependymoma", "hemangioblastoma"), unknown=True)
FORTY = CategoricalField(name="scanner", values=tuple(f"scanner {number}" for number in range(40)))


@pytest.fixture
def form(qtbot):
    form = WeightsForm()
    form.setField(FIELD)
    qtbot.addWidget(form)
    form.show()
    return form


def slider(form, value) -> QSlider:
    return form.findChild(QSlider, f"film_weight_{value}")


def says(form) -> str:
    return form.findChild(QLabel, "film_mixture_says").text()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_moves_keep_the_sum_and_the_proportions(data):
    count = data.draw(st.integers(2, 40))
    percents = [100 // count + (place < 100 % count) for place in range(count)]
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, 100)), max_size=12)):
        had = [percents[other] for other in range(count) if other != place]
        percents = rebalanced(percents, place, value)
        assert sum(percents) == 100
        assert min(percents) >= 0
        assert percents[place] == value
        got = [percents[other] for other in range(count) if other != place]
        shares = [part / sum(had) for part in had] if sum(had) else [1 / len(had)] * len(had)
        assert all(abs(part - share * (100 - value)) < 1 for part, share in zip(got, shares, strict=True))


@pytest.mark.parametrize(
    ("percents", "place", "value", "then"),
    [
        ([34, 33, 33], 0, 100, [100, 0, 0]),
        ([100, 0, 0], 0, 0, [0, 50, 50]),
        ([100, 0, 0], 0, 95, [95, 3, 2]),
        ([20, 60, 20], 0, 0, [0, 75, 25]),
        ([50, 30, 20], 1, 29, [51, 29, 20]),
        ([100], 0, 40, [100]),
    ],
)
def test_the_others_give_and_take_in_proportion(percents, place, value, then):
    assert rebalanced(percents, place, value) == then


def test_starts_out_of_use_and_evenly(qtbot, form):
    assert not form.isActive()
    assert form.value() == Mixture(field="tumor_type", percent={"astrocytoma": 34, "ependymoma": 33, "hemangioblastoma": 33})
    assert not slider(form, "ependymoma").isVisible()


def test_a_moved_slider_moves_the_others(qtbot, form):
    form.setActive(True)
    with qtbot.waitSignal(form.valueChanged) as told:
        slider(form, "ependymoma").setValue(80)
    assert told.args == [form.value()]
    assert dict(form.value().percent) == {"astrocytoma": 10, "ependymoma": 80, "hemangioblastoma": 10}
    assert [slider(form, value).value() for value in FIELD.values] == [10, 80, 10]
    qtbot.mouseClick(form.findChild(QPushButton, "film_equal"), Qt.MouseButton.LeftButton)
    assert sorted(form.value().percent.values()) == [33, 33, 34]


def test_the_second_mode_warns(qtbot, form):
    form.setActive(True)
    modes = form.findChild(QComboBox, "film_mixture_mode")
    assert "off the training distribution" not in says(form)
    modes.setFocus()
    with qtbot.waitSignal(form.valueChanged) as told:
        qtbot.keyClick(modes, Qt.Key.Key_Down)
    assert told.args[0].mode == form.value().mode == "blended"
    assert "off the training distribution" in says(form)


def test_a_value_comes_back(form):
    mixture = Mixture(field="tumor_type", percent={"ependymoma": 25, "astrocytoma": 75}, mode="blended")
    form.setValue(mixture)
    assert dict(form.value().percent) == {"astrocytoma": 75, "ependymoma": 25, "hemangioblastoma": 0}
    assert form.value().mode == "blended"
    before = form.value()
    form.setValue(Mixture(field="another", percent={"x": 100}))
    assert form.value() == before


def test_the_box_says_whether_the_weights_count(qtbot, form):
    box = form.findChild(QCheckBox, "film_uncertain")
    with qtbot.waitSignal(form.activeToggled) as told:
        qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=box.rect().center() - (box.rect().center() - box.rect().topLeft()) / 1.1)
    assert told.args == [True]
    assert form.isActive()
    assert slider(form, "ependymoma").isVisible()
    assert "tumor type" in box.text()
    assert "Unknown" in box.toolTip()
    with qtbot.assertNotEmitted(form.activeToggled):
        form.setActive(False)
    assert not slider(form, "ependymoma").isVisible()


def test_forty_values_scroll(form):
    form.setActive(True)
    three = form.findChild(QScrollArea).height()
    form.setField(FORTY)
    form.setActive(True)
    assert len(form.findChild(QScrollArea).findChildren(QSlider)) == 40
    assert three < form.findChild(QScrollArea).height() < 200
    assert sum(form.value().percent.values()) == 100


@pytest.mark.parametrize("field", [None, CategoricalField(name="site", values=("only",))])
def test_nothing_to_weigh(form, field):
    form.setActive(True)
    form.setField(field)
    assert not form.findChild(QCheckBox, "film_uncertain").isEnabled()
    assert not form.isActive()
    assert form.value() is None or dict(form.value().percent) == {"only": 100}

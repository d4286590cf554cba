"""Which masks are asked for all at once."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QLineEdit, QMenu, QProgressBar, QPushButton

from napari_film.conditioning import MetadataSchema
from napari_film.fields import UNKNOWN, CategoricalField, ContinuousField, MetadataError
from napari_film.plugin.values_form import ValuesForm

TUMOR = CategoricalField(name="tumor_type", role="target", values=("astrocytoma", "ependymoma", "hemangioblastoma"))
SITE = CategoricalField(name="site", values=("north", "south"), unknown=True)
AGE = ContinuousField(name="age", minimum=0, maximum=100, unit="years")
SCHEMA = MetadataSchema(fields=(TUMOR, SITE, AGE))
NOW = {"tumor_type": "ependymoma", "site": UNKNOWN, "age": 42.0}


@pytest.fixture
def form(qtbot):
    form = ValuesForm()
    form.setSchema(SCHEMA, NOW, "tumor_type")
    qtbot.addWidget(form)
    form.show()
    return form


def button(form, name) -> QPushButton:
    return form.findChild(QPushButton, name)


def count(form) -> str:
    return form.findChild(QLabel, "film_values_count").text()


def pick(qtbot, form, field, *texts):
    """Choose entries of a field's menu in one go, and say whether it stays open.

    A menu that was opened anew by a program takes no press at the place of the last one, whoever's it is; so only the
    release is sent.
    """
    menu: QMenu = button(form, f"film_values_{field}").menu()
    menu.popup(form.mapToGlobal(form.rect().center()))
    qtbot.waitUntil(menu.isVisible)
    for text in texts:
        (action,) = [action for action in menu.actions() if action.text() == text]
        menu.setActiveAction(action)
        if action.isCheckable():
            qtbot.mouseRelease(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())
        else:
            action.trigger()
    stays = menu.isVisible()
    menu.hide()
    return stays


def test_all_of_the_chosen_field_and_the_current_value_of_the_others(form):
    assert form.value() == [{**NOW, "tumor_type": value} for value in TUMOR.values]
    assert count(form) == "3 masks"
    assert button(form, "film_values_tumor_type").text() == "all 3"


def test_the_others_follow_what_is_current(form):
    form.setCurrent({**NOW, "site": "north", "tumor_type": "astrocytoma"})
    assert {metadata["site"] for metadata in form.value()} == {"north"}
    assert len(form.value()) == 3


def test_each_value_of_one_field_with_each_of_the_others(qtbot, form):
    assert pick(qtbot, form, "site", "north", "south")  # and the menu stays open
    assert [(metadata["tumor_type"], metadata["site"]) for metadata in form.value()] == [
        (tumor, site) for tumor in TUMOR.values for site in ("north", "south")
    ]
    assert count(form) == "6 masks"
    assert button(form, "film_values_site").text() == "2 of 3"


def test_all_and_only_the_current_one(qtbot, form):
    pick(qtbot, form, "tumor_type", "ependymoma")
    assert [metadata["tumor_type"] for metadata in form.value()] == ["astrocytoma", "hemangioblastoma"]
    pick(qtbot, form, "tumor_type", "All")
    assert [metadata["tumor_type"] for metadata in form.value()] == list(TUMOR.values)
    pick(qtbot, form, "tumor_type", "None but the current one")
    assert form.value() == [NOW]
    assert count(form) == "1 mask"


def test_points_of_a_number(qtbot, form):
    box = form.findChild(QLineEdit, "film_values_age")
    assert box.placeholderText() == "current value"
    assert {metadata["age"] for metadata in form.value()} == {42.0}
    qtbot.keyClicks(box, "0, 50; 62.5")
    assert [metadata["age"] for metadata in form.value()][:3] == [0.0, 50.0, 62.5]
    assert count(form) == "9 masks"
    qtbot.keyClicks(box, ", 50")  # asked for twice, computed once
    assert len(form.value()) == 9


def test_points_that_are_none_are_told(qtbot, form):
    box, compute = form.findChild(QLineEdit, "film_values_age"), button(form, "film_all_at_once")
    qtbot.keyClicks(box, "40, old")
    assert count(form) == "⚠ age is 'old', which is no number; give a number from 0 to 100 years."
    assert not compute.isEnabled()
    with pytest.raises(MetadataError, match="no number"):
        form.value()
    box.clear()
    qtbot.keyClicks(box, "40")
    assert compute.isEnabled()


def test_each_mask_is_one_that_the_schema_takes(form):
    form.findChild(QLineEdit, "film_values_age").setText("1, 20, 33.25")
    assert all(SCHEMA.resolve(metadata).values == metadata for metadata in form.value())


def test_the_button_asks_and_then_cancels(qtbot, form):
    compute = button(form, "film_all_at_once")
    with qtbot.waitSignal(form.computeClicked) as told:
        qtbot.mouseClick(compute, Qt.MouseButton.LeftButton)
    assert told.args == [form.value()]
    bar = form.findChild(QProgressBar)
    assert not bar.isVisible()
    form.setBusy(True)
    form.setProgress(37, 192)
    assert compute.text() == "Cancel"
    assert bar.isVisible()
    assert bar.text() == "37 of 192 slices"
    with qtbot.waitSignal(form.cancelClicked), qtbot.assertNotEmitted(form.computeClicked):
        qtbot.mouseClick(compute, Qt.MouseButton.LeftButton)
    form.setBusy(False)
    assert compute.text() == "All values at once"
    assert not bar.isVisible()


def test_what_is_laid_out_can_be_taken_away(qtbot, form):
    remove = button(form, "film_take_away")
    assert not remove.isEnabled()
    form.setShown(True)
    with qtbot.waitSignal(form.removeClicked):
        qtbot.mouseClick(remove, Qt.MouseButton.LeftButton)


def test_layouts(qtbot, form):
    assert form.layoutValue() == "grid"
    with qtbot.assertNotEmitted(form.layoutChanged):
        form.setLayoutValue("stacked")
        assert form.layoutValue() == "stacked"
        form.setLayoutValue("a spiral")
        assert form.layoutValue() == "grid"
    combo = form.findChild(QComboBox, "film_layout")
    combo.setFocus()
    with qtbot.waitSignal(form.layoutChanged) as told:
        qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert told.args == ["stacked"]


@pytest.mark.parametrize(("schema", "sentence"), [(MetadataSchema(), "there is one mask"), (None, "")])
def test_without_fields(form, schema, sentence):
    form.setSchema(schema, {})
    assert sentence in count(form)
    assert form.value() == [{}]
    assert not button(form, "film_all_at_once").isEnabled()


def test_one_value_and_forty(form):
    one = CategoricalField(name="site", values=("only",))
    forty = CategoricalField(name="scanner", values=tuple(f"scanner_{number}" for number in range(40)))
    form.setSchema(MetadataSchema(fields=(one, forty)), {"site": "only", "scanner": "scanner_3"}, "scanner")
    assert count(form) == "40 masks"
    assert button(form, "film_values_scanner").text() == "all 40"
    form.setSchema(MetadataSchema(fields=(one,)), {"site": "only"}, "site")
    assert count(form) == "1 mask"

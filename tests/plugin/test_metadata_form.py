"""The metadata form: one value, told when it changes."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel

from napari_film.conditioning import UNKNOWN, CategoricalField, ContinuousField, MetadataSchema
from napari_film.plugin.metadata_form import MetadataForm

SCHEMA = MetadataSchema(
    fields=(
        CategoricalField(name="tumor_type", role="target", values=("astrocytoma", "ependymoma", "hemangioblastoma")),
        CategoricalField(name="scanner", values=("A", "B"), unknown=True),
        ContinuousField(name="age", minimum=0, maximum=90, unit="years", unknown=True),
    )
)


@pytest.fixture
def form(qtbot):
    form = MetadataForm()
    form.setSchema(SCHEMA)
    qtbot.addWidget(form)
    form.show()
    return form


def test_starts_with_the_defaults_and_says_nothing(qtbot):
    form = MetadataForm()
    qtbot.addWidget(form)
    with qtbot.assertNotEmitted(form.valueChanged):
        form.setSchema(SCHEMA)
    assert form.value() == {field.name: field.default for field in SCHEMA}
    assert SCHEMA.resolve(form.value())


def test_value_comes_back(qtbot, form):
    values = {"tumor_type": "ependymoma", "scanner": UNKNOWN, "age": 42.0}
    with qtbot.waitSignal(form.valueChanged) as told:
        form.setValue(values)
    assert form.value() == told.args[0] == values
    with qtbot.assertNotEmitted(form.valueChanged):
        form.setValue(values)


def test_unknown_number(qtbot, form):
    form.setValue({"age": 30.0})
    with qtbot.waitSignal(form.valueChanged) as told:
        form.setValue({"age": UNKNOWN})
    assert told.args[0]["age"] == UNKNOWN


def test_a_key_chooses_and_the_keyboard_goes_back_to_the_canvas(qtbot, form):
    combo = form.findChild(QComboBox, "tumor_type")
    combo.setFocus()
    with qtbot.waitSignal(form.valueChanged) as told:
        qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert told.args[0]["tumor_type"] == combo.itemData(combo.currentIndex())
    assert not combo.hasFocus()


@pytest.mark.parametrize(("schema", "sentence"), [(None, "Choose a model"), (MetadataSchema(), "takes no metadata")])
def test_without_fields_says_so(form, schema, sentence):
    form.setSchema(schema)
    assert form.value() == {}
    assert any(sentence in label.text() for label in form.findChildren(QLabel))

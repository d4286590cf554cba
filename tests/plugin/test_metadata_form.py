"""The metadata form: one value, told when it changes."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel
from superqt import QLabeledDoubleSlider

from napari_film.bids import Found
from napari_film.conditioning import MetadataSchema
from napari_film.fields import UNKNOWN, CategoricalField, ContinuousField
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


FOUND = {"tumor_type": Found("ependymoma", "participants.tsv", "EP"), "age": Found(45.37, "sub-01_T1w.json", "045Y")}


def _captions(form):
    """What stands below each editor, as it is read."""
    captions = {name: form.findChild(QLabel, f"film_origin_{name}").text() for name in form.value()}
    return {name: text.removeprefix("<small>").removesuffix("</small>").replace("\u200b", "") for name, text in captions.items()}


def _press(qtbot, form, name, key):
    qtbot.keyClick(form.findChild(QComboBox, name), key)


def test_a_value_is_by_default_by_a_file_or_by_you(qtbot, form):
    assert form.origins() == _captions(form) == {"tumor_type": "default", "scanner": "default", "age": "default"}
    with qtbot.assertNotEmitted(form.valueChanged):
        form.setOrigins(FOUND)
    assert form.value()["tumor_type"] == "astrocytoma"
    assert _captions(form)["tumor_type"] == "⚠ default; participants.tsv says ependymoma"
    form.setValue({name: found.value for name, found in FOUND.items()}, origins={name: found.origin for name, found in FOUND.items()})
    assert form.origins() == {"tumor_type": "participants.tsv", "scanner": "default", "age": "sub-01_T1w.json"}
    assert _captions(form) == form.origins()
    assert form.value()["age"] == 45.37  # more digits than the slider shows
    _press(qtbot, form, "scanner", Qt.Key.Key_Up)
    assert form.origins()["scanner"] == _captions(form)["scanner"] == "you"


def test_a_choice_against_a_file_is_warned_of(qtbot, form):
    form.setOrigins(FOUND)
    form.setValue({"tumor_type": "ependymoma", "age": 45.37})
    _press(qtbot, form, "tumor_type", Qt.Key.Key_Down)
    form.setValue({"age": UNKNOWN}, origins={"age": "you"})
    assert form.origins() == {"tumor_type": "you", "scanner": "default", "age": "you"}
    assert _captions(form) == {
        "tumor_type": "⚠ you; participants.tsv says ependymoma",
        "scanner": "default",
        "age": "⚠ you; sub-01_T1w.json says 45.37 years",
    }
    _press(qtbot, form, "tumor_type", Qt.Key.Key_Up)
    assert _captions(form)["tumor_type"] == "you"  # who agrees with the file
    form.setOrigins({})
    assert _captions(form)["age"] == "you"


def test_what_is_set_again_stays_whose_it_was(qtbot, form):
    form.setOrigins(FOUND)
    _press(qtbot, form, "scanner", Qt.Key.Key_Up)
    _press(qtbot, form, "tumor_type", Qt.Key.Key_Down)
    form.setValue(form.value())
    assert form.origins() == {"tumor_type": "you", "scanner": "you", "age": "default"}
    form.setValue({"tumor_type": "ependymoma"}, origins={"tumor_type": "participants.tsv"})
    assert form.origins() == {"tumor_type": "participants.tsv", "scanner": "you", "age": "default"}
    form.setSchema(SCHEMA)
    assert set(form.origins().values()) == {"default"}
    assert set(_captions(form).values()) == {"default"}


def test_a_dragged_slider_is_by_you(qtbot, form):
    slider = form.findChild(QLabeledDoubleSlider)
    form.setValue({"age": 30.0}, origins={"age": "image.json"})
    slider.setValue(31)
    assert form.origins()["age"] == "you"


def test_long_names_and_many_values_do_not_widen_the_form(qtbot, form):
    narrow = form.minimumSizeHint().width()
    long = "_".join(["entity-value"] * 12)
    field = CategoricalField(name=long, values=tuple(f"value {number} of {long}" for number in range(40)))
    form.setSchema(MetadataSchema(fields=(*SCHEMA, field)))
    form.setOrigins({name: Found("x" * 100, f"{long}_T1w.json", "x") for name in form.value()})
    form.resize(300, 600)
    assert form.minimumSizeHint().width() <= max(narrow, 300)
    assert form.width() == 300
    caption = form.findChild(QLabel, "film_origin_tumor_type")
    form.setOrigins({"tumor_type": Found("ependymoma", f"{long}_T1w.json", "EP")})
    qtbot.waitUntil(lambda: caption.height() >= caption.heightForWidth(caption.width()))
    assert caption.heightForWidth(caption.width()) > 2 * caption.fontMetrics().height()


def test_a_name_of_a_file_is_no_markup(form):
    form.setOrigins({"tumor_type": Found("ependymoma", "<b>&.json", "EP")})
    assert _captions(form)["tumor_type"] == "⚠ default; &lt;b&gt;&amp;.json says ependymoma"

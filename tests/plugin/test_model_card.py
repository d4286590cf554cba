"""The card says what a model expects, and runs nothing that a file says."""

import pytest

from napari_film.architecture import Architecture
from napari_film.conditioning import MetadataSchema
from napari_film.fields import CategoricalField, ContinuousField
from napari_film.header import Channel, Header, Provenance
from napari_film.plugin.model_card import ModelCard
from napari_film.preprocessing import Normalisation, Preprocessing

SCHEMA = MetadataSchema(
    fields=(
        CategoricalField(name="tumor_type", role="target", values=("astrocytoma", "ependymoma")),
        ContinuousField(name="age", minimum=0, maximum=90, unit="years"),
    )
)


@pytest.fixture
def header():
    return Header(
        name="Spinal <tumour>",
        description="Finds tumours & cavities.",
        licence="CC0-1.0",
        architecture=Architecture(depth=1, width=2, channels=2, classes=1, condition=SCHEMA.width, places=("film",) * 4),
        metadata_schema=SCHEMA,
        channels=(Channel(name="Gd-e T1w", suffix="ce-gadolinium_T1w"), Channel(name="T2w", suffix="T2w")),
        classes=("tumor_core",),
        preprocessing=Preprocessing(slice_axis="sagittal", spacing=(None, 1, 1), normalisation=(Normalisation(method="zscore"),) * 2),
        provenance=Provenance(
            scores={
                "validation, a": {"astrocytoma": {"astrocytoma": 0.1}},
                "test, a": {"astrocytoma": {"astrocytoma": 0.914, "ependymoma": 0.3}},
            }
        ),
    )


def test_card_says_what_the_model_expects(qtbot, header):
    card = ModelCard()
    qtbot.addWidget(card)
    assert "Choose a bundled model" in card.text()
    card.setValue(header)
    assert card.value() is header
    for part in (
        "Spinal &lt;tumour&gt;",
        "cavities",
        "Gd-e T1w (ce-gadolinium_T1w), T2w<",
        "sagittal, 1 mm along A and S",
        "astrocytoma, ependymoma",
        "from 0 to 90 years",
        "tumor core",
        "astrocytoma 0.91 (test)",
        "CC0-1.0",
    ):
        assert part in card.text()

"""The mask's layer: in its place, under its name, veiled where nothing was computed."""

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_film.conditioning import MetadataSchema
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.plan import Plan
from napari_film.inference.prediction import Prediction
from napari_film.inference.store import Kept
from napari_film.plugin.appearance import Appearance
from napari_film.plugin.layers import geometry_of, label_names, layer_data_from_volume, volume_from_layer
from napari_film.plugin.mask_layer import VEIL, MaskLayer, provenance
from napari_film.preprocessing import Normalisation, Preprocessing, prepare

VALUES = ("astrocytoma", "ependymoma", "hemangioblastoma")
PART = Appearance("lesion: a", {1: "a", NOT_COMPUTED: "not computed"}, 0, None)
WHOLE = Appearance("lesion: b", {1: "b"}, 1, {"Labels": {"1": "b"}})


@pytest.fixture
def volume(make_volume, make_affine):
    return make_volume((6, 7, 8), make_affine((1, 2, 0), (True, False, True), spacing=(1, 2, 3)))


@pytest.fixture
def reference(volume):
    data, arguments, _ = layer_data_from_volume(volume)
    return Image(data, **arguments)


@pytest.fixture
def prepared(volume):
    return prepare([volume], Preprocessing(slice_axis="sagittal", normalisation=(Normalisation(),)))


def test_labels_lie_where_their_voxels_are(reference, prepared, volume):
    stack = np.random.default_rng(0).integers(0, 3, size=prepared.shape).astype(np.uint8)
    mask = MaskLayer(reference, geometry_of(reference), "sagittal", stack.copy(), WHOLE)
    back = volume_from_layer(mask.layer)
    assert np.array_equal(back.data, prepared.to_source(stack))
    assert np.allclose(back.affine, volume.affine)
    assert np.allclose(mask.layer.extent.world, reference.extent.world)
    assert mask.layer.units == reference.units


def test_slices_are_written_in_place(reference, prepared):
    stack = np.full(prepared.shape, NOT_COMPUTED, np.uint8)
    mask = MaskLayer(reference, geometry_of(reference), "sagittal", stack, PART)
    slices = [np.full(prepared.shape[1:], label, np.uint8) for label in (1, 0)]
    mask.put([2, 4], slices)
    shown = geometry_of(mask.layer).to_sliced(np.asarray(mask.layer.data), "sagittal")
    assert (shown[2] == 1).all()
    assert (shown[4] == 0).all()
    assert (np.delete(shown, [2, 4], axis=0) == NOT_COMPUTED).all()


def test_what_was_not_computed_is_neither_background_nor_a_class(reference, prepared):
    mask = MaskLayer(reference, geometry_of(reference), "sagittal", np.zeros(prepared.shape, np.uint8), PART)
    background, label, veil = mask.layer.colormap.map(np.array([0, 1, NOT_COMPUTED], np.uint8))
    assert background[3] == 0
    assert label[3] == 1
    assert np.allclose(veil, VEIL, atol=0.01)
    assert label_names(mask.layer) == {1: "a", NOT_COMPUTED: "not computed"}


def test_another_mask_comes_with_its_own_name_and_colour(reference, prepared):
    mask = MaskLayer(reference, geometry_of(reference), "sagittal", np.zeros(prepared.shape, np.uint8), PART)
    before = mask.layer.colormap.map(np.array([1], np.uint8))
    mask.show(np.ones(prepared.shape, np.uint8), WHOLE)
    assert mask.layer.name == "lesion: b"
    assert label_names(mask.layer) == {1: "b"}
    assert list(mask.layer.features["label"]) == ["background", "b"]
    assert not np.allclose(before, mask.layer.colormap.map(np.array([1], np.uint8)))
    assert (mask.layer.data == 1).all()
    assert not mask.layer.editable


def test_released_it_is_an_ordinary_layer(reference, prepared):
    mask = MaskLayer(reference, geometry_of(reference), "sagittal", np.zeros(prepared.shape, np.uint8), WHOLE)
    assert provenance(mask.layer) == {"Labels": {"1": "b"}}
    mask.release()
    assert mask.layer.editable
    assert provenance(mask.layer) == {"Labels": {"1": "b"}}
    mask.layer.data_setitem((np.array([1]), np.array([1]), np.array([1])), 1)
    assert provenance(mask.layer) is None


def test_other_layers_have_no_provenance():
    assert provenance(Labels(np.zeros((3, 4, 5), np.uint8))) is None


def predictions_of(prepared, header, *metadata, complete=True):
    computed = np.full(prepared.shape[0], complete)
    kept = Kept(np.zeros((1, *prepared.shape), np.uint8), computed)
    schema = header.metadata_schema
    return [Prediction(prepared, schema.resolve(values), kept, (128,), Plan(device="cpu")) for values in metadata]


@pytest.mark.parametrize(
    ("metadata", "name", "labels", "colour"),
    [
        ([{"site": "north", "tumor_type": "ependymoma", "age": 30}], "lesion: north, ependymoma, 30", {1: "ependymoma"}, 1),
        (
            [{"site": "north", "tumor_type": value, "age": 30.5} for value in VALUES],
            "lesion: north, all values, 30.5",
            dict(enumerate(VALUES, start=1)),
            0,
        ),
    ],
)
def test_appearance_names_what_was_chosen(prepared, make_header, site, tumor, age, metadata, name, labels, colour):
    header = make_header(site, tumor, age)
    appearance = Appearance.of(predictions_of(prepared, header, *metadata), header, lambda: {"made": "so"})
    assert appearance == Appearance(name, labels, colour, {"made": "so"})
    part = Appearance.of(predictions_of(prepared, header, *metadata, complete=False), header, lambda: {"made": "so"})
    assert part.sidecar is None
    assert part.names[NOT_COMPUTED] == "not computed"


def test_appearance_without_metadata(prepared, make_header):
    header = make_header()
    assert header.metadata_schema == MetadataSchema()
    assert Appearance.of(predictions_of(prepared, header, {}), header, dict).name == "lesion: no metadata"

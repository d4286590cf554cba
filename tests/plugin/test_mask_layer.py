"""The mask's layer: in its place, under its name, veiled where nothing was computed; nobody's to draw on until it is let go."""

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_film.conditioning import MetadataSchema
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.mixture import Mixture
from napari_film.inference.postprocessing import Postprocessing
from napari_film.plugin.appearance import Appearance, summary
from napari_film.plugin.choice import Choice
from napari_film.plugin.layers import geometry_of, label_names, layer_data_from_volume, volume_from_layer
from napari_film.plugin.live_array import LiveArray, LiveLabels
from napari_film.plugin.mask_layer import OPACITY, VEIL, MaskLayer, palette, provenance

VALUES = ("astrocytoma", "ependymoma", "hemangioblastoma")
AXIS = "sagittal"
PART = Appearance("lesion: a", {1: "a", NOT_COMPUTED: "not computed"}, {"tumor_type": "a"}, None)
WHOLE = Appearance("lesion: b", {1: "b"}, {"tumor_type": "b"}, lambda: {"Labels": {"1": "b"}})


@pytest.fixture
def volume(make_volume, make_affine):
    return make_volume((6, 7, 8), make_affine((1, 2, 0), (True, False, True), spacing=(1, 2, 3)))


@pytest.fixture
def reference(volume):
    data, arguments, _ = layer_data_from_volume(volume)
    return Image(data, **arguments)


@pytest.fixture
def header(make_header, tumor):
    return make_header(tumor, preprocessing={"slice_axis": AXIS})


@pytest.fixture
def live(reference, header, volume, compose):
    """A maker of what a layer looks into, and the same voxels (N, H, W)."""

    def make(**options):
        composition = compose(Choice.first(header), volume, **options)
        return LiveLabels(composition, geometry_of(reference), AXIS), composition.labels()

    return make


@pytest.fixture
def mask(reference):
    return MaskLayer(reference, geometry_of(reference), palette(0, 3))


def sliced(layer):
    return geometry_of(layer).to_sliced(np.asarray(layer.data), AXIS)


def test_before_anything_is_shown_all_is_veiled(mask):
    assert (np.asarray(mask.layer.data) == NOT_COMPUTED).all()


def test_labels_lie_where_their_voxels_are(mask, live, reference, volume):
    labels, expected = live()
    mask.show(labels, WHOLE)
    assert set(np.unique(expected)) == {0, 1}
    back = volume_from_layer(mask.layer)
    assert np.array_equal(back.data, labels.composition.opened.prepared.to_source(expected))
    assert np.allclose(back.affine, volume.affine)
    assert np.allclose(mask.layer.extent.world, reference.extent.world)
    assert mask.layer.units == reference.units


def test_slices_are_seen_as_they_come(mask, live):
    labels, _ = live(missing=range(8))
    mask.show(labels, PART)
    assert (sliced(mask.layer) == NOT_COMPUTED).all()
    ((_, kept),) = labels.composition.shares[0].parts
    kept.put(2, np.full(kept.q[:, 2].shape, 255, np.uint8))
    kept.put(4, np.full(kept.q[:, 4].shape, 0, np.uint8))
    mask.look_again()
    shown = sliced(mask.layer)
    assert (shown[2] == 1).all()
    assert (shown[4] == 0).all()
    assert (np.delete(shown, [2, 4], axis=0) == NOT_COMPUTED).all()


def test_what_was_not_computed_is_neither_background_nor_a_class(mask, live):
    mask.show(live(missing=[1])[0], PART)
    background, label, veil = mask.layer.colormap.map(np.array([0, 1, NOT_COMPUTED], np.uint8))
    assert background[3] == 0
    assert label[3] == 1
    assert np.allclose(veil, VEIL, atol=0.01)
    assert label_names(mask.layer) == {1: "a", NOT_COMPUTED: "not computed"}
    assert not mask.finished


def test_another_mask_comes_with_its_own_name_and_nothing_is_copied(mask, live):
    first, voxels = live()
    mask.show(first, PART)
    array = mask.layer.data
    second, others = live(seed=1)
    mask.show(second, WHOLE)
    assert not np.array_equal(voxels, others)
    assert mask.layer.data is array
    assert isinstance(array, LiveArray)
    assert np.array_equal(sliced(mask.layer), others)
    assert mask.layer.name == "lesion: b"
    assert label_names(mask.layer) == {1: "b"}
    assert list(mask.layer.features["label"]) == ["background", "b"]
    assert not mask.layer.editable
    assert mask.source is second
    assert mask.finished


def test_labels_have_colours_of_their_own(reference):
    masks = [MaskLayer(reference, geometry_of(reference), palette(first, 3)) for first in (0, 1)]
    (a1, a2, _), (b1, *_) = (mask.layer.colormap.map(np.array([1, 2, 3], np.uint8)) for mask in masks)
    assert not np.allclose(a1, b1)
    assert np.allclose(a2, b1)
    assert not np.allclose(a1, a2)


def test_drawing_on_it_does_nothing(mask, live):
    labels, expected = live()
    mask.show(labels, WHOLE)
    with pytest.raises(TypeError, match="item assignment"):
        mask.layer.data_setitem((np.array([1]), np.array([1]), np.array([1])), 7)
    assert np.array_equal(sliced(mask.layer), expected)


def test_released_it_is_an_ordinary_layer(mask, live):
    labels, expected = live()
    mask.show(labels, WHOLE)
    mask.want(visible=False, opacity=0.1)
    assert provenance(mask.layer) == {"Labels": {"1": "b"}}
    mask.release()
    assert mask.layer.editable
    assert mask.layer.visible
    assert mask.layer.opacity == OPACITY
    assert isinstance(mask.layer.data, np.ndarray)
    assert np.array_equal(sliced(mask.layer), expected)
    assert provenance(mask.layer) == {"Labels": {"1": "b"}}
    mask.layer.data_setitem((np.array([1]), np.array([1]), np.array([1])), 5)
    assert provenance(mask.layer) is None


def test_released_it_sees_no_more_of_what_comes(mask, live):
    labels, before = live(missing=[3])
    mask.show(labels, PART)
    mask.release()
    ((_, kept),) = labels.composition.shares[0].parts
    kept.put(3, np.full(kept.q[:, 3].shape, 255, np.uint8))
    assert np.array_equal(sliced(mask.layer), before)
    assert (before[3] == NOT_COMPUTED).all()
    assert provenance(mask.layer) is None


def test_a_copy_is_cleaned_named_and_its_own(mask, live):
    post = Postprocessing(threshold=220, largest_component=True)
    labels, cleaned = live(post=post)
    mask.show(labels, PART)  # said before the mask was whole
    copied = mask.copy(WHOLE)
    assert copied.name == "lesion: b (kept)"
    assert copied.editable
    assert np.array_equal(sliced(copied), cleaned)
    assert not np.array_equal(geometry_of(mask.layer).to_sliced(mask.layer.data[:], AXIS), cleaned)
    assert list(copied.features["tumor_type"]) == ["b", "b"]
    assert list(copied.features["label"]) == ["background", "b"]
    assert label_names(copied) == {1: "b"}
    assert provenance(copied) == {"Labels": {"1": "b"}}
    copied.data_setitem((np.array([1]), np.array([1]), np.array([1])), 5)
    assert provenance(copied) is None
    assert isinstance(mask.layer.data, LiveArray)
    assert label_names(mask.layer) == dict(PART.names)


def test_what_a_person_changed_stays_until_something_else_is_wanted(mask):
    mask.want(visible=True, contour=1)
    mask.layer.visible, mask.layer.contour = False, 3
    mask.want(visible=True, contour=1)
    assert not mask.layer.visible
    assert mask.layer.contour == 3
    mask.want(visible=False, contour=0)
    mask.want(visible=True)
    assert mask.layer.visible
    assert mask.layer.contour == 0


def test_other_layers_have_no_provenance():
    assert provenance(Labels(np.zeros((3, 4, 5), np.uint8))) is None


@pytest.mark.parametrize(
    ("values", "all_values", "name", "labels"),
    [
        ({"site": "north", "tumor_type": "ependymoma", "age": 30}, False, "north, ependymoma, 30", {1: "ependymoma"}),
        ({"site": "north", "age": 30.5}, True, "north, all values, 30.5", dict(enumerate(VALUES, start=1))),
    ],
)
def test_appearance_names_what_was_chosen(volume, compose, make_header, site, tumor, age, values, all_values, name, labels):
    choice = Choice.first(make_header(site, tumor, age))
    choice = choice.with_metadata({**choice.metadata, **values})[0].with_all_values(all_values)
    seen = []

    def provenance_of(composition):
        seen.append(composition)
        return {"made": "so"}

    composition = compose(choice, volume)
    appearance = Appearance.of(choice, composition, provenance_of)
    assert (appearance.name, appearance.names) == (f"lesion: {name}", labels)
    assert summary(choice) == name
    assert appearance.metadata == {**choice.metadata, **({"tumor_type": "all values"} if all_values else {})}
    assert seen == [], "nothing is written down before it is asked for"
    assert appearance.sidecar() == {"made": "so"}
    assert seen == [composition]
    part = Appearance.of(choice, compose(choice, volume, missing=[0]), provenance_of)
    assert part.sidecar is None
    assert part.names == {**labels, NOT_COMPUTED: "not computed"}


@pytest.mark.parametrize(("mode", "said"), [("expected", "75 % north + 25 % south"), ("blended", "75 % north + 25 % south (blended)")])
def test_appearance_of_a_mixture_tells_its_weights(volume, compose, make_header, site, tumor, mode, said):
    mixture = Mixture(field="site", percent={"north": 75, "south": 25}, mode=mode)
    choice = Choice.first(make_header(site, tumor)).with_mixture(mixture)
    appearance = Appearance.of(choice, compose(choice, volume), lambda _: {})
    assert appearance.name == f"lesion: {said}, astrocytoma"
    assert appearance.metadata["site"] == said


def test_appearance_of_several_classes_has_the_model_s_name(volume, compose, make_header, site):
    header = make_header(site, classes=("core", "oedema"))
    choice = Choice.first(header)
    appearance = Appearance.of(choice, compose(choice, volume), lambda _: {})
    assert appearance.name == "tiny: unknown"
    assert appearance.names == {1: "core", 2: "oedema"}


def test_appearance_without_metadata(volume, compose, make_header):
    header = make_header()
    assert header.metadata_schema == MetadataSchema()
    choice = Choice.first(header)
    assert Appearance.of(choice, compose(choice, volume), lambda _: {}).name == "lesion: no metadata"

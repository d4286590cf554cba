"""Sample data, from a tree as the package bundles it."""

import numpy as np
import pytest
from napari.layers import Layer

from napari_film import nifti
from napari_film.errors import InputError
from napari_film.plugin import samples
from napari_film.plugin.layers import demo_model, is_alternative, path_of, volume_from_layer


@pytest.fixture
def tree(tmp_path, monkeypatch, make_volume):
    monkeypatch.setattr(samples.resources, "files", lambda package: tmp_path)
    volume = make_volume((4, 5, 6))
    for path in (
        "spinal_tumor/sub-003/anat/sub-003_ce-gadolinium_T1w.nii.gz",
        "spinal_tumor/sub-003/anat/sub-003_T2w.nii.gz",
        "spinal_tumor/derivatives/labels/sub-003/anat/sub-003_ce-gadolinium_T1w_dseg.nii.gz",
        "abdomen/sub-001/ct/sub-001_ct.nii.gz",
        "abdomen/derivatives/labels/sub-001/ct/sub-001_ct_dseg.nii.gz",
    ):
        file = tmp_path / "volumes" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        nifti.write(file, volume.data % 3 if "derivatives" in path else volume.data, volume)


@pytest.mark.usefixtures("tree")
def test_layers_are_ready_for_their_model():
    layers = [Layer.create(*data) for data in samples.spinal_tumor()]
    assert [layer.name for layer in layers] == ["Spine, Gd-e T1w", "Spine, T2w"]
    assert [demo_model(layer) for layer in layers] == ["spinal_tumor"] * 2
    assert volume_from_layer(layers[1]).name == "sub-003_T2w.nii.gz"
    assert path_of(layers[0]).name == "sub-003_ce-gadolinium_T1w.nii.gz"
    assert path_of(layers[1]).is_file()
    (abdomen,) = (Layer.create(*data) for data in samples.abdomen())
    assert demo_model(abdomen) == "abdomen"


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("sample", "name"), [("spinal_tumor", "sub-003_ce-gadolinium_T1w_dseg.nii.gz"), ("abdomen", "sub-001_ct_dseg.nii.gz")]
)
def test_truth_lies_on_the_first_image(sample, name):
    truth = samples.truth(sample)
    assert truth.name == name
    assert np.unique(truth.data).tolist() == [0, 1, 2]


def test_the_bundled_scenes_and_phases_are_alternatives():
    scenes = [Layer.create(*data) for data in samples.clevr_seg()]
    assert [(layer.rgb, layer.data.shape, layer.visible) for layer in scenes] == [
        (True, (200, 200, 3), True),
        (True, (200, 200, 3), False),
        (True, (200, 200, 3), False),
    ]
    phases = [Layer.create(*data) for data in samples.cardiac()]
    assert [layer.visible for layer in phases] == [True, False]
    assert len({volume_from_layer(layer).grid.shape for layer in phases}) == 1
    for model, layers in (("clevr_seg", scenes), ("cardiac", phases)):
        assert [demo_model(layer) for layer in layers] == [model] * len(layers)
        assert all(is_alternative(layer) and path_of(layer).is_file() for layer in layers)


def test_missing_volumes_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(samples.resources, "files", lambda package: tmp_path)
    with pytest.raises(InputError, match="abdomen volumes are missing"):
        samples.abdomen()

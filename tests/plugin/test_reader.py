"""The reader, through napari as a person meets it."""

import subprocess
import sys

import numpy as np
import pytest
from napari.layers import Layer

from napari_film import nifti
from napari_film.errors import InputError
from napari_film.plugin.layers import label_names, path_of, volume_from_layer
from napari_film.plugin.reader import napari_get_reader, read_layers
from napari_film.volume import Volume


@pytest.fixture
def volume(make_affine, make_volume):
    return make_volume((4, 5, 6), make_affine((2, 0, 1), (True, False, True), spacing=(4, 1, 2), angles=(5, 0, 10)))


@pytest.mark.parametrize("path", ["a.png", [], ["a.nii", "b.tif"], 3, None, "nii"])
def test_what_is_not_named_for_nifti_is_left_to_others(path):
    assert napari_get_reader(path) is None


def test_missing_file_is_told_when_it_is_read(tmp_path):
    reader = napari_get_reader(str(tmp_path / "missing.nii"))
    with pytest.raises(InputError, match=r"missing\.nii does not exist"):
        reader(str(tmp_path / "missing.nii"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sub-1_T2w.nii.gz", "image"),
        ("sub-1_dseg.nii.gz", "labels"),
        ("sub-1_T2w_seg-manual.nii", "labels"),
        ("sub-1_label-tumor_mask.nii.gz", "labels"),
        ("sub-1_label-GM_probseg.nii.gz", "labels"),  # whole numbers here
        ("masked_T1w.nii", "image"),
    ],
)
def test_masks_are_told_by_name(tmp_path, volume, name, kind):
    nifti.write(tmp_path / name, volume.data, volume)
    ((data, arguments, found),) = read_layers(tmp_path / name)
    assert found == kind
    assert arguments["name"] == name.split(".")[0]
    assert data.shape == (6, 4, 5) or sorted(data.shape) == [4, 5, 6]


def test_probabilities_named_like_a_mask_are_an_image(tmp_path, volume):
    nifti.write(tmp_path / "a_label-GM_probseg.nii", volume.data / 1000, volume)
    assert read_layers(tmp_path / "a_label-GM_probseg.nii")[0][2] == "image"


def test_names_of_labels_make_a_mask(tmp_path, volume):
    nifti.write(tmp_path / "result.nii.gz", volume.data % 3, volume, names={1: "spleen", 2: "liver"})
    _, arguments, kind = read_layers(tmp_path / "result.nii.gz")[0]
    assert kind == "labels"
    assert arguments["metadata"]["napari_film"]["names"] == {1: "spleen", 2: "liver"}


def test_header_without_orientation_is_told(tmp_path, volume, monkeypatch):
    told = []
    monkeypatch.setattr("napari.utils.notifications.show_warning", told.append)
    nifti.write(tmp_path / "a.nii", volume.data, volume)
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[252:256] = bytes(4)  # qform_code, sform_code
    (tmp_path / "a.nii").write_bytes(raw)
    read_layers(tmp_path / "a.nii")
    assert len(told) == 1
    assert "left from right" in told[0]


def test_viewer_opens_several_files(make_napari_viewer_proxy, tmp_path, volume):
    viewer = make_napari_viewer_proxy()
    big_endian = Volume(volume.data.astype(">i2"), volume.affine)
    for name in ("a_T1w.nii", "b_T2w.nii.gz"):
        nifti.write(tmp_path / name, big_endian.data, big_endian)
    nifti.write(tmp_path / "c_dseg.nii", volume.data % 3, volume, names={1: "spleen"})
    nifti.write(tmp_path / "d_bold.nii", np.stack([volume.data] * 3, -1), volume)
    paths = sorted(tmp_path.iterdir())
    viewer.open([str(path) for path in paths], plugin="napari-film")
    assert [layer.name for layer in viewer.layers] == ["a_T1w", "b_T2w", "c_dseg", "d_bold"]
    assert viewer.dims.axis_labels == ("t", "S", "A", "R")
    assert label_names(viewer.layers["c_dseg"]) == {1: "spleen"}
    for layer in list(viewer.layers)[:2]:
        np.testing.assert_array_equal(volume_from_layer(layer).data, volume.data)


def test_layers_keep_the_path_even_when_the_folder_changes(tmp_path, volume, monkeypatch):
    nifti.write(tmp_path / "a_T1w.nii", volume.data, volume)
    monkeypatch.chdir(tmp_path)
    layer = Layer.create(*read_layers("a_T1w.nii")[0])
    monkeypatch.chdir("/")
    assert path_of(layer) == tmp_path / "a_T1w.nii"


def test_viewer_tells_a_bad_file_in_one_sentence(make_napari_viewer_proxy, tmp_path):
    viewer = make_napari_viewer_proxy()
    (tmp_path / "bad.nii.gz").write_bytes(b"no volume")
    with pytest.raises(InputError, match=r"^bad\.nii\.gz is not gzip-compressed"):
        viewer.open(str(tmp_path / "bad.nii.gz"), plugin="napari-film")
    assert not viewer.layers


def test_commands_of_the_manifest_cost_no_torch():
    code = (
        "import sys, napari_film.plugin.reader, napari_film.plugin.writer, napari_film.plugin.samples as s;"
        "napari_film.plugin.reader.napari_get_reader('a.nii');"
        "assert 'torch' not in sys.modules, 'torch'; assert 'napari' not in sys.modules, 'napari'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

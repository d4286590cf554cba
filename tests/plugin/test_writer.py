"""The writers: a layer goes back onto the voxels of its file."""

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer

from napari_film import nifti
from napari_film.plugin.layers import layer_data_from_volume, mask_layer_kwargs, path_of
from napari_film.plugin.reader import read_layers
from napari_film.plugin.writer import write_image, write_labels


@pytest.fixture
def source(tmp_path, make_affine, make_volume):
    volume = make_volume((4, 5, 6), make_affine((2, 0, 1), (True, False, True), spacing=(4, 1, 2), angles=(5, 0, 10)))
    nifti.write(tmp_path / "sub-1_T2w.nii.gz", volume.data, volume)
    return tmp_path / "sub-1_T2w.nii.gz"


def test_image_comes_back_to_the_byte(source, tmp_path):
    layer = Layer.create(*read_layers(source)[0])
    out = tmp_path / "out.nii.gz"
    assert write_image(str(out), *layer.as_layer_data_tuple()[:2]) == [str(out)]
    assert out.read_bytes() == source.read_bytes()


def test_no_folder_is_written(source, tmp_path):
    """A folder can name a patient."""
    image = Layer.create(*read_layers(source)[0])
    mask = Labels((image.data > 500).astype(np.uint8), **mask_layer_kwargs(image, name="spleen", names={1: "spleen"}))
    folder = tmp_path.name.encode()
    write_image(str(tmp_path / "image.nii"), *image.as_layer_data_tuple()[:2])
    write_labels(str(tmp_path / "mask.nii"), *mask.as_layer_data_tuple()[:2])
    assert path_of(image) == source
    assert all(folder not in (tmp_path / name).read_bytes() for name in ("image.nii", "mask.nii"))


def test_mask_lies_on_the_source_and_keeps_its_names(source, tmp_path):
    image = Layer.create(*read_layers(source)[0])
    mask = Labels((image.data > 500).astype(np.uint8), **mask_layer_kwargs(image, name="spleen", names={1: "spleen"}))
    out = tmp_path / "mask.nii.gz"
    write_labels(str(out), *mask.as_layer_data_tuple()[:2])
    written, original = nifti.read(out), nifti.read(source)
    np.testing.assert_array_equal(written.data, original.data > 500)
    np.testing.assert_array_equal(written.affine, original.affine)
    assert written.file.sform_code == original.file.sform_code
    assert nifti.label_names(out) == {1: "spleen"}


@pytest.mark.parametrize(
    ("beside", "stays"),
    [
        ('{"GeneratedBy": [{"Name": "napari-film"}], "Metadata": {"sex": "F"}}', False),
        ('{"GeneratedBy": [{"Name": "another"}]}', True),
        ('{"Manufacturer": "of a scan"}', True),
        ("no JSON", True),
    ],
)
def test_what_told_of_a_mask_that_is_written_over_goes(source, tmp_path, beside, stays):
    """Of a mask that nothing is told of, such as one that was painted, an older file would tell what is not true."""
    image = Layer.create(*read_layers(source)[0])
    mask = Labels((image.data > 500).astype(np.uint8), **mask_layer_kwargs(image, name="spleen"))
    path = tmp_path / "mask.json"
    path.write_text(beside, encoding="utf-8")
    assert write_labels(str(tmp_path / "mask.nii.gz"), *mask.as_layer_data_tuple()[:2]) == [str(tmp_path / "mask.nii.gz")]
    assert path.is_file() == stays
    if stays:
        assert path.read_text(encoding="utf-8") == beside


def test_mask_drawn_by_hand_borrows_from_the_image_below(make_napari_viewer_proxy, source, tmp_path):
    viewer = make_napari_viewer_proxy()
    (image,) = viewer.open(str(source), plugin="napari-film")
    drawn = viewer.add_labels(np.zeros(image.data.shape, np.uint8), scale=image.scale, translate=image.translate, units=image.units)
    drawn.data[1, 2, 3] = 4
    out = tmp_path / "drawn.nii.gz"
    assert drawn.save(str(out), plugin="napari-film") == [str(out)]
    np.testing.assert_array_equal(nifti.read(out).affine, nifti.read(source).affine)
    assert nifti.read(out).data.sum() == 4


def test_moved_mask_is_written_where_it_is_seen(tmp_path):
    mask = Labels(np.ones((3, 4, 5), np.uint8), scale=(3, 2, 1), translate=(30, 20, 10), units="mm")
    write_labels(str(tmp_path / "a.nii"), *mask.as_layer_data_tuple()[:2])
    np.testing.assert_allclose(nifti.read(tmp_path / "a.nii").affine[:3, 3], (10, 20, 30))


def test_layer_without_geometry_is_refused_and_the_file_stays(tmp_path):
    out = tmp_path / "out.nii"
    out.write_text("precious")
    layer = Image(np.zeros((3, 4, 5)), name="array")
    with pytest.raises(OSError, match="array does not say how large its voxels are"):
        write_image(str(out), *layer.as_layer_data_tuple()[:2])
    assert out.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [out]


def test_napari_shows_the_sentence(make_napari_viewer_proxy, tmp_path, make_volume):
    viewer = make_napari_viewer_proxy()
    data, arguments, _ = layer_data_from_volume(make_volume((3, 4, 5)))
    layer = viewer.add_image(data, **arguments)
    with pytest.raises(OSError, match=r"The folder of out\.nii does not exist"):
        layer.save(str(tmp_path / "missing" / "out.nii"), plugin="napari-film")

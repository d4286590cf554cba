"""Pictures as volumes: every kind of PNG and TIFF that Pillow writes, and the channels of a model."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_film import picture
from napari_film.picture import PictureError
from napari_film.preprocessing import Normalisation, Preprocessing
from napari_film.volume import Volume

WINDOW = Normalisation(method="window", window=(0, 255))
RGB = Preprocessing.model_construct(slice_axis="axial", normalisation=(WINDOW,) * 3, fourth_axis="channels")
GREY = Preprocessing.model_construct(slice_axis="axial", normalisation=(WINDOW,), fourth_axis="frame")
ANY_RANGE = Preprocessing.model_construct(slice_axis="axial", normalisation=(Normalisation(),), fourth_axis="frame")

GREYS = np.arange(15, dtype=np.uint8).reshape(3, 5) * 17  # 3 rows, 5 columns
COLOURS = np.stack([GREYS, 255 - GREYS, GREYS // 2], axis=-1)


def saved(folder: Path, pixels: np.ndarray, name: str = "a.png", mode: str | None = None) -> Path:
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(folder / name)
    return folder / name


def memory(data: np.ndarray) -> Volume:
    """Give an array (rows, columns[, channels]) as a volume."""
    return Volume(np.swapaxes(data, 0, 1)[:, :, None], np.eye(4), "layer")


@pytest.mark.parametrize("ending", ["png", "tif", "tiff"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_columns_lie_along_i_and_rows_along_j(tmp_path: Path, ending: str, kind: type) -> None:
    read = picture.read(saved(tmp_path, GREYS.astype(kind) * (1 if kind is np.uint8 else 257), f"a.{ending}"))
    assert read.data.shape == (5, 3, 1)
    assert read.data.dtype == kind
    assert read.data[4, 1, 0] == int(GREYS[1, 4]) * (1 if kind is np.uint8 else 257)
    assert read.name == f"a.{ending}"
    assert np.array_equal(read.affine, np.eye(4))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_channels_of_a_colour_picture_come_last(tmp_path: Path, ending: str) -> None:
    read = picture.read(saved(tmp_path, COLOURS, f"a.{ending}"))
    assert read.data.shape == (5, 3, 1, 3)
    assert tuple(read.data[4, 1, 0]) == tuple(COLOURS[1, 4])


def test_a_palette_is_colours_in_an_image_and_labels_in_a_mask(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 2, 1]], dtype=np.uint8), mode="P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / "p.png")
    assert picture.read(tmp_path / "p.png").data[1, 0, 0].tolist() == [70, 80, 90]
    assert picture.read_labels(tmp_path / "p.png").data[:, 0, 0].tolist() == [0, 2, 1]


def test_fractions_of_a_tiff_are_kept(tmp_path: Path) -> None:
    assert picture.read(saved(tmp_path, (GREYS / 255).astype(np.float32), "a.tif")).data.dtype == np.float32


def colours_of_16_bits(values: np.ndarray) -> bytes:
    """Give a PNG of (rows, columns, 3), which Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows, columns, _ = values.shape
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", columns, rows, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_of_colours_with_16_bits_the_upper_are_read_and_never_black_in_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(colours_of_16_bits(COLOURS.astype(np.uint16) * 257))
    assert np.array_equal(picture.read(tmp_path / "a.png").data, picture.read(saved(tmp_path, COLOURS, "b.png")).data)
    (tmp_path / "a.png").write_bytes(colours_of_16_bits(COLOURS.astype(np.uint16)))
    with pytest.raises(PictureError, match=r"a\.png has colours of 16 bits a value and uses the lower 8 at most; save it with 8 bits"):
        picture.read(tmp_path / "a.png")


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"none\.png does not exist; check the path"):
        picture.read(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(PictureError, match=r"^text\.png is neither a PNG nor a TIFF, whatever it is called; save it again as one\.$"):
        picture.read(tmp_path / "text.png")
    whole = saved(tmp_path, np.random.default_rng(0).integers(0, 255, (60, 60), dtype=np.uint8))
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:1500])
    with pytest.raises(PictureError, match=r"cut\.png cannot be read as a picture"):
        picture.read(tmp_path / "cut.png")
    Image.fromarray(COLOURS).convert("CMYK").save(tmp_path / "cmyk.tif")
    with pytest.raises(PictureError, match=r"cmyk\.tif has colours of the kind CMYK"):
        picture.read(tmp_path / "cmyk.tif")
    pages = [Image.fromarray(GREYS)] * 2
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(PictureError, match=r"pages\.tif holds 2 pages"):
        picture.read(tmp_path / "pages.tif")
    with pytest.raises(PictureError, match="is a colour picture; a mask needs one label per pixel"):
        picture.read_labels(saved(tmp_path, COLOURS))


def test_a_photograph_under_another_name_is_told(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png", format="JPEG")
    with pytest.raises(PictureError, match=r"^photo\.png is neither a PNG nor a TIFF"):
        picture.read(tmp_path / "photo.png")


def test_damage_anywhere_is_told(tmp_path: Path) -> None:
    for ending in ("png", "tif"):
        whole = saved(tmp_path, GREYS, f"whole.{ending}").read_bytes()
        damaged = tmp_path / f"damaged.{ending}"
        for place in range(len(whole)):
            for value in (0, 255):
                damaged.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
                try:
                    picture.read(damaged)
                except PictureError as error:
                    assert str(error).startswith(f"damaged.{ending} ")  # noqa: PT017  # some damage does no harm


def test_a_model_for_volumes_takes_no_picture(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"a\.png is a picture of two axes; the model takes volumes, in axial slices"):
        picture.read_for_model(saved(tmp_path, COLOURS), RGB)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_mask_comes_back_as_it_was_written(tmp_path: Path, ending: str) -> None:
    mask = np.arange(15, dtype=np.uint8).reshape(5, 3, 1)
    picture.write(tmp_path / f"m.{ending}", mask)
    assert np.array_equal(picture.read_labels(tmp_path / f"m.{ending}").data, mask)
    assert Image.open(tmp_path / f"m.{ending}").size == (5, 3)


def test_a_volume_is_not_written_as_a_picture(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"A mask of 5 x 3 x 2 voxels is no picture"):
        picture.write(tmp_path / "m.png", np.zeros((5, 3, 2), dtype=np.uint8))
    with pytest.raises(PictureError, match=r"m\.bmp; give a name that ends in"):
        picture.write(tmp_path / "m.bmp", np.zeros((5, 3, 1), dtype=np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_fits_stays_as_it_is() -> None:
    given = memory(COLOURS)
    fitted, notices = picture.for_model(given, RGB)
    assert np.array_equal(fitted.data, given.data)
    assert fitted.data.dtype == np.uint8
    assert notices == ()


def test_grey_is_repeated_for_a_colour_model() -> None:
    fitted, notices = picture.for_model(memory(GREYS), RGB)
    assert fitted.data.shape == (5, 3, 1, 3)
    assert all(np.array_equal(fitted.data[..., c], memory(GREYS).data) for c in range(3))
    assert "its values stand for red, green and blue" in " ".join(notices)


@pytest.mark.parametrize(("white", "dtype"), [(255, np.uint8), (65535, np.uint16), (1.0, np.float32)])
def test_opaque_alpha_is_left_out_and_transparency_refused(white: float, dtype: type) -> None:
    colours = (COLOURS * (white / 255)).astype(dtype)
    alpha = np.full((3, 5, 1), white, dtype=dtype)
    fitted, notices = picture.for_model(memory(np.concatenate([colours, alpha], axis=-1)), RGB)
    assert fitted.data.shape == (5, 3, 1, 3)
    assert np.abs(np.moveaxis(fitted.data[:, :, 0], 0, 1).astype(float) - COLOURS).max() < 1e-3
    assert "opaque everywhere" in notices[0]
    alpha[1, 1] = 0
    with pytest.raises(PictureError, match="layer is transparent in places"):
        picture.for_model(memory(np.concatenate([colours, alpha], axis=-1)), RGB)


def test_sixteen_bits_are_brought_to_the_range_of_the_training() -> None:
    wide = GREYS.astype(np.uint16) * 257
    fitted, notices = picture.for_model(memory(wide), GREY)
    assert np.array_equal(fitted.data, memory(GREYS).data)
    assert "16 bits" in notices[0]
    with pytest.raises(PictureError, match="uint16 values from 0 to 238, and the model was trained on 8 bits"):
        picture.for_model(memory(GREYS.astype(np.uint16)), GREY)
    same, notices = picture.for_model(memory(wide), ANY_RANGE)
    assert np.array_equal(same.data, memory(wide).data)
    assert notices == ()


def test_fractions_are_brought_to_the_range_of_the_training() -> None:
    fitted, _ = picture.for_model(memory(GREYS / 255), GREY)
    assert np.allclose(fitted.data, memory(GREYS).data)
    with pytest.raises(PictureError, match="float64 values from 0 to 238"):
        picture.for_model(memory(GREYS.astype(np.float64)), GREY)


def test_colours_for_a_grey_model_are_refused_unless_they_are_grey() -> None:
    with pytest.raises(PictureError, match="layer is a colour picture, and the model takes grey ones"):
        picture.for_model(memory(COLOURS), GREY)
    fitted, notices = picture.for_model(memory(np.repeat(GREYS[..., None], 3, axis=2)), GREY)
    assert np.array_equal(fitted.data, memory(GREYS).data)
    assert "three equal channels" in notices[0]


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(PictureError, match=r"layer has 5 channel\(s\), and the model takes 3"):
        picture.for_model(memory(np.zeros((3, 5, 5), dtype=np.uint8)), RGB)

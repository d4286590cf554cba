"""`napari-film predict` on pictures: the same size and way up comes out, and what is ambiguous is one line."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_film import cli, nifti, picture

WINDOW = {"method": "window", "window": (0, 255)}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["napari-film", "predict", *map(str, words), "--device", "cpu"])
        with pytest.raises(SystemExit, match=r"^\d+$") as end:
            cli.main()
        return int(end.value.code), capsys.readouterr().err

    return run


@pytest.fixture
def model(make_checkpoint: Callable[..., Path], tumor: Any) -> Path:
    """Give a network for colour pictures with INSIDE everywhere."""
    preprocessing = {"slice_axis": "acquired", "fourth_axis": "channels", "normalisation": (WINDOW,) * 3}
    return make_checkpoint(tumor, channels=3, seed=4, places=("inside",) * 6, preprocessing=preprocessing)


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (21, 34, 3), dtype=np.uint8)
    pixels[:8, :10] //= 8  # so that no turning of it is alike
    Image.fromarray(pixels).save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_mask_has_the_size_and_the_way_up_of_its_picture(run: Callable, model: Path, colours: Path, tmp_path: Path, ending: str) -> None:
    words = (colours, "--model", model, "--metadata", "tumor_type=ependymoma", "--output")
    assert run(*words, tmp_path / f"mask.{ending}") == (0, "")
    assert run(*words, tmp_path / "same.nii.gz") == (0, "")
    mask = np.asarray(Image.open(tmp_path / f"mask.{ending}"))
    assert mask.shape == (21, 34)
    assert 0 < mask.mean() < 1
    assert np.array_equal(mask.T[:, :, None], nifti.read(tmp_path / "same.nii.gz").data)
    assert json.loads((tmp_path / "mask.json").read_text(encoding="utf-8"))["Sources"] == ["scene.png"]


def test_the_size_of_a_mask_is_told_in_pixels(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Path, colours: Path, tmp_path: Path
) -> None:
    words = ("--model", model, "--metadata", "tumor_type=ependymoma", "--output", tmp_path / "mask.png", "--device", "cpu")
    monkeypatch.setattr(sys, "argv", ["napari-film", "predict", str(colours), *map(str, words)])
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main()
    count = np.count_nonzero(np.asarray(Image.open(tmp_path / "mask.png")))
    assert capsys.readouterr().out == f"mask.png: ependymoma {count:,} pixels\n"


def test_what_can_be_meant_in_one_way_is_converted_and_told(run: Callable, model: Path, colours: Path, tmp_path: Path) -> None:
    words = ("--model", model, "--metadata", "tumor_type=ependymoma", "--output")
    run(colours, *words, tmp_path / "plain.png")
    Image.open(colours).convert("RGBA").save(tmp_path / "alpha.png")
    code, told = run(tmp_path / "alpha.png", *words, tmp_path / "mask.png")
    assert code == 0
    assert "alpha.png has an alpha channel that is opaque everywhere" in told
    assert (tmp_path / "mask.png").read_bytes() == (tmp_path / "plain.png").read_bytes()
    Image.fromarray(np.asarray(Image.open(colours).convert("L")).astype(np.uint16) * 257).save(tmp_path / "grey.png")
    code, told = run(tmp_path / "grey.png", *words, tmp_path / "of_grey.png")
    assert code == 0
    assert "its values stand for red, green and blue" in told
    assert "16 bits" in told
    saved = json.loads((tmp_path / "of_grey.json").read_text(encoding="utf-8"))["Notices"]
    assert [f"napari-film: {notice}" for notice in saved] == told.splitlines()


@pytest.mark.parametrize(
    ("image", "output", "message"),
    [
        ("clear.png", "mask.png", "clear.png is transparent in places"),
        ("text.png", "mask.png", "text.png is neither a PNG nor a TIFF"),
        ("none.png", "mask.png", "none.png does not exist"),
        ("scene.png", "scene.tif", "has the name of one of the images"),
        ("scene.png", "mask.bmp", "give a name that ends in .nii or .nii.gz, or as a picture"),
        ("volume.nii.gz", "mask.png", "volume.nii.gz is no picture"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    run: Callable, model: Path, colours: Path, tmp_path: Path, image: str, output: str, message: str
) -> None:
    clear = Image.open(colours).convert("RGBA")
    clear.putpixel((3, 3), (1, 2, 3, 4))
    clear.save(tmp_path / "clear.png")
    (tmp_path / "text.png").write_text("words", encoding="utf-8")
    nifti.write(tmp_path / "volume.nii.gz", np.zeros((4, 4, 4), np.uint8), picture.Volume(np.zeros((4, 4, 4), np.uint8), np.eye(4)))
    before = sorted(tmp_path.iterdir())
    code, told = run(tmp_path / image, "--model", model, "--metadata", "tumor_type=ependymoma", "--output", tmp_path / output)
    assert code == 2
    assert message in told
    assert told.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before

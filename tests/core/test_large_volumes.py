"""Volumes and images that are large against memory.

Of a volume, one byte a voxel, class and value stands there besides the input, and the mask. An image of 8000 x 8000 is run
in tiles, and gives what it gives in one piece.
"""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_film import cli, nifti
from napari_film.checkpoint import load_checkpoint
from napari_film.inference.prediction import joint_labels
from napari_film.inference.predictor import Predictor
from napari_film.preprocessing import prepare
from napari_film.volume import Volume

# ru_maxrss of a child counts what its parent held before it; the high-water mark of its own memory does not.
COMMAND = """
import atexit, re
from pathlib import Path
atexit.register(lambda: print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]))
from napari_film.cli import main
main()
"""
WINDOW = {"normalisation": ({"method": "window", "window": (-150, 250)},)}


def phantom(slices: int, *, side: int = 512) -> Volume:
    """Make a body of noise in air, with some organs: int16, (side, side, slices)."""
    rng = np.random.default_rng(0)
    y, x = np.indices((side, side)) / side - 0.5
    body = (x / 0.4) ** 2 + (y / 0.3) ** 2 < 1
    planes = [np.where(body, 40 + rng.normal(0, 30, body.shape), -1000).astype(np.int16) for _ in range(7)]
    data = np.empty((side, side, slices), np.int16, order="F")
    for k in range(slices):
        data[:, :, k] = planes[k % len(planes)]
        left = side // 4 + k % (side // 8)
        data[left : left + side // 4, side // 3 : side // 2, k] += 120
    return Volume(data, np.diag([0.8, 0.8, 1.0, 1.0]))


def segmented(image: Path, model: Path, *values: str) -> tuple[Path, int]:
    """Run the command line with these words for the metadata; give the mask and the bytes of memory at most."""
    mask = image.with_name("mask.nii.gz")
    words = ("predict", image, "--model", model, "--output", mask, *values, "--device", "cpu", "--precision", "float32")
    ran = subprocess.run([sys.executable, "-c", COMMAND, *map(str, words)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return mask, 1024 * int(ran.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the high-water mark of memory is Linux's")
def test_a_thousand_slices_and_three_values_fit_in_six_gigabytes(tmp_path: Path, make_checkpoint: Callable, tumor: Any) -> None:
    model = make_checkpoint(tumor, seed=1, preprocessing=WINDOW)
    one, volume = phantom(1), phantom(1000)
    voxels = volume.data.size
    nifti.write(tmp_path / "one.nii", one.data, one)
    _, least = segmented(tmp_path / "one.nii", model, "--all-values")
    chosen = [0, 500, 999]
    predictor = Predictor(load_checkpoint(model), device="cpu", precision="float32")
    predictions = [predictor.predict([volume], {"tumor_type": value}, order=chosen) for value in tumor.values]
    expected = joint_labels(predictions)[chosen]
    assert len(np.unique(expected)) >= 3
    for ending in (".nii", ".nii.gz"):
        image = tmp_path / f"image{ending}"
        nifti.write(image, volume.data, volume)
        mask, peak = segmented(image, model, "--all-values")
        # The input, three values, and the mask.
        assert peak < least + (2 + 3 + 1) * voxels + 200e6
        assert peak < 6e9
        found = predictions[0].prepared.from_source(nifti.read(mask).data)
        assert np.array_equal(found[chosen], expected)
        image.unlink()  # pytest keeps what is left


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the high-water mark of memory is Linux's")
def test_an_image_of_8000_by_8000_in_tiles_is_as_in_one_piece(
    tmp_path: Path, make_checkpoint: Callable, make_volume: Callable, tumor: Any
) -> None:
    model = make_checkpoint(tumor, seed=3, width=2, preprocessing={"tile": 1024})
    small, image = make_volume((1024, 1024, 1)), make_volume((8000, 8000, 1))
    for name, volume in (("small.nii", small), ("image.nii", image)):
        nifti.write(tmp_path / name, volume.data, volume)
    value = ("--metadata", "tumor_type=ependymoma")
    _, least = segmented(tmp_path / "small.nii", model, *value)
    mask, peak = segmented(tmp_path / "image.nii", model, *value)
    # Input 2; as the network takes it 4; probabilities 4, and once more when they are handed on; in 256ths 1; the mask 1.
    assert peak < least + (2 + 4 + 4 + 4 + 1 + 1) * image.data.size
    checkpoint = load_checkpoint(model)
    prepared = prepare([image], checkpoint.header.preprocessing)
    condition = torch.from_numpy(checkpoint.header.metadata_schema.encode({"tumor_type": "ependymoma"}))[None]
    with torch.inference_mode():
        whole = checkpoint.network(torch.from_numpy(prepared.image(0)[None]), condition)[0, 0].numpy()
    assert 0.05 < (whole >= 0.5).mean() < 0.95
    # torch rounds the places that it upsamples from to float32: some thousandths of a pixel at the far end of so long a side.
    decided = np.abs(whole - 0.5) > 2e-4
    assert decided.mean() > 0.99
    found = prepared.from_source(nifti.read(mask).data)[0]
    assert np.array_equal(found[decided], whole[decided] >= 0.5)


def test_what_a_voxel_takes(tmp_path: Path, make_checkpoint: Callable, tumor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_checkpoint(tumor, seed=1, width=2, depth=1, preprocessing=WINDOW)
    volume = phantom(200, side=128)
    nifti.write(tmp_path / "image.nii.gz", volume.data, volume)
    words = ("predict", tmp_path / "image.nii.gz", "--model", model, "--output", tmp_path / "mask.nii", "--all-values", "--device", "cpu")
    monkeypatch.setattr(sys, "argv", [*map(str, ("napari-film", *words, "--probabilities", tmp_path / "p.nii"))])
    load_checkpoint(model)  # what is imported is counted once
    tracemalloc.start()
    try:
        with pytest.raises(SystemExit, match=r"^0$"):
            cli.main()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The input, three values, and the mask; torch's own memory, which is that of one slice, is not traced.
    assert peak < (2 + 3 + 1 + 1) * volume.data.size

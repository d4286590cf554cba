"""Synthetic scans for timing: ``python -m benchmarks.scans FILE I J K mm mm mm``.

A body in air, smooth tissue and noise on top, in int16 as CT has it; so it compresses about as well as a real one.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_film import Volume, write

_COARSE = 16  # voxels between the values that the tissue is drawn from
_BODY = 0.8  # radius, of half the image


def make_scan(shape: tuple[int, int, int], seed: int = 0) -> NDArray[np.int16]:
    """Make an int16 array of ``shape`` (I, J, K), I fastest in memory as NIfTI has it."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(40, 20, (shape[0] // _COARSE + 1, shape[1] // _COARSE + 1))
    tissue = ndimage.zoom(coarse, [size / known for size, known in zip(shape[:2], coarse.shape, strict=True)], order=1)
    x, y = (np.linspace(-1, 1, size) for size in shape[:2])
    plane = np.where(x[:, None] ** 2 + y**2 < _BODY**2, tissue, -1000)
    scan = np.empty(shape, np.int16, order="F")
    for k in range(shape[2]):
        scan[:, :, k] = plane + rng.normal(0, 20, shape[:2])
    return scan


def main() -> None:
    """Write the scan that is asked for."""
    path, *numbers = sys.argv[1:]
    i, j, k = map(int, numbers[:3])
    data = make_scan((i, j, k))
    write(Path(path), data, like=Volume(data, np.diag([*map(float, numbers[3:]), 1.0])), dtype=data.dtype)


if __name__ == "__main__":
    main()

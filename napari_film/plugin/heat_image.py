"""Numbers from 0 to 1 as pixels: viridis, dark for 0 and yellow for 1, which colour-blind people read in the same order."""

from functools import cache

import numpy as np
from napari.utils.colormaps import ensure_colormap
from numpy.typing import NDArray
from qtpy.QtGui import QColor, QImage


@cache
def _table() -> list[int]:
    colours = (ensure_colormap("viridis").map(np.linspace(0, 1, 256)) * 255).round().astype(int)
    return [QColor(*map(int, colour[:3])).rgb() for colour in colours]


def heat_image(values: NDArray[np.floating]) -> QImage:
    """One pixel for each of ``values`` (rows, columns), which are clipped to 0..1."""
    index = np.ascontiguousarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8))
    rows, columns = index.shape
    image = QImage(index.tobytes(), columns, rows, columns, QImage.Format.Format_Indexed8)
    image.setColorTable(_table())
    return image.copy()  # the bytes are Python's


def ink_on(value: float) -> QColor:
    """Black or white, whichever is read on the colour of ``value``."""
    return QColor("black") if QColor(_table()[round(min(max(value, 0), 1) * 255)]).lightnessF() > 0.45 else QColor("white")

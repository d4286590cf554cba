"""How a canvas must lie so that a patient's sides are where a reader of images expects them.

Radiological: the patient's right is on the left of the canvas, in sagittal slices the front is. Neurological: the other way
round. Superior, or else anterior, is at the top in both.
"""

from typing import Literal

import numpy as np

from napari_film.plugin.edge_letters import Letters
from napari_film.volume import ACROSS, AnatomicalAxis

Convention = Literal["radiological", "neurological"]
Camera = tuple[str, str, str]
"""napari's camera orientation: where the world axes of depth, vertical and horizontal grow to."""

OPPOSITE = dict(zip("LRPAIS", "RLAPSI", strict=True))
_DIRECTIONS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}


def world_axis(letters: tuple[str, str, str], slice_axis: AnatomicalAxis) -> int:
    """Which of napari's last three world axes, that point to ``letters``, the slices are stacked along."""
    return _places(letters)[ACROSS[slice_axis][0]]


def dims_order(letters: tuple[str, str, str], slice_axis: AnatomicalAxis, ndim: int) -> tuple[int, ...]:
    """Order of napari's dims that shows slices across ``slice_axis``, with their H from top to bottom and W across."""
    places = _places(letters)
    return (*range(ndim - 3), *(ndim - 3 + places[ras] for ras in ACROSS[slice_axis]))


def camera_orientation(displayed: tuple[str, str, str], convention: Convention) -> Camera:
    """Give the camera for world axes that point to the letters ``displayed``: depth, vertical, horizontal.

    Depth is chosen so that nothing is mirrored in 3D.
    """
    depth, vertical, horizontal = displayed
    up = vertical in "SAR"
    right = (horizontal in "LPS") == (convention == "radiological") if horizontal in "LRAP" else horizontal == "S"
    screen = np.array([(0, 0, 1), (0, 1 if up else -1, 0), (1 if right else -1, 0, 0)])
    patient = np.array([_DIRECTIONS[letter] for letter in (depth, vertical, horizontal)])
    towards = np.linalg.det(screen.T @ patient) > 0
    return ("towards" if towards else "away", "up" if up else "down", "right" if right else "left")


def edge_letters(displayed: tuple[str, str], camera: Camera) -> Letters:
    """Give the letters at the edges for world axes that point to ``displayed``: vertical, horizontal."""
    vertical, horizontal = displayed
    top = vertical if camera[1] == "up" else OPPOSITE[vertical]
    right = horizontal if camera[2] == "right" else OPPOSITE[horizontal]
    return Letters(left=OPPOSITE[right], top=top, right=right, bottom=OPPOSITE[top])


def _places(letters: tuple[str, str, str]) -> dict[int, int]:
    """Where the world axes R, A and S (0, 1, 2) stand among napari's last three."""
    return {next(ras for ras, pair in enumerate(("LR", "PA", "IS")) if letter in pair): place for place, letter in enumerate(letters)}

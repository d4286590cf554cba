"""Mirror images of slices, where a recipe asks for them: with the image the metadata that say where something lies are mirrored, too.

Axes: C channels, K classes, (h, w) of a slice, whose rows and columns run along `IN_PLANE` of its slice axis.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from napari_film.fields import UNKNOWN, Value
from napari_film.models.position import Position

from .recipe import Recipe
from .recipe.fields import Axis
from .recipe.training import IN_PLANE


def draw_flips(rng: np.random.Generator, axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Draw which of ``axes`` are mirrored, each in half of the cases."""
    return tuple(axis for axis in axes if rng.random() < 0.5)


def flip_slice(stack: Tensor, axes: Sequence[Axis], recipe: Recipe) -> Tensor:
    """Mirror ``stack`` (C or K, h, w) along ``axes``."""
    plane = IN_PLANE[recipe.preprocessing.slice_axis]
    return torch.flip(stack, [plane.index(axis) - 2 for axis in axes]) if axes else stack


def flip_position(position: Position, size: tuple[int, int], axes: Sequence[Axis], recipe: Recipe) -> Position:
    """Say where a patch of ``size`` (h, w) at ``position`` lies in the mirror image of its whole."""
    down, across = IN_PLANE[recipe.preprocessing.slice_axis]
    if down in axes:
        position = position._replace(top=position.height - position.top - position.pitch * size[0])
    if across in axes:
        position = position._replace(left=position.width - position.left - position.pitch * size[1])
    return position


def flip_metadata(told: Mapping[str, Value], axes: Sequence[Axis], recipe: Recipe) -> dict[str, Value]:
    """Give the metadata that are right for an image mirrored along ``axes``."""
    moved = dict(told)
    for field in recipe.fields:
        for axis in axes:
            if moved[field.name] != UNKNOWN:
                moved[field.name] = field.mirrored(moved[field.name], axis)
    return moved

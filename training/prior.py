"""The control arm of an experiment: a network that was only ever told *unknown*.

What it would make of a value that it never met is an accident of its start. So the columns of all values are given the weights of
*unknown*: whatever such a network is told afterwards, γ and β are the constants that it was trained with.

    W1 x = W1 u     for every condition x, u that of *unknown*      (the columns of a field always sum to 1)

Every generator has such a first layer, and where the condition is painted into the input the network's first convolution is one.

Axes: M columns of the condition.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from napari_film.architecture import Architecture
from napari_film.conditioning import MetadataSchema

FIRST_LAYER = "generator.weight1"
_OTHERS = re.compile(r"(inside|guides)\.\d+\.trunk\.0\.weight")
_FIRST_CONVOLUTION = "encoder.0.conv1.weight"


def deaf(weights: Mapping[str, Tensor], schema: MetadataSchema, architecture: Architecture) -> dict[str, Tensor]:
    """Give ``weights`` with the columns of each field, in all first layers, as the one of *unknown*, which is its last."""
    changed = dict(weights)
    for name in weights:
        if name == FIRST_LAYER or _OTHERS.fullmatch(name):
            changed[name] = _told_nothing(weights[name], schema)
    if architecture.condition_map:
        changed[_FIRST_CONVOLUTION] = _told_nothing(weights[_FIRST_CONVOLUTION], schema)
    return changed


def _told_nothing(layer: Tensor, schema: MetadataSchema) -> Tensor:
    """Change the last M columns of a ``layer`` (rows, ..., M, ...)."""
    columns = layer.clone()
    end = layer.shape[1] - schema.width
    for field in schema:
        start, end = end, end + field.width
        columns[:, start:end] = columns[:, end - 1 : end]
    return columns

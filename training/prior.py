"""The control arm of an experiment: a network that was only ever told *unknown*.

What it would make of a value that it never met is an accident of its start. So the columns of all values are given the weights of
*unknown*: whatever such a network is told afterwards, γ and β are the constants that it was trained with.

    W1 x = W1 u     for every condition x, u that of *unknown*      (the columns of a field always sum to 1)

Axes: M columns of the condition.
"""

from collections.abc import Mapping

from torch import Tensor

from napari_film.conditioning import MetadataSchema

FIRST_LAYER = "generator.weight1"


def deaf(weights: Mapping[str, Tensor], schema: MetadataSchema) -> dict[str, Tensor]:
    """Give ``weights`` with the first layer's columns (64, M) of each field all as the one of *unknown*, which is its last."""
    if FIRST_LAYER not in weights:
        return dict(weights)
    columns = weights[FIRST_LAYER].clone()
    end = 0
    for field in schema:
        start, end = end, end + field.width
        columns[:, start:end] = columns[:, end - 1 : end]
    return {**weights, FIRST_LAYER: columns}

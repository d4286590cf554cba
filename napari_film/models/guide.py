"""The guiding block (Rupprecht et al. 2018): feature maps are scaled by channel, by row and by column, and shifted by channel.

    guide(F_c)(y, x) = (1 + r(y) + k(x) + s_c) · F_c(y, x) + b_c

The metadata predict s and b of each feature map, and the gates r of rows and k of columns, which all feature maps share. The
paper predicts one number per row and column of one size of feature maps; here a gate has 16 knots from edge to edge of the
whole image, linear in between (outside, in the padding, as at the edge), so that the size does not matter and a tile has the
gates of the whole. The generator's hidden layers are INSIDE's, so that the two differ in the conditioning alone.

Axes: B batch, M columns of the condition, C feature maps, A spatial axes (y, x in two dimensions), n pixels along one of them,
*S spatial axes of feature maps.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_film.models.film import check_parameters, over_space
from napari_film.models.inside import Trunk, check_coordinates, start_layer
from napari_film.models.position import Axis, Coordinates

KNOTS = 16
"""Numbers that a gate is predicted by, from one edge of the whole image to the other."""

_SMALL = 0.1  # of the usual start of the last layer: the network begins nearly without conditioning


class GuideParameters(NamedTuple):
    """What the guiding block does at one place: s and b, each (B, C), and the gates' knots (B, A, 16), in the order of the axes (y, x)."""

    scale: Tensor
    shift: Tensor
    gates: Tensor

    def along(self, coordinates: Coordinates) -> tuple[Tensor, ...]:
        """The gate along each axis, (B, n) of that axis."""
        return tuple(_at(self.gates[:, number], axis) for number, axis in enumerate(coordinates))

    def apply(self, features: Tensor, coordinates: Coordinates) -> Tensor:
        """Scale and shift ``features`` (B, C, *S); gates are float32 in any precision.

        Raises
        ------
        ValueError
            If a parameter is not (B, C), or (1, C) for a condition that the whole batch shares, or the coordinates are not those of
            the features.
        """
        check_parameters(features, scale=self.scale, shift=self.shift)
        check_coordinates(features, coordinates, self.gates.shape[1])
        gates = 1 + over_space(self.scale, features)
        for number, gate in enumerate(self.along(coordinates)):
            shape = [1] * features.ndim
            shape[0], shape[2 + number] = gate.shape
            gates = gates + gate.reshape(shape)
        return torch.addcmul(over_space(self.shift, features), features, gates).to(features.dtype)


def _at(knots: Tensor, axis: Axis) -> Tensor:
    """Interpolate ``knots`` (B, 16) linearly at the pixels of ``axis``: (B, n)."""
    where = (axis.at.clamp(-1, 1) + 1) / 2 * (KNOTS - 1)  # in knots
    hats = (1 - (where[..., None] - torch.arange(KNOTS, device=knots.device)).abs()).clamp(min=0)  # (1 or B, n, 16)
    return (hats * knots[:, None]).sum(dim=-1)


class GuideGenerator(nn.Module):
    """Predicts what the guiding block does at one place from the condition.

    M -> C/2 tanh -> C/2 tanh, then linear to s, b and the knots of each axis. It starts near no conditioning: with a tenth of the
    usual random weights, and no bias.

    Parameters
    ----------
    condition
        Columns M of the condition.
    channels
        Feature maps C.
    axes
        Spatial axes A.
    """

    def __init__(self, condition: int, channels: int, *, axes: int = 2) -> None:
        super().__init__()
        self.channels, self.axes = channels, axes
        self.trunk = Trunk(condition, channels)
        self.modulation = nn.Linear(self.trunk.features, 2 * channels + axes * KNOTS)  # rows: s, b, knots of the first axis, ...
        start_layer(self.modulation, _SMALL)

    def forward(self, condition: Tensor) -> GuideParameters:
        """Map ``condition`` (B, M) to the parameters of each feature map, and the gates that they share."""
        with torch.autocast(condition.device.type, enabled=False):
            rows = self.modulation(self.trunk(condition.to(self.modulation.weight.dtype)))
        scale, shift, gates = rows.split((self.channels, self.channels, self.axes * KNOTS), dim=1)
        return GuideParameters(scale, shift, gates.unflatten(1, (self.axes, KNOTS)))

"""INSIDE: the metadata say where a feature map is looked at, then how it is scaled and shifted (Jacenków et al. 2020).

    INSIDE(F_c) = γ_c · (F_c · A_c) + β_c          A_c(x) = product over axes of a((u - μ_c) / σ_c)      a: a window function

u runs from -1 to 1 over the whole image (`models.position`); μ is a place in it. The metadata predict, for each feature map,
raw numbers g, b and per axis m and s:

    "relative"  γ = 1 + g    β = b    μ = tanh(m)    σ = 0.01 + softplus(s + c), in half sides of the whole image; s = 0 is σ = 1
    "public"    γ = 1 - g    β = b    μ = tanh(m)    σ = 3.5 · tanh(s) + 1e-7, in pixels of the feature map

The first is this project's: a window covers the same part of the scene at any resolution, and σ > 0. The second is the public
code's, for comparison, with its traps: the widest window is 3.5 pixels whatever the size of the image, a negative σ is the
window of its absolute value, and one near zero lets a single pixel through or none.

    gaussian    a(z) = exp(-½ z²)
    box         a(z) = s(4 (1 + z)) · s(4 (1 - z)) / s(4)²         s: sigmoid; about ½ at |z| = 1, with smooth sides

Axes: B batch, M columns of the condition, C feature maps, A spatial axes (y, x in two dimensions), n pixels along one of them,
*S spatial axes of feature maps.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_film.models.film import check_parameters, over_space
from napari_film.models.position import Axis, Coordinates

START_SIGMA = 2.0
"""σ at the start in relative size: the window is 1 in the middle, 0.88 in the middle of a side and 0.78 in a corner."""

_LEAST_SIGMA = 0.01
_AT_ZERO = math.log(math.expm1(1 - _LEAST_SIGMA))  # c, which makes σ = 1 of s = 0
_PUBLIC_WIDTH, _PUBLIC_LEAST = 3.5, 1e-7
_SMALL = 0.1  # of the usual start of the last layers: the network begins nearly without conditioning


def _gaussian(z: Tensor) -> Tensor:
    return torch.exp(-0.5 * z * z)


def _box(z: Tensor) -> Tensor:
    return torch.sigmoid(4 * (1 + z)) * torch.sigmoid(4 * (1 - z)) * (1 + math.exp(-4)) ** 2


WINDOWS: Mapping[str, Callable[[Tensor], Tensor]] = {"gaussian": _gaussian, "box": _box}
"""Window functions of z = (u - μ) / σ by `Architecture.window`; 1 at z = 0, symmetric."""


class InsideParameters(NamedTuple):
    """What INSIDE does at one place.

    Parameters
    ----------
    gamma, beta
        What the feature map seen through its window is multiplied by, and what is added; (B, C).
    mu
        Centres of the windows, -1 to 1 over the whole image; (B, C, A), in the order of the spatial axes (y, x).
    sigma
        Their sizes, (B, C, A): in half sides of the whole image, or, where ``parametrisation`` is "public", in pixels of the
        feature map, of either sign.
    raw_sigma
        σ before it was made a size: s, (B, C, A).
    parametrisation, window
        As `Architecture` has them.
    """

    gamma: Tensor
    beta: Tensor
    mu: Tensor
    sigma: Tensor
    raw_sigma: Tensor
    parametrisation: Literal["relative", "public"] = "relative"
    window: str = "gaussian"

    def relative_sigma(self, coordinates: Coordinates) -> Tensor:
        """σ in half sides of the whole image, (B, C, A), on feature maps at ``coordinates``."""
        if self.parametrisation == "relative":
            return self.sigma
        return self.sigma * torch.stack([axis.step for axis in coordinates], dim=-1)

    def along(self, coordinates: Coordinates) -> tuple[Tensor, ...]:
        """The window along each axis, (B, C, n) of that axis; their outer product is A."""
        sigma = self.relative_sigma(coordinates)
        function = WINDOWS[self.window]
        return tuple(
            function((axis.at.unsqueeze(1) - self.mu[..., number, None]) / sigma[..., number, None])
            for number, axis in enumerate(coordinates)
        )

    def attention(self, coordinates: Coordinates) -> Tensor:
        """The windows A, (B, C, *S), on feature maps at ``coordinates``; 0 to 1."""
        return _outer(self.along(coordinates))

    def apply(self, features: Tensor, coordinates: Coordinates) -> Tensor:
        """Look at ``features`` (B, C, *S) through the windows, then scale and shift them; windows are float32 in any precision.

        Raises
        ------
        ValueError
            If a parameter is not (B, C) or (B, C, A), or (1, C) for a condition that the whole batch shares, or the coordinates are
            not those of the features.
        """
        check_parameters(features, gamma=self.gamma, beta=self.beta, **{f"mu of axis {n}": m for n, m in enumerate(self.mu.unbind(-1))})
        check_coordinates(features, coordinates, self.mu.shape[-1])
        first, *others = self.along(coordinates)
        scale = _outer((self.gamma[..., None] * first, *others))
        return torch.addcmul(over_space(self.beta, features), features, scale).to(features.dtype)


def check_coordinates(features: Tensor, coordinates: Sequence[Axis], axes: int) -> None:
    """Raise ValueError unless ``coordinates`` are those of ``features`` (B, C, *S), which have so many spatial ``axes``."""
    sides, found = tuple(features.shape[2:]), tuple(axis.at.shape[-1] for axis in coordinates)
    batches = {axis.at.shape[0] for axis in coordinates}
    if sides != found or len(sides) != axes or not batches <= {1, features.shape[0]}:
        raise ValueError(
            f"coordinates have {' x '.join(map(str, found))} pixels for {sorted(batches)} images, where features have shape "
            f"{tuple(features.shape)} and the windows {axes} axes"
        )


def _outer(factors: Sequence[Tensor]) -> Tensor:
    """(B, C, n) of each axis -> (B, C, *S)."""
    product = factors[0]
    for factor in factors[1:]:
        product = product[..., None] * factor.reshape(*factor.shape[:2], *(1,) * (product.ndim - 2), factor.shape[-1])
    return product


class Trunk(nn.Sequential):
    """M -> C/2 -> tanh -> C/2 -> tanh, as the public code has it: the hidden layers of one place's generator."""

    def __init__(self, condition: int, channels: int) -> None:
        self.features = max(channels // 2, 1)
        super().__init__(nn.Linear(condition, self.features), nn.Tanh(), nn.Linear(self.features, self.features), nn.Tanh())
        for layer in (self[0], self[2]):
            start_layer(layer)


def start_layer(layer: nn.Module, scale: float = 1.0) -> None:
    """Start as Keras does, in which the public code is written (Glorot, no bias); ``scale`` is of the weights."""
    if isinstance(layer, nn.Linear):
        nn.init.xavier_uniform_(layer.weight, gain=scale)
        nn.init.zeros_(layer.bias)


class InsideGenerator(nn.Module):
    """Predicts what INSIDE does at one place from the condition.

    M -> C/2 tanh -> C/2 tanh, then linear to g, b and m of each axis, and another linear to s of each axis: 13,888 weights for
    64 feature maps and a condition of 4 columns.

    "relative" starts near no conditioning at all: γ = 1, β = 0, windows in the middle and `START_SIGMA` wide, but for a tenth of the
    usual random weights, by which feature maps and conditions differ. "public" starts as the public code does, with windows of
    some tenths of a pixel.

    Parameters
    ----------
    condition
        Columns M of the condition.
    channels
        Feature maps C.
    axes
        Spatial axes A.
    parametrisation, window
        As `Architecture` has them.
    """

    def __init__(
        self,
        condition: int,
        channels: int,
        *,
        axes: int = 2,
        parametrisation: Literal["relative", "public"] = "relative",
        window: str = "gaussian",
    ) -> None:
        super().__init__()
        self.channels = channels
        self.parametrisation, self.window = parametrisation, window
        self.trunk = Trunk(condition, channels)
        self.modulation = nn.Linear(self.trunk.features, (2 + axes) * channels)  # rows: g, b, m of the first axis, ...; C each
        self.size = nn.Linear(self.trunk.features, axes * channels)  # rows: s of the first axis, ...; C each
        for layer in (self.modulation, self.size):
            start_layer(layer, _SMALL if parametrisation == "relative" else 1.0)
        if parametrisation == "relative":
            nn.init.constant_(self.size.bias, math.log(math.expm1(START_SIGMA - _LEAST_SIGMA)) - _AT_ZERO)

    def forward(self, condition: Tensor) -> InsideParameters:
        """Map ``condition`` (B, M) to the parameters of each feature map."""
        with torch.autocast(condition.device.type, enabled=False):  # a window's place needs more than bfloat16's eight bits
            hidden = self.trunk(condition.to(self.size.weight.dtype))
            g, b, *centres = self.modulation(hidden).split(self.channels, dim=1)
            raw_sigma = torch.stack(self.size(hidden).split(self.channels, dim=1), dim=-1)
        if self.parametrisation == "relative":
            gamma, sigma = 1 + g, _LEAST_SIGMA + functional.softplus(raw_sigma + _AT_ZERO)
        else:
            gamma, sigma = 1 - g, _PUBLIC_WIDTH * torch.tanh(raw_sigma) + _PUBLIC_LEAST
        mu = torch.tanh(torch.stack(centres, dim=-1))
        return InsideParameters(gamma, b, mu, sigma, raw_sigma, self.parametrisation, self.window)

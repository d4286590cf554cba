"""Feature-wise linear modulation (FiLM) and the generator of its parameters.

    FiLM(F_c | γ_c, β_c) = γ_c · F_c + β_c                                              Perez et al. 2018, Eq. 2
    h = s(W2 s(W1 x + b1) + b2);   (γ, β) of place p = s(V_p h + v_p);   s: sigmoid     Lemay et al. 2021

W1 and W2 are shared between all places; the biases b1 and b2 are too (ours), or each place has its own (checkpoints
of ivadomed).

Axes: B batch, M columns of the condition, P places with FiLM, C feature maps, *S spatial axes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_film.models.position import Coordinates


class FiLMParameters(NamedTuple):
    """γ and β of one place, each (B, C), both between 0 and 1."""

    gamma: Tensor
    beta: Tensor

    def apply(self, features: Tensor, coordinates: Coordinates = ()) -> Tensor:
        """Scale and shift each feature map of ``features`` (B, C, *S), wherever a voxel lies.

        Raises
        ------
        ValueError
            If γ or β is not (B, C), or (1, C) for a condition that the whole batch shares.
        """
        check_parameters(features, gamma=self.gamma, beta=self.beta)
        gamma, beta = (over_space(parameter, features) for parameter in self)
        return torch.addcmul(beta, features, gamma)


def check_parameters(features: Tensor, **parameters: Tensor) -> None:
    """Raise ValueError unless each of ``parameters`` is (B, C) for ``features`` (B, C, *S), or (1, C)."""
    for name, parameter in parameters.items():
        if parameter.ndim != 2 or parameter.shape[0] not in (1, features.shape[0]) or parameter.shape[1] != features.shape[1]:
            raise ValueError(f"{name} has shape {tuple(parameter.shape)} for features of shape {tuple(features.shape)}; expected (B, C)")


def over_space(parameter: Tensor, features: Tensor) -> Tensor:
    """``parameter`` (B, C) as (B, C, 1, ..., 1), with as many axes as ``features`` (B, C, *S)."""
    return parameter.reshape(*parameter.shape, *(1,) * (features.ndim - 2))


class FiLMGenerator(nn.Module):
    """Predicts γ and β of every place from the condition, in one go.

    Parameters
    ----------
    condition
        Columns M of the condition.
    place_channels
        Feature maps C of each place that has FiLM.
    hidden
        Sizes of the two hidden layers.
    shared_biases
        Whether the hidden biases are shared between places too.
    """

    def __init__(self, condition: int, place_channels: Sequence[int], *, hidden: tuple[int, int], shared_biases: bool) -> None:
        super().__init__()
        self.place_channels = tuple(place_channels)
        self.shared_biases = shared_biases
        rows = 2 * sum(self.place_channels)
        first, second, last = nn.Linear(condition, hidden[0]), nn.Linear(hidden[0], hidden[1]), nn.Linear(hidden[1], rows)
        sets = 1 if shared_biases else len(self.place_channels)
        self.weight1, self.weight2, self.weight3 = first.weight, second.weight, last.weight  # (64, M), (16, 64), (rows, 16)
        self.bias1 = nn.Parameter(first.bias.detach().repeat(sets, 1))  # (1 or P, 64)
        self.bias2 = nn.Parameter(second.bias.detach().repeat(sets, 1))  # (1 or P, 16)
        self.bias3 = last.bias  # (rows,)

    def forward(self, condition: Tensor) -> list[FiLMParameters]:
        """Map ``condition`` (B, M) to γ and β of each place, each (B, C) of that place."""
        hidden = torch.sigmoid((condition @ self.weight1.T).unsqueeze(1) + self.bias1)  # (B, 1 or P, 64)
        hidden = torch.sigmoid(hidden @ self.weight2.T + self.bias2)  # (B, 1 or P, 16)
        sizes = [2 * channels for channels in self.place_channels]
        if self.shared_biases:
            rows = torch.split(hidden[:, 0] @ self.weight3.T + self.bias3, sizes, dim=1)
        else:
            parts = zip(torch.split(self.weight3, sizes), torch.split(self.bias3, sizes), strict=True)
            rows = tuple(hidden[:, place] @ weight.T + bias for place, (weight, bias) in enumerate(parts))
        return [FiLMParameters(*torch.sigmoid(row).chunk(2, dim=1)) for row in rows]

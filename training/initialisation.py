"""How a FiLM generator starts: with condition values that it can tell apart.

    h1 = s(W1 x + b1),  h2 = s(W2 h1 + b2)        s: sigmoid, x one-hot or scaled to 0..1

With PyTorch's usual start, the values of a field differ by some hundredths in h2; on the way through two sigmoids two of
them can stay one for good (spleen and kidneys did). Here the hidden layers start with pre-activations that differ between
values by about `SPREAD`, centred on the sigmoids' middle, where they are steepest. The last layer starts as usual.
"""

import torch
from torch import nn

from napari_film.models.film import FiLMGenerator

SPREAD = 1.5
"""Standard deviation of the pre-activations of both hidden layers."""

_VARIANCE = 0.07  # of s(z), z normal with standard deviation SPREAD


def spread_conditions(generator: FiLMGenerator) -> None:
    """Draw the hidden layers of ``generator`` anew, from torch's global generator."""
    with torch.no_grad():
        nn.init.normal_(generator.weight1, std=SPREAD)
        nn.init.zeros_(generator.bias1)
        inputs = generator.weight2.shape[1]
        nn.init.normal_(generator.weight2, std=SPREAD / (inputs * _VARIANCE) ** 0.5)
        generator.bias2.copy_((-0.5 * generator.weight2.sum(dim=1)).expand_as(generator.bias2))

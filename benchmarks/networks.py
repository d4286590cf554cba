"""Seeded networks that behave like trained ones as far as time can tell: ``python -m benchmarks.networks SETTING_AS_JSON FILE``.

Weights are random; biases and BatchNorm's statistics are fitted to noise, so that features are of order one at every depth, no
feature map is silent, and probabilities spread over (0, 1). Without that a random network blows rounding up from unit to
unit, and no two ways of computing it agree.
"""

import sys

import torch
from torch import Tensor, nn

from benchmarks.settings import VALUES, Setting, one_hot
from napari_film.checkpoint import save_checkpoint
from napari_film.models.unet import ConditionedUNet

_SIDE = 128  # of the noise
_ACTIVE = 2.0  # mean before ReLU, in standard deviations: nearly every voxel passes
_SPREAD = 1.0  # standard deviation of the logits
_CERTAIN = 20.0  # the same of a network that is to be certain
_DOUBT = 0.01  # weight of all that such a network's head sees beside the first feature map


@torch.no_grad()
def make_network(setting: Setting, seed: int = 0) -> ConditionedUNet:
    """Make the network of ``setting``, in evaluation mode."""
    torch.manual_seed(seed)
    network = ConditionedUNet(setting.architecture).requires_grad_(False).eval()
    for name, parameter in network.named_parameters():
        if name.startswith("generator."):
            parameter.normal_()
    if setting.certain:
        _pass_through(network)
    hooks = []
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.3)
            hooks.append(part.register_forward_pre_hook(_fit_statistics))
        elif isinstance(part, nn.Conv2d) and part is not network.head:
            hooks.append(part.register_forward_hook(_fit_bias))
    images = torch.randn(2, setting.channels, _SIDE, _SIDE)
    places = network.modulations(torch.tensor([one_hot(len(VALUES))]))
    spread, mean = torch.std_mean(network.logits(images, [*places[:-1], None]))
    scale = (_CERTAIN if setting.certain else _SPREAD) / spread
    network.head.weight.mul_(scale)
    network.get_parameter("head.bias").sub_(mean).mul_(scale)
    for hook in hooks:
        hook.remove()
    return network


def _pass_through(network: ConditionedUNet) -> None:
    """Lead the first channel of the image to the head: through the first unit, its skip, and the last unit."""
    below = network.architecture.place_channels[-3]
    for name, channel in (("encoder.0.conv1", 0), ("encoder.0.conv2", 0), ("decoder.{}.conv1", below), ("decoder.{}.conv2", 0)):
        weight = network.get_parameter(name.format(len(network.decoder) - 1) + ".weight")
        weight[0] = 0
        weight[0, channel, 1, 1] = 1
    network.head.weight.mul_(_DOUBT)
    network.head.weight[0, 0, 1, 1] = 1


def _fit_bias(convolution: nn.Module, _: tuple[Tensor], features: Tensor) -> Tensor:
    """Bring the mean of each feature map (B, C, H, W) to `_ACTIVE`."""
    spread, mean = torch.std_mean(features, dim=(0, 2, 3))
    shift = _ACTIVE * spread - mean
    convolution.get_parameter("bias").add_(shift)
    return features + shift[:, None, None]


def _fit_statistics(norm: nn.Module, features: tuple[Tensor]) -> None:
    """Make the statistics of ``norm`` those of the features (B, C, H, W) that come to it."""
    variance, mean = torch.var_mean(features[0], dim=(0, 2, 3))
    norm.get_buffer("running_mean").copy_(mean)
    norm.get_buffer("running_var").copy_(variance)


def main() -> None:
    """Write the checkpoint that is asked for."""
    setting = Setting.model_validate_json(sys.argv[1])
    save_checkpoint(sys.argv[2], make_network(setting), setting.header)


if __name__ == "__main__":
    main()

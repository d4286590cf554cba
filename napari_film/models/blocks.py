"""The unit that U-Nets of this project are built from, and the step from one level up to the next.

    unit: [conv 3x3, pad 1, with bias -> ReLU -> BatchNorm -> Dropout2d] twice      (BatchNorm comes after ReLU)
    up:   bilinear, align_corners, to the size of the skip; then [upsampled, skip] are joined

A unit may have one round alone, or no BatchNorm.

Axes: B batch, C feature maps, H height, W width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvUnit(nn.Sequential):
    """Rounds of convolution, ReLU, BatchNorm and Dropout2d; (B, in, H, W) -> (B, out, H, W).

    ``conv2`` and ``norm2`` are there with two rounds, the norms unless ``normalised`` is False.
    """

    conv1: nn.Conv2d
    conv2: nn.Conv2d
    norm1: nn.BatchNorm2d
    norm2: nn.BatchNorm2d

    def __init__(
        self, in_channels: int, out_channels: int, *, dropout: float, momentum: float, rounds: int = 2, normalised: bool = True
    ) -> None:
        super().__init__()
        for number in range(1, rounds + 1):
            self.add_module(f"conv{number}", nn.Conv2d(in_channels if number == 1 else out_channels, out_channels, 3, padding=1))
            self.add_module(f"relu{number}", nn.ReLU())
            if normalised:
                self.add_module(f"norm{number}", nn.BatchNorm2d(out_channels, momentum=momentum))
            self.add_module(f"dropout{number}", nn.Dropout2d(dropout))


def upsample(features: Tensor, size: Sequence[int]) -> Tensor:
    """Bring ``features`` (B, C, h, w) to ``size`` (H, W)."""
    upsampled = functional.interpolate(features, size=tuple(size), mode="bilinear", align_corners=True)
    if upsampled.requires_grad and upsampled.is_contiguous(memory_format=torch.channels_last):
        # What comes back is a part of the joined gradient, and for one with gaps torch leaves channels_last: ten times as slow.
        upsampled.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
    return upsampled

"""FiLMed U-Net (Lemay et al. 2021), and the plain U-Net of the same code.

Encoder of ``depth`` units, the width doubled per level, max-pool 2 after each; one unit at the bottom with the deepest
level's width; decoder of ``depth`` units; head conv 3x3 and sigmoid. FiLM stands behind whole units (skips carry the
already modulated features) and on the logits of the head, at the places that the architecture names.

Axes: B batch, C channels, M columns of the condition, H height, W width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_film.architecture import Architecture
from napari_film.models.blocks import ConvUnit, upsample_and_join
from napari_film.models.film import FiLMGenerator, FiLMParameters, modulate


class FiLMedUNet(nn.Module):
    """A U-Net whose feature maps are modulated by the metadata.

    ``forward`` takes images and conditions, as in training. For inference, ``film`` evaluates the generator once and
    ``logits`` is then called with its result for every batch of slices.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        depth, channels = architecture.depth, architecture.place_channels
        widths = channels[:depth]
        inputs = (architecture.channels, *widths, *(channels[depth + i] + widths[depth - 1 - i] for i in range(depth)))
        units = [
            ConvUnit(i, o, dropout=architecture.dropout, momentum=architecture.batchnorm_momentum)
            for i, o in zip(inputs, channels[:-1], strict=True)
        ]
        self.encoder = nn.ModuleList(units[:depth])
        self.bottom = units[depth]
        self.decoder = nn.ModuleList(units[depth + 1 :])
        self.head = nn.Conv2d(channels[-2], channels[-1], 3, padding=1)
        filmed = [count for count, has_film in zip(channels, architecture.film, strict=True) if has_film]
        self.generator = (
            FiLMGenerator(
                architecture.condition,
                filmed,
                hidden=architecture.hidden,
                shared_biases=architecture.hidden_biases == "shared",
            )
            if filmed
            else None
        )

    def film(self, conditions: Tensor) -> list[FiLMParameters | None]:
        """γ and β of each of the 2·depth + 2 places for ``conditions`` (B, M); None where there is no FiLM."""
        if self.generator is None:
            return [None] * len(self.architecture.film)
        if conditions.ndim != 2 or conditions.shape[1] != self.architecture.condition:
            raise ValueError(f"conditions have shape {tuple(conditions.shape)}; expected (B, {self.architecture.condition})")
        predicted = iter(self.generator(conditions))
        return [next(predicted) if has_film else None for has_film in self.architecture.film]

    def logits(self, images: Tensor, film: Sequence[FiLMParameters | None]) -> Tensor:
        """Logits (B, classes, H, W) of ``images`` (B, C, H, W) under ``film``, as the method of that name gives it.

        Raises
        ------
        ValueError
            If the images have another number of channels, or a side shorter than 2**depth.
        """
        if images.ndim != 4 or images.shape[1] != self.architecture.channels or min(images.shape[2:]) < self.architecture.divisor:
            raise ValueError(
                f"images have shape {tuple(images.shape)}; expected (B, {self.architecture.channels}, H, W) "
                f"with H and W of at least {self.architecture.divisor}"
            )
        places = iter(film)
        skips = []
        features = images
        for unit in self.encoder:
            features = modulate(unit(features), next(places))
            skips.append(features)
            features = functional.max_pool2d(features, 2)
        features = modulate(self.bottom(features), next(places))
        for unit in self.decoder:
            features = modulate(unit(upsample_and_join(features, skips.pop())), next(places))
        logits = modulate(self.head(features), next(places))
        return logits[:, 1:] if self.architecture.background else logits

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Probabilities (B, classes, H, W) of ``images`` (B, C, H, W) under ``conditions`` (B, M)."""
        return torch.sigmoid(self.logits(images, self.film(conditions)))

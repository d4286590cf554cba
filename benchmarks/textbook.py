"""The peer of all ratios: the same network as a textbook implementation has it, after the public code of Lemay et al. 2021.

    unit:  [conv 3x3 -> ReLU -> BatchNorm -> Dropout2d] twice, each a step of its own
    FiLM:  γ_c · F_c + β_c behind the unit; each place evaluates a generator of its own in every forward pass, and γ and β
           are materialised at the full size of the feature maps

Eager PyTorch in evaluation mode under ``torch.inference_mode``, as a good user has it. Two things of the public code are left
out, to the peer's advantage: γ and β are not kept between calls, and they lie in memory as the features do, so that a network
in channels_last stays in it. Nothing is slowed down on purpose.

Axes: B batch, C feature maps, M columns of the condition, H height, W width.
"""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_film.models.unet import ConditionedUNet


class Unit(nn.Module):
    """Two rounds of convolution, ReLU, BatchNorm and Dropout2d; (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, *, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.dropout1 = nn.Dropout2d(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.dropout2 = nn.Dropout2d(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, in, H, W) to (B, out, H, W)."""
        features = self.dropout1(self.norm1(functional.relu(self.conv1(features))))
        features = self.dropout2(self.norm2(functional.relu(self.conv2(features))))
        return features


class FiLMLayer(nn.Module):
    """γ · F + β, with the generator that predicts γ and β (sigmoid, so both in (0, 1)) of this one place."""

    def __init__(self, condition: int, channels: int, *, hidden: tuple[int, int]) -> None:
        super().__init__()
        self.linear1 = nn.Linear(condition, hidden[0])
        self.linear2 = nn.Linear(hidden[0], hidden[1])
        self.linear3 = nn.Linear(hidden[1], 2 * channels)

    def forward(self, features: Tensor, conditions: Tensor) -> Tensor:
        """Modulate features (B, C, H, W) by what conditions (B, M) predict."""
        hidden = torch.sigmoid(self.linear1(conditions))
        hidden = torch.sigmoid(self.linear2(hidden))
        predicted = torch.sigmoid(self.linear3(hidden))
        gamma, beta = (torch.empty_like(features).copy_(half[:, :, None, None]) for half in predicted.chunk(2, dim=1))
        return gamma * features + beta


class TextbookUNet(nn.Module):
    """The FiLMed U-Net of a `ConditionedUNet`'s architecture and weights, in evaluation mode; (B, C, H, W) and (B, M) -> probabilities."""

    def __init__(self, network: ConditionedUNet) -> None:
        super().__init__()
        architecture = network.architecture
        depth, places = architecture.depth, architecture.place_channels
        widths = places[:depth]
        inputs = (architecture.channels, *widths, *(places[depth + i] + widths[depth - 1 - i] for i in range(depth)))
        units = [Unit(i, o, dropout=architecture.dropout) for i, o in zip(inputs, places[:-1], strict=True)]
        self.encoder = nn.ModuleList(units[:depth])
        self.bottom = units[depth]
        self.decoder = nn.ModuleList(units[depth + 1 :])
        self.head = nn.Conv2d(places[-2], places[-1], 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.films = nn.ModuleDict(
            {
                str(place): FiLMLayer(architecture.condition, channels, hidden=architecture.hidden)
                for place, (channels, word) in enumerate(zip(places, architecture.places, strict=True))
                if word == "film"
            }
        )
        self.background = architecture.background
        self._take_weights(network)
        self.eval().requires_grad_(False)

    def _take_weights(self, network: ConditionedUNet) -> None:
        state = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("generator.")}
        generator = network.generator
        if generator is not None:
            sizes = [2 * channels for channels in generator.place_channels]
            last = zip(self.films, generator.weight3.split(sizes), generator.bias3.split(sizes), strict=True)
            for number, (place, weight, bias) in enumerate(last):
                own = 0 if generator.shared_biases else number
                layers = ((generator.weight1, generator.bias1[own]), (generator.weight2, generator.bias2[own]), (weight, bias))
                for layer, (layer_weight, layer_bias) in enumerate(layers, start=1):
                    state[f"films.{place}.linear{layer}.weight"] = layer_weight
                    state[f"films.{place}.linear{layer}.bias"] = layer_bias
        self.load_state_dict(state)

    def channels_last(self) -> Self:
        """Bring the weights into channels_last; images are to be given so too."""
        return self.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch's stubs lack it

    def _modulate(self, place: int, features: Tensor, conditions: Tensor) -> Tensor:
        if str(place) not in self.films:
            return features
        modulated: Tensor = self.films[str(place)](features, conditions)
        return modulated

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Probabilities (B, classes, H, W) of images (B, C, H, W) under conditions (B, M)."""
        depth = len(self.encoder)
        skips = []
        features = images
        for place, unit in enumerate(self.encoder):
            features = self._modulate(place, unit(features), conditions)
            skips.append(features)
            features = self.pool(features)
        features = self._modulate(depth, self.bottom(features), conditions)
        for place, unit in enumerate(self.decoder, start=depth + 1):
            skip = skips.pop()
            features = functional.interpolate(features, size=skip.shape[2:], mode="bilinear", align_corners=True)
            features = self._modulate(place, unit(torch.cat([features, skip], dim=1)), conditions)
        probabilities = torch.sigmoid(self._modulate(2 * depth + 1, self.head(features), conditions))
        return probabilities[:, 1:] if self.background else probabilities

"""U-Nets that are conditioned on metadata: FiLMed U-Net (Lemay et al. 2021), INSIDE (Jacenków et al. 2020), and what they are held against.

Encoder of ``depth`` units, the width doubled per level, max-pool 2 after each; one unit at the bottom; decoder of ``depth`` units;
head and sigmoid. A place's conditioning stands behind its whole unit (skips carry the already modulated features) and on the
logits of the head, at the places that the architecture names. The classic network is that of Lemay et al.; what else the
architecture can say (no skips, one convolution a unit, ...) makes the network of INSIDE's CLEVR-Seg runs, or the controls.

Axes: B batch, C channels, M columns of the condition, H height, W width.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_film.architecture import Architecture
from napari_film.models.blocks import ConvUnit, upsample
from napari_film.models.film import FiLMGenerator, FiLMParameters
from napari_film.models.guide import GuideGenerator, GuideParameters
from napari_film.models.inside import InsideGenerator, InsideParameters
from napari_film.models.position import Position

Modulation = FiLMParameters | InsideParameters | GuideParameters
"""What the metadata do to the feature maps of one place; ``apply(features, coordinates)`` does it."""


Upsample = Callable[[Tensor, Sequence[int]], Tensor]
"""Brings features (B, C, h, w) to a size (H, W)."""


class ConditionedUNet(nn.Module):
    """A U-Net whose feature maps are modulated by the metadata.

    ``forward`` takes images and conditions, as in training. For inference, ``modulations`` evaluates the generators once and
    ``logits`` is then called with its result for every batch of slices. `enter`, `step` and `modulated` are what ``logits`` is made of.

    FiLM's ``generator`` serves all places that have it; ``inside`` and ``guides`` hold one generator a place, by its number.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        depth, channels = architecture.depth, architecture.place_channels
        widths = channels[:depth]
        skips = [width if architecture.skips else 0 for width in reversed(widths)]
        inputs = (architecture.input_channels, *widths, *(below + skip for below, skip in zip(channels[depth:], skips, strict=False)))
        units = [self._unit(i, o) for i, o in zip(inputs, channels[:-1], strict=True)]
        self.encoder = nn.ModuleList(units[:depth])
        self.bottom = units[depth]
        self.behind_bottom = self._unit(channels[depth], channels[depth]) if architecture.behind_bottom else None
        self.decoder = nn.ModuleList(units[depth + 1 :])
        self.head = nn.Conv2d(channels[-2], channels[-1], architecture.head, padding=architecture.head // 2)
        places = list(zip(architecture.places, channels, strict=True))
        filmed = [count for place, count in places if place == "film"]
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
        self.inside = nn.ModuleDict(
            {
                str(number): InsideGenerator(
                    architecture.condition, count, parametrisation=architecture.parametrisation, window=architecture.window
                )
                for number, (place, count) in enumerate(places)
                if place == "inside"
            }
        )
        self.guides = nn.ModuleDict(
            {str(number): GuideGenerator(architecture.condition, count) for number, (place, count) in enumerate(places) if place == "guide"}
        )

    def _unit(self, in_channels: int, out_channels: int) -> ConvUnit:
        architecture = self.architecture
        return ConvUnit(
            in_channels,
            out_channels,
            dropout=architecture.dropout,
            momentum=architecture.batchnorm_momentum,
            rounds=architecture.convolutions,
            normalised=architecture.normalisation == "batch",
        )

    def modulations(self, conditions: Tensor) -> list[Modulation | None]:
        """What ``conditions`` (B, M) do at each of the 2·depth + 2 places; None where there is no conditioning."""
        places = self.architecture.places
        if set(places) == {"none"}:
            return [None] * len(places)
        self._check(conditions)
        filmed = iter(self.generator(conditions) if self.generator is not None else ())
        made: list[Modulation | None] = []
        for number, place in enumerate(places):
            if place == "none":
                made.append(None)
            elif place == "film":
                made.append(next(filmed))
            else:
                made.append((self.inside if place == "inside" else self.guides)[str(number)](conditions))
        return made

    def logits(
        self,
        images: Tensor,
        modulations: Sequence[Modulation | None],
        position: Position | None = None,
        conditions: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, classes, H, W) of ``images`` (B, C, H, W) under ``modulations``, as the method of that name gives them.

        ``position`` says where the images lie in the whole; None: they are the whole. ``conditions`` (B, M) are needed only where the
        architecture paints them.

        Raises
        ------
        ValueError
            If the images have another number of channels, or a side shorter than 2**depth.
        """
        features = self.enter(images, position, conditions)
        position = self.position_of(images, position)
        encoded: list[Tensor] = []
        for place, modulation in enumerate(modulations):
            features = self.modulated(place, self.step(place, features, encoded), modulation, position)
            if place < self.architecture.depth:
                encoded.append(features)
        return features[:, 1:] if self.architecture.background else features

    def forward(self, images: Tensor, conditions: Tensor, position: Position | None = None) -> Tensor:
        """Probabilities (B, classes, H, W) of ``images`` (B, C, H, W) under ``conditions`` (B, M); ``position`` as in ``logits``."""
        return torch.sigmoid(self.logits(images, self.modulations(conditions), position, conditions))

    def window_penalty(self, modulations: Sequence[Modulation | None]) -> Tensor:
        """Mean of the squared pre-activation σ over all INSIDE places; 0 without any."""
        raw = [place.raw_sigma.flatten() for place in modulations if isinstance(place, InsideParameters)]
        return torch.cat(raw).square().mean() if raw else torch.zeros(())

    def position_of(self, images: Tensor, position: Position | None) -> Position:
        """``position``, or that of ``images`` (B, C, H, W) that are the whole."""
        return position or Position(0.0, 0.0, *map(float, images.shape[2:]))

    def enter(self, images: Tensor, position: Position | None = None, conditions: Tensor | None = None) -> Tensor:
        """What the first convolution takes, (B, input channels, H, W): images, x, y, and the painted condition; raises as ``logits``."""
        architecture = self.architecture
        if images.ndim != 4 or images.shape[1] != architecture.channels or min(images.shape[2:]) < architecture.divisor:
            raise ValueError(
                f"images have shape {tuple(images.shape)}; expected (B, {architecture.channels}, H, W) "
                f"with H and W of at least {architecture.divisor}"
            )
        count, _, height, width = images.shape
        parts = [images]
        if architecture.coordinates:
            y, x = self.position_of(images, position).axes((height, width), device=images.device)
            parts += [x.at[:, None, None, :].expand(count, 1, height, width), y.at[:, None, :, None].expand(count, 1, height, width)]
        if architecture.condition_map:
            if conditions is None:
                raise ValueError("this network paints the condition as an input; conditions are needed")
            self._check(conditions)
            parts.append(conditions[:, :, None, None].expand(count, -1, height, width))
        if len(parts) == 1:
            return images
        joined = torch.cat([part.to(images.dtype) for part in parts], dim=1)
        last = images.is_contiguous(memory_format=torch.channels_last)
        return joined.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    def step(
        self,
        place: int,
        features: Tensor,
        encoded: Sequence[Tensor],
        up: Upsample = upsample,
    ) -> Tensor:
        """Feature maps of a place before its conditioning, from those behind the place before it.

        ``encoded`` are the modulated ones of the encoder's places so far; ``up`` is another for a tile, which knows its place.
        """
        depth = self.architecture.depth
        if 0 < place <= depth:
            features = functional.max_pool2d(features, 2)
        if place < depth:
            made: Tensor = self.encoder[place](features)
            return made
        if place == depth:
            return self.bottom(features)  # type: ignore[no-any-return]  # of nn.Sequential
        if place == depth + 1 and self.behind_bottom is not None:
            features = self.behind_bottom(features)
        if place > 2 * depth:
            return self.head(features)  # type: ignore[no-any-return]
        beside = encoded[2 * depth - place]
        features = up(features, beside.shape[2:])
        if self.architecture.skips:
            features = torch.cat([features, beside], dim=1)
        joined: Tensor = self.decoder[place - depth - 1](features)
        return joined

    def modulated(self, place: int, features: Tensor, modulation: Modulation | None, position: Position) -> Tensor:
        """``features`` (B, C, h, w) of a place behind its conditioning; ``position`` is that of the images."""
        if modulation is None:
            return features
        if isinstance(modulation, FiLMParameters):
            return modulation.apply(features)
        factor = 1 << self.architecture.levels[place]
        return modulation.apply(features, position.axes(features.shape[2:], factor=factor, device=features.device))

    def _check(self, conditions: Tensor) -> None:
        if conditions.ndim != 2 or conditions.shape[1] != self.architecture.condition:
            raise ValueError(f"conditions have shape {tuple(conditions.shape)}; expected (B, {self.architecture.condition})")

"""A trained network that is run step by step as it was trained: whatever its layout and its kind of conditioning.

`specialised` rewrites the classic U-Net with FiLM and is faster; this one is for all others (INSIDE, the guiding block, coordinate
channels, no skips, ...) and has the same interface. What no condition changes is computed once, the *front*: everything before
the first place that is conditioned, the convolutions of that place included; of a network that paints the condition as an
input there is none.

Feature maps are channels_last and may be bfloat16; windows, gates and the generators that place them are float32 always.

Axes: B batch, C channels or feature maps, H height, W width.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any, Literal

import torch
from torch import Tensor

from napari_film.inference.recorded import exact
from napari_film.inference.specialised import DTYPES, Front, Window
from napari_film.inference.upsampling import doubled, fractions, upsampled
from napari_film.models.position import Position
from napari_film.models.unet import ConditionedUNet, Modulation


class AsTrainedUNet:
    """A network on its device, in one precision; belongs to one thread.

    Parameters
    ----------
    network
        In evaluation mode, in float32 and on the CPU; it is not changed.
    device
        As torch names it.
    precision
        Arithmetic of the feature maps.
    """

    def __init__(self, network: ConditionedUNet, *, device: str = "cpu", precision: Literal["float32", "bfloat16"] = "float32") -> None:
        self._device, self._dtype = torch.device(device), DTYPES[precision]
        self._architecture = architecture = network.architecture
        self._generators = network
        copied = deepcopy(network).requires_grad_(False).to(self._device, self._dtype)
        self._network = copied.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # which torch's stubs lack
        conditioned = [*(place != "none" for place in architecture.places), True].index(True)
        self._first = min(conditioned, 2 * architecture.depth + 1)
        self._window: Window | None = None
        self._position = Position(0, 0, 1, 1)
        self._front: Front | None = None

    @torch.inference_mode()
    def front(self, images: Tensor, window: Window | None = None, position: Position | None = None) -> Front:
        """Compute what no condition changes of ``images`` (B, C, H, W), float32.

        ``window`` says which part of a slice they are, as of `SpecialisedUNet.front`; ``position`` where they lie in the whole image
        without its padding. None: they are the whole.
        """
        self._window = window
        self._position = self._network.position_of(images, position)
        features = images.to(self._device, self._dtype).contiguous(memory_format=torch.channels_last)
        skips: dict[int, Tensor] = {}
        with self._exact():
            if not self._architecture.condition_map:
                features = self._network.enter(features, self._position)
                for place in range(self._first):
                    features = self._step(place, features, skips)
                    self._keep(place, features, skips)
                features = self._step(self._first, features, skips)
        self._front = Front(features, skips, {})
        return self._front

    @torch.inference_mode()
    def probabilities(self, front: Front, condition: tuple[float, ...]) -> Tensor:
        """Probabilities (B, classes, H, W) under ``condition`` (M,), float32 on the device.

        Raises
        ------
        ValueError
            If another front was computed since.
        """
        if front is not self._front:
            raise ValueError("this front is gone: another one was computed since")
        conditions = torch.tensor([condition], dtype=torch.float32)
        modulations = [self._brought(modulation) for modulation in self._generators.modulations(conditions)]
        features, skips = front.features, dict(front.skips)
        painted = self._architecture.condition_map
        last = len(modulations) - 1
        with self._exact():
            if painted:
                features = self._network.enter(features, self._position, conditions.to(self._device))
            for place in range(0 if painted else self._first, last + 1):
                if painted or place != self._first:
                    features = self._step(place, features, skips)
                if place == last:
                    features = features.float()
                features = self._network.modulated(place, features, modulations[place], self._position)
                if place < last:
                    features = features.to(self._dtype)
                    self._keep(place, features, skips)
            return torch.sigmoid(features[:, 1:] if self._architecture.background else features)

    def rest(self) -> None:
        """Let the last front go."""
        self._front = None

    def _keep(self, place: int, features: Tensor, skips: dict[int, Tensor]) -> None:
        """Put what the encoder's ``place`` gives up for the place of the decoder at its level."""
        if place < self._architecture.depth:
            skips[2 * self._architecture.depth - place] = features

    def _step(self, place: int, features: Tensor, skips: dict[int, Tensor]) -> Tensor:
        depth = self._architecture.depth
        level = 2 * depth - place + 1  # of what a place of the decoder brings up

        def up(below: Tensor, size: Sequence[int]) -> Tensor:
            """Bring ``below`` up to the samples that it has in the whole slice."""
            height, width = below.shape[2:]
            if self._window is None or tuple(size) != (2 * height, 2 * width):
                return upsampled(below, (size[0], size[1]))
            top, left, whole_height, whole_width = (length >> level for length in self._window)
            down = fractions(height, top, whole_height, self._dtype).to(self._device)
            across = fractions(width, left, whole_width, self._dtype).to(self._device)
            return doubled(below, slice(0, size[0]), down, across)

        encoded = [skips[2 * depth - encoder] for encoder in range(min(place, depth))]
        made: Tensor = self._network.step(place, features, encoded, up)
        return made

    def _brought(self, modulation: Modulation | None) -> Modulation | None:
        """``modulation`` on the device."""
        if modulation is None:
            return None
        brought: dict[str, Any] = {name: part.to(self._device) for name, part in modulation._asdict().items() if isinstance(part, Tensor)}
        return modulation._replace(**brought)

    def _exact(self) -> AbstractContextManager[None]:
        return exact() if self._device.type == "cuda" else nullcontext()

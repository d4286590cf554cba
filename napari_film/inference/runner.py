"""Runs a network over slices of prepared volumes under one plan; the same code for the viewer and the command line."""

import copy
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_film.checkpoint import Checkpoint
from napari_film.errors import InputError
from napari_film.inference.plan import Plan
from napari_film.inference.request import quantise
from napari_film.inference.tiling import run_tiled
from napari_film.models.film import FiLMParameters
from napari_film.models.unet import FiLMedUNet
from napari_film.preprocessing import Prepared

_KEPT_SLICES = 32  # neighbours on the network grid that source slices share where the spacing along N differs
_OVERLAP = 4  # tiles share 1 / 4 of their side


class OutOfMemory(Exception):
    """The device has no room for this plan; the next plan may fit."""


class Runner:
    """A network on its device, and the slices it is run on.

    Evaluates the generator once per condition. Keeps the network's last few slices, which source slices share.
    """

    def __init__(self, checkpoint: Checkpoint, prepared: Prepared, plan: Plan) -> None:
        self.plan = plan
        self._prepared = prepared
        self._device = torch.device(plan.device)
        self._checkpoint = checkpoint
        self._film: dict[tuple[float, ...], list[FiLMParameters | None]] = {}
        self._kept: OrderedDict[tuple[tuple[float, ...], int], NDArray[np.float32]] = OrderedDict()

    def run(self, condition: tuple[float, ...], indices: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Compute source slices under ``condition`` (M,): pairs of index and q (classes, H, W), in the order asked for.

        Raises
        ------
        OutOfMemory
            If the device has no room.
        InputError
            If the network's values are not numbers.
        """
        try:
            if condition not in self._film:
                with torch.inference_mode():
                    self._film[condition] = self._network.film(torch.tensor([condition], dtype=torch.float32, device=self._device))
            needed = dict.fromkeys(k for index in indices for k in self._prepared.network_slices(index))
            self._compute(condition, [k for k in needed if (condition, k) not in self._kept])
            for index in indices:
                parts = {k: self._kept[condition, k] for k in self._prepared.network_slices(index)}
                yield index, quantise(self._prepared.restore_slice(index, parts))
        except (RuntimeError, MemoryError) as error:
            raise_if_memory(error)
            raise
        while len(self._kept) > _KEPT_SLICES:
            self._kept.popitem(last=False)

    @cached_property
    def _network(self) -> FiLMedUNet:
        """The network on its device, from the first run on: a device without room for it is met there, and the next plan follows."""
        network = self._checkpoint.network
        return network if self.plan.device == "cpu" else copy.deepcopy(network).to(self._device)

    def _compute(self, condition: tuple[float, ...], slices: Sequence[int]) -> None:
        film = self._film[condition]
        tile = self._prepared.preprocessing.tile
        for start in range(0, len(slices), self.plan.batch):
            part = slices[start : start + self.plan.batch]
            images = np.stack([self._prepared.image(k) for k in part])
            if tile is not None and max(images.shape[2:]) > tile:
                overlap = tile // _OVERLAP
                pieces = [run_tiled(image, lambda x: self._forward(x[None], film)[0], tile=tile, overlap=overlap) for image in images]
                probabilities = np.stack(pieces)
            else:
                probabilities = self._forward(images, film)
            self._kept.update({(condition, k): probability for k, probability in zip(part, probabilities, strict=True)})

    def _forward(self, images: NDArray[np.float32], film: Sequence[FiLMParameters | None]) -> NDArray[np.float32]:
        """Probabilities (B, classes, h, w) of images (B, C, h, w); the batch is filled up and cut again."""
        count = len(images)
        if count < self.plan.batch:
            images = np.concatenate([images, np.repeat(images[-1:], self.plan.batch - count, axis=0)])
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self.plan.precision == "bfloat16"):
            batch = torch.from_numpy(images).to(self._device).contiguous(memory_format=torch.channels_last)
            logits: Tensor = self._network.logits(batch, film)
            probabilities: NDArray[np.float32] = torch.sigmoid(logits.float())[:count].cpu().numpy()
        if np.isnan(probabilities).any():
            raise InputError(
                f"{self._checkpoint.name} gives values that are not numbers for this image; check the image, or use another model."
            )
        return probabilities


def raise_if_memory(error: BaseException) -> None:
    """Raise OutOfMemory where ``error`` means that; torch says so in a RuntimeError's text on some devices."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        raise OutOfMemory(text) from error

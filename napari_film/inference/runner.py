"""Runs a network over slices of prepared volumes under one plan; the same code for the viewer and the command line."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from napari_film.errors import InputError
from napari_film.inference.loaded import LoadedModel, RunnableUNet
from napari_film.inference.plan import Plan
from napari_film.inference.request import quantise
from napari_film.inference.selfcheck import SelfCheck
from napari_film.inference.specialised import Front, Window
from napari_film.inference.tiling import run_tiled
from napari_film.models.position import Position
from napari_film.preprocessing import Prepared

_KEPT_SLICES = 32  # per condition: neighbours on the network grid that source slices share where the spacing along N differs
_OVERLAP = 4  # tiles share 1 / 4 of their side
# What torch and oneDNN say.
_NO_ROOM = ("out of memory", "can't allocate memory", "could not create a", "could not execute a primitive")
_preparing = ThreadPoolExecutor(1, thread_name_prefix="napari-film slices")  # its thread starts with the first GPU

Condition = tuple[float, ...]


class OutOfMemory(Exception):
    """The device has no room for this plan; the next plan may fit."""


class Runner:
    """A network on its device, and the slices it is run on.

    What no condition changes is computed once for conditions that ask for the same slices one after the other. A condition that
    is another one in each slice is run slice by slice.

    Parameters
    ----------
    model, prepared, plan
        What is run, on what, and how.
    check
        Where the plan's precision was chosen here: compares it with the other one until it is settled.

    Attributes
    ----------
    change
        Another plan and what to tell, once the check has settled that it should be used instead.
    """

    def __init__(self, model: LoadedModel, prepared: Prepared, plan: Plan, check: SelfCheck | None = None) -> None:
        self.plan = plan
        self.change: tuple[Plan, str] | None = None
        self._model = model
        self._prepared = prepared
        self._check = check
        self._schema = model.checkpoint.header.metadata_schema
        self._fronts: dict[str, tuple[tuple[tuple[int, ...], int], Front]] = {}  # the last of each precision
        self._coming: dict[int, Future[NDArray[np.float32]]] = {}
        self._kept: dict[Condition, OrderedDict[int, NDArray[np.float32]]] = {}

    def run(self, condition: Condition, indices: Sequence[int], ahead: Sequence[int] = ()) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Compute source slices under ``condition``, (M,) or (n · M,): pairs of index and q (classes, H, W), in the order asked for.

        Slices that are likely to be asked for next, ``ahead``, are prepared while a GPU is at work.

        Raises
        ------
        OutOfMemory
            If the device has no room.
        InputError
            If the network's values are not numbers, or the condition is for another count of slices.
        """
        self._at(condition, 0)
        kept = self._kept.setdefault(condition, OrderedDict())
        try:
            needed = dict.fromkeys(k for index in indices for k in self._prepared.network_slices(index))
            missing = [k for k in needed if k not in kept]
            self._prepare([*needed, *(k for index in ahead for k in self._prepared.network_slices(index))])
            fresh = []
            batch = self._batch(condition)
            for start in range(0, len(missing), batch):
                part = tuple(missing[start : start + batch])
                fresh.append((part, self._run(self.plan, condition, part)))
                if np.isnan(fresh[-1][1]).any():
                    self._refuse(condition, *fresh[-1])
                    return
                kept.update(zip(*fresh[-1], strict=True))
            for index in indices:
                parts = {k: kept[k] for k in self._prepared.network_slices(index)}
                yield index, quantise(self._prepared.restore_slice(index, parts))
            for part, probabilities in fresh:  # last: whoever waits for a slice does not wait for this
                self._compare(condition, part, probabilities)
        except (RuntimeError, MemoryError) as error:
            if is_memory(error):
                raise OutOfMemory(str(error)) from error
            raise
        shared = len(needed) > len(indices)
        while len(kept) > (_KEPT_SLICES if shared else 0):
            kept.popitem(last=False)

    def rest(self) -> None:
        """Let go of what can be computed again."""
        self._fronts.clear()
        self._kept.clear()
        self._coming.clear()
        self._model.rest()

    def _prepare(self, slices: Sequence[int]) -> None:
        """Begin with the images of network slices in a thread of its own, where a GPU leaves the CPU free."""
        if self.plan.device == "cpu":
            return
        wanted = dict.fromkeys(slices)
        for k in [k for k in self._coming if k not in wanted]:
            self._coming.pop(k).cancel()
        for k in wanted:
            if k not in self._coming:
                self._coming[k] = _preparing.submit(self._prepared.image, k)

    def _images(self, slices: Sequence[int]) -> NDArray[np.float32]:
        return np.stack([self._coming[k].result() if k in self._coming else self._prepared.image(k) for k in slices])

    def _refuse(self, condition: Condition, part: tuple[int, ...], probabilities: NDArray[np.float32]) -> None:
        """Go back to float32 where bfloat16 gave what is not a number, if it was chosen here; else say so."""
        if self.plan.precision != "float32":
            self._compare(condition, part, probabilities)
        if self.change is None:
            raise InputError(
                f"{self._model.checkpoint.name} gives values that are not numbers for this image; check the image, or use another model."
            )

    def _compare(self, condition: Condition, part: tuple[int, ...], probabilities: NDArray[np.float32]) -> None:
        """Hold slices with foreground against the other precision, and settle which of the two is used."""
        check = self._check
        if check is None:
            return
        exact, reduced = (self.plan.model_copy(update={"precision": name}) for name in ("float32", "bfloat16"))
        wanted = [check.wants(condition, k, image) for k, image in zip(part, probabilities, strict=True)]
        if self.change is None and any(wanted):
            try:
                pair = [probabilities, self._run(reduced if self.plan == exact else exact, condition, part)]
            except (RuntimeError, MemoryError) as error:
                if not is_memory(error):
                    raise
                check.failed = "there is no memory for both"  # a comparison that does not fit is no reason to stop
            else:
                for slices in zip(*(pair if self.plan == exact else reversed(pair)), strict=True):
                    check.compare(condition, *slices)
        if check.failed:
            self._check = None
            self._fronts.pop(reduced.precision, None)
            self._model.keep_only(exact)
            if self.plan == reduced:
                self.change = exact, f"bfloat16 does not agree with float32 on this image ({check.failed}); going on in float32."
        elif self.plan == exact and check.passed(condition):
            self.change = reduced, "Computed in bfloat16: its masks agree with those of float32 on slices of this image that were compared."

    def _run(self, plan: Plan, condition: Condition, part: tuple[int, ...]) -> NDArray[np.float32]:
        """Probabilities (B, classes, h, w) of network slices."""
        network = self._model.network(plan)
        if plan.tile is not None and max(self._prepared.padded_shape) > plan.tile:
            tiled = [self._run_tiles(network, plan.tile, self._at(condition, k), self._prepared.image(k)) for k in part]
            return np.stack(tiled) if len(tiled) > 1 else tiled[0][None]  # not a copy of a large image
        held = self._fronts.get(plan.precision)
        wanted = part, self._batch(condition)
        if held is None or held[0] != wanted:
            self._fronts.pop(plan.precision, None)
            images = self._images((*part, *part[-1:] * (wanted[1] - len(part))))
            held = self._fronts[plan.precision] = wanted, network.front(torch.from_numpy(images), position=self._position())
        probabilities: NDArray[np.float32] = network.probabilities(held[1], self._at(condition, part[0]))[: len(part)].cpu().numpy()
        return probabilities

    def _batch(self, condition: Condition) -> int:
        """Slices that are run at a time: those of a batch share one condition."""
        return 1 if self._schema.is_by_slice(condition) else self.plan.batch

    def _at(self, condition: Condition, k: int) -> Condition:
        """The condition (M,) of network slice ``k``."""
        return self._schema.at_slice(condition, k, self._prepared.network_shape[0])

    def _position(self, top: int = 0, left: int = 0) -> Position:
        """Where an image that begins at ``top`` and ``left`` of a network slice lies in the whole, which has no padding."""
        return Position(top, left, *self._prepared.network_shape[1:])

    def _run_tiles(self, network: RunnableUNet, tile: int, condition: Condition, image: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = image.shape[1:]
        overlap = tile // _OVERLAP
        divisor = self._model.checkpoint.header.architecture.divisor
        if height % divisor or width % divisor or tile - overlap < divisor:  # then a tile is an image of its own
            divisor = 1

        def run(piece: NDArray[np.float32], top: int, left: int) -> NDArray[np.float32]:
            window = Window(top, left, height, width) if divisor > 1 else None
            front = network.front(torch.from_numpy(piece[None]), window, self._position(top, left))
            result: NDArray[np.float32] = network.probabilities(front, condition)[0].cpu().numpy()
            return result

        return run_tiled(image, run, tile=tile, overlap=overlap, divisor=divisor)


def is_memory(error: BaseException) -> bool:
    """Whether ``error`` means that there is no room; torch says so in a RuntimeError's text on some devices."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in _NO_ROOM)

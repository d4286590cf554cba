"""Work on a GPU that is launched as a whole: recorded once as a CUDA graph, then replayed.

A U-Net of a hundred small kernels waits for Python to launch them; a graph launches them all at once.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor

from napari_film.inference.specialised import Front, SpecialisedUNet
from napari_film.inference.unit import Affine

_log = logging.getLogger(__name__)


class Recorded:
    """A function of fixed memory: it reads and writes tensors that stay where they are, and returns one.

    The first call runs it, so that nothing stands in the way of the first slice; the second records it and holds the replay
    against that run. Where recording fails, or the replay gives anything else, it is run each time.

    Parameters
    ----------
    work
        Takes nothing from the CPU, and gives a tensor on the GPU.
    """

    def __init__(self, work: Callable[[], Tensor]) -> None:
        self._work = work
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Tensor | None = None

    def __call__(self) -> Tensor:
        """Give the result; the next call may overwrite it."""
        self._calls += 1
        if self._graph is None or self._result is None:
            expected = self._work()
            if self._calls != 2:
                return expected
            self._record(expected.clone())
            return expected
        self._graph.replay()
        return self._result

    def _record(self, expected: Tensor) -> None:
        try:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):  # libraries make their choices here, outside of the recording
                self._work()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads, a viewer's say, may use the GPU meanwhile
                result = self._work()
            graph.replay()
            if torch.equal(result, expected):
                self._graph, self._result = graph, result
            else:
                _log.warning("a recorded network gave another result than the network; it is run step by step")
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            _log.warning("the network cannot be recorded (%s); it is run step by step", error)


class RecordedUNet(SpecialisedUNet):
    """A specialised network on an NVIDIA GPU; results come from replays once a shape of images was met twice."""

    def rest(self) -> None:
        """Let the buffers go, with what was recorded in them, and the last front."""
        super().rest()
        self._made: Front | None = None
        self._static: list[Affine] = []
        self._fronts: Recorded | None = None
        self._rests: Recorded | None = None

    def _brought(self, images: Tensor) -> Tensor:
        if self._images.shape != images.shape:
            shape = tuple(images.shape)
            self._images = torch.empty(shape, dtype=self._dtype, device=self._device, memory_format=torch.channels_last)
        return self._images.copy_(images.pin_memory(), non_blocking=True)

    def _compute_front(self) -> Front:
        if self._fronts is None:
            self._fronts = Recorded(self._make_front)
        with exact():
            (self._make_front if self._window else self._fronts)()  # a tile's place is part of what would be recorded
        if self._made is None:
            raise RuntimeError("a recording left no front behind")
        return replace(self._made)  # another object in the same memory: whoever holds the last one is told

    def _make_front(self) -> Tensor:
        self._made = super()._compute_front()
        return self._made.features

    def _compute(self, front: Front, affines: Sequence[Affine]) -> Tensor:
        if not self._static:
            self._static = [Affine(*(part.clone() for part in affine)) for affine in affines]
        for fixed, affine in zip(self._static, affines, strict=True):
            for to, part in zip(fixed, affine, strict=True):
                to.copy_(part)
        if self._rests is None:
            self._rests = Recorded(self._make_rest)
        with exact():
            return (self._make_rest if self._window else self._rests)().clone()

    def _make_rest(self) -> Tensor:
        if self._made is None:
            raise RuntimeError("there is no front")
        return super()._compute(self._made, self._static)


def exact() -> AbstractContextManager[None]:
    """float32 that is float32, and the same result each time."""
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    return flags

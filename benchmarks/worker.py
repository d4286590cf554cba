"""The process of one side: ``python -m benchmarks.worker WORK_AS_JSON``.

Builds what it is to do, then answers each line of stdin with a line of JSON:

- ``round``: seconds of a step, of its front, and page faults
- ``save PATH``: what the step computes, as .npy
- ``memory``: bytes after importing, and at the peak so far
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.machine import peak_memory
from benchmarks.settings import one_hot
from benchmarks.side import Memory, Round, Work
from benchmarks.textbook import TextbookUNet
from napari_film.checkpoint import load_checkpoint
from napari_film.inference.specialised import SpecialisedUNet
from napari_film.models.unet import ConditionedUNet

Step = Callable[[], tuple[Tensor, float]]
"""Does the work once; gives what it computed, and when its front was done (``time.perf_counter``)."""


def main() -> None:
    """Answer until stdin ends."""
    imported = peak_memory()
    work = Work.model_validate_json(sys.argv[1])
    step = _step(work)
    _say(threads=torch.get_num_threads())
    for line in sys.stdin:
        word, _, argument = line.strip().partition(" ")
        if word == "round":
            _say(**_round(step, work.steps).model_dump())
        elif word == "save":
            np.save(Path(argument), step()[0].float().numpy())
            _say()
        else:
            _say(**Memory(imported=imported, peak=peak_memory()).model_dump())


def _round(step: Step, steps: int) -> Round:
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    total = front = 0.0
    for _ in range(steps):
        start = time.perf_counter()
        _, middle = step()
        total += time.perf_counter() - start
        front += middle - start
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    return Round(seconds=total / steps, front=front / steps, faults=faults / steps)


def _step(work: Work) -> Step:
    if work.kind == "ceiling":
        return _ceiling(work)
    if work.checkpoint is None:
        raise ValueError(f"{work.kind} needs a checkpoint")
    network = load_checkpoint(work.checkpoint).network
    noise = np.random.default_rng(0).standard_normal((work.batch, network.architecture.channels, work.height, work.width), np.float32)
    return (_textbook if work.kind == "textbook" else _ours)(work, network, torch.from_numpy(noise))


def _ceiling(work: Work) -> Step:
    dtype = torch.bfloat16 if work.precision == "bfloat16" else torch.float32
    torch.manual_seed(0)
    image, weight = (
        torch.randn(shape, dtype=dtype).contiguous(memory_format=torch.channels_last) for shape in ((1, 256, 128, 128), (256, 256, 3, 3))
    )

    @torch.inference_mode()
    def step() -> tuple[Tensor, float]:
        return functional.conv2d(image, weight, padding=1), time.perf_counter()

    return step


def _textbook(work: Work, network: ConditionedUNet, images: Tensor) -> Step:
    textbook = TextbookUNet(network)
    if work.channels_last:
        textbook, images = textbook.channels_last(), images.contiguous(memory_format=torch.channels_last)
    conditions = torch.tensor([one_hot(network.architecture.condition)]).expand(work.batch, -1)

    @torch.inference_mode()
    def step() -> tuple[Tensor, float]:
        return textbook(images, conditions), time.perf_counter()

    return step


def _ours(work: Work, network: ConditionedUNet, images: Tensor) -> Step:
    specialised = SpecialisedUNet(network, precision=work.precision)
    conditions = [one_hot(network.architecture.condition, hot) for hot in range(work.values)]

    def step() -> tuple[Tensor, float]:
        front = specialised.front(images)
        middle = time.perf_counter()
        for condition in conditions:
            probabilities = specialised.probabilities(front, condition)
        return probabilities, middle

    return step


def _say(**answer: float) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

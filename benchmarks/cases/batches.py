"""Time of a slice on a CPU in batches of 1, 2, 4 and 8: what the plan's batch is chosen by.

Each batch size has a process of its own, and they run in turn.
"""

import math
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from benchmarks.figures import Figure, memory_figure, ratio_figure, time_figure
from benchmarks.files import write_checkpoint
from benchmarks.settings import Setting, convolution_flop
from benchmarks.side import Work, interleave, start
from napari_film.bundled import bundled_checkpoints
from napari_film.header import read_header

_BATCHES = (1, 2, 4, 8)
_ROUND_FLOP = 4e10  # a round of a small network repeats it until it did about this much
_PRECISIONS: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")


def run_setting(setting: Setting, *, quick: bool) -> tuple[list[Figure], list[str]]:
    """Measure a network of ``setting``."""
    with tempfile.TemporaryDirectory() as folder:
        return _run(write_checkpoint(setting, Path(folder)), setting.words, setting.height, setting.width, quick=quick)


def run_bundled(model: str, *, height: int, width: int, quick: bool) -> tuple[list[Figure], list[str]]:
    """Measure the demo model of that name with slices of ``height`` x ``width``, as its bundled subject has them."""
    return _run(bundled_checkpoints()[model], f"{model}, {height} x {width}", height, width, quick=quick)


def _run(checkpoint: Path, words: str, height: int, width: int, *, quick: bool) -> tuple[list[Figure], list[str]]:
    flop = convolution_flop(read_header(checkpoint).architecture, height, width)
    figures: list[Figure] = []
    for precision in _PRECISIONS:
        works = {
            str(batch): Work(
                kind="ours",
                checkpoint=checkpoint,
                height=height,
                width=width,
                batch=batch,
                precision=precision,
                steps=math.ceil(_ROUND_FLOP / flop / batch),
            )
            for batch in _BATCHES
        }
        with ExitStack() as stack:
            sides = start(stack, works)
            rounds = interleave(sides, 3 if quick else 11)
            memory = {name: side.memory() for name, side in sides.items()}
        a_slice = {batch: [answer.seconds / batch for answer in rounds[str(batch)]] for batch in _BATCHES}
        for batch in _BATCHES[1:]:
            figures.append(ratio_figure(f"{precision}, batch {batch}: a slice against batch 1, times as fast", a_slice[1], a_slice[batch]))
        figures += [time_figure(f"{precision}, batch {batch}: a slice", a_slice[batch]) for batch in _BATCHES]
        figures += [memory_figure(f"{precision}, batch {batch}: peak of its process", memory[str(batch)].peak) for batch in _BATCHES]
    return figures, [f"{words}: {flop / 1e9:.2f} GFLOP a slice."]

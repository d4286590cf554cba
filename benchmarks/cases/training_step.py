"""A training step against the textbook's, on the same recipe and the same slices: batch made, forward, backward, Adam.

The textbook is the public code's structure (`benchmarks.textbook`, `benchmarks.pupil`): NCHW float32, γ and β at full size, each slice
distorted by itself, no worker. Its slices are ours: the same cache and augmentation. Ours is the module of `fit` on Lightning's Trainer.
"""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, memory_figure, ratio_figure, time_figure
from benchmarks.lesson import Lesson
from benchmarks.settings import Setting
from benchmarks.side import Side, interleave, seconds

_PEER = "textbook"
_KEPT = "textbook, memory kept"


def run(setting: Setting, *, batch: int, quick: bool, steps: int = 1, faster: Mapping[str, float]) -> tuple[list[Figure], list[str]]:
    """Compare in turn.

    Parameters
    ----------
    setting
        The network and its slices.
    batch, steps
        Slices a step, and steps a round.
    faster
        How many times faster than the textbook each precision is to be.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        lesson = Lesson(kind="textbook", setting=setting, batch=batch, steps=steps, folder=Path(name))
        sides = {_PEER: stack.enter_context(Side(lesson)), _KEPT: stack.enter_context(Side(lesson, memory_kept=True))}
        for precision in ("float32", "bfloat16"):
            ours = lesson.model_copy(update={"kind": "ours", "precision": precision})
            sides[f"ours {precision}"] = stack.enter_context(Side(ours))
        rounds = interleave(sides, 3 if quick else 11)
        memory = {name: side.memory() for name, side in sides.items()}
        threads = sides[_PEER].threads
    times = {name: seconds(answers) for name, answers in rounds.items()}
    figures = []
    for precision in ("float32", "bfloat16"):
        ours_took = times[f"ours {precision}"]
        what = f"ours {precision}, times as fast as"
        figures.append(ratio_figure(f"{what} textbook", times[_PEER], ours_took, at_least=faster.get(precision)))
        figures.append(ratio_figure(f"{what} {_KEPT}", times[_KEPT], ours_took))
    figures += [time_figure(f"{name}, a step", took) for name, took in times.items()]
    figures += [memory_figure(f"{name}, peak of its process", taken.peak) for name, taken in memory.items()]
    faults = ", ".join(f"{name} {np.median([answer.faults for answer in rounds[name]]):.0f}" for name in times)
    batches = ", ".join(f"{name} {1000 * np.median([answer.front for answer in rounds[name]]):.1f}" for name in times)
    return figures, [
        f"{setting.words}, batch {batch}, {threads} threads; {3 * setting.flop * batch / 1e9:.0f} GFLOP of convolutions a step.",
        f"Of a step, waiting for its batch, ms: {batches}.",
        f"Page faults a step: {faults}.",
    ]

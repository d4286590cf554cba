"""One slice against the textbook network and against the machine's convolution ceiling, FiLM everywhere.

All sides run in turn (`benchmarks.side`). They are checked to give the same probabilities before they are timed. An image is
given as it comes (NCHW, float32), but to the textbook in channels_last already so.
"""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, difference_figure, memory_figure, rate_figure, ratio_figure, time_figure
from benchmarks.files import write_checkpoint
from benchmarks.settings import CEILING_FLOP, Setting
from benchmarks.side import Side, Work, interleave, seconds, start

_SAME = 1e-5
_CEILING_STEPS = 4  # a round of the ceiling then takes about as long as one of a network
_PEER = "textbook"


def run(
    setting: Setting, *, quick: bool, memory_kept: bool = False, faster: Mapping[str, float] | None = None, share: float | None = None
) -> tuple[list[Figure], list[str]]:
    """Compare in turn.

    Parameters
    ----------
    setting
        The network and its slices.
    memory_kept
        Whether glibc is told to keep freed memory, in all sides alike.
    faster
        How many times faster than the textbook each precision is to be; None for no claim.
    share
        Percent of the float32 ceiling to reach; None for no claim.
    """
    faster = faster or {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        checkpoint = write_checkpoint(setting, Path(folder))
        network = {"checkpoint": checkpoint, "height": setting.height, "width": setting.width}
        works = {
            _PEER: Work(kind="textbook", **network),
            "textbook channels_last": Work(kind="textbook", channels_last=True, **network),
            "ours float32": Work(kind="ours", **network),
            "ours bfloat16": Work(kind="ours", precision="bfloat16", **network),
            "ceiling float32": Work(kind="ceiling", steps=_CEILING_STEPS),
            "ceiling bfloat16": Work(kind="ceiling", precision="bfloat16", steps=_CEILING_STEPS),
        }
        sides = start(stack, works, memory_kept=memory_kept)
        figures = _differences(sides, Path(folder))
        rounds = interleave(sides, 3 if quick else 15)
        memory = {name: side.memory() for name, side in sides.items()}
        threads = sides[_PEER].threads
    times = {name: seconds(answers) for name, answers in rounds.items()}
    for precision in ("float32", "bfloat16"):
        ours = times[f"ours {precision}"]
        figures.append(ratio_figure(f"ours {precision}, times as fast as textbook", times[_PEER], ours, at_least=faster.get(precision)))
        figures.append(ratio_figure(f"ours {precision}, times as fast as textbook channels_last", times["textbook channels_last"], ours))
    claims = {"ours float32": ("float32", share), "ours bfloat16": ("bfloat16", None), _PEER: ("float32", None)}
    for name, (precision, claim) in claims.items():
        part = setting.flop / CEILING_FLOP
        what = f"{name}, share of the {precision} ceiling"
        figures.append(ratio_figure(what, times[f"ceiling {precision}"], times[name], factor=part, unit="%", at_least=claim))
    for name, found in times.items():
        figures.append(time_figure(name, found) if "ceiling" not in name else rate_figure(name, CEILING_FLOP, found))
    for name, taken in memory.items():
        if "ceiling" not in name:
            figures.append(memory_figure(f"{name}, peak of its process", taken.peak))
            figures.append(memory_figure(f"{name}, of it beyond what importing took", taken.peak - taken.imported))
    faults = ", ".join(f"{name} {np.median([answer.faults for answer in rounds[name]]):.0f}" for name in times)
    return figures, [
        f"{setting.words}: {setting.flop / 1e9:.0f} GFLOP a slice, {threads} threads; "
        + ("glibc keeps memory, on all sides." if memory_kept else "no allocator setting on any side."),
        f"Page faults a step: {faults}.",
    ]


def _differences(sides: Mapping[str, Side], folder: Path) -> list[Figure]:
    """How far the probabilities of each side are from the textbook's."""
    found = {}
    for name, side in sides.items():
        if side.work.kind != "ceiling":
            side.save(folder / "probabilities.npy")
            found[name] = np.load(folder / "probabilities.npy")
    reference = found.pop(_PEER)
    return [
        difference_figure(
            f"{name}, largest difference to textbook",
            float(np.abs(probabilities - reference).max()),
            at_most=None if "bfloat16" in name else _SAME,
        )
        for name, probabilities in found.items()
    ]

"""A whole volume on the command line, from the start of the process to its end, against the network's own time for its slices.

The network's time is the median of single slices that the network runs right before and after the volume, in a process of its
own that does nothing else and in the precision of the volume's plan, times the number of slices on the network grid. What
lies between is the start of Python and torch, loading the checkpoint (300 MB), reading, normalising, resampling, the check of
the precision, restoring and writing.
"""

import json
import statistics
import tempfile
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from benchmarks.command import predict
from benchmarks.figures import Figure, memory_figure, ratio_figure, time_figure
from benchmarks.files import write_checkpoint, write_scan
from benchmarks.settings import DEPTH_5, FIELD, VALUES
from benchmarks.side import Work, interleave, seconds, start
from napari_film import read
from napari_film.preprocessing import prepare

_MOST = 1.25
_QUICK = 4  # of the slices, one in so many
_WORDS = ("--metadata", f"{FIELD}={VALUES[0]}")


class Scan(BaseModel, frozen=True):
    """A scan of ``shape`` (I, J, K) voxels of ``spacing`` mm, and the spacing ``to`` which the model wants it; None keeps its own."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    to: float | None = None


NATIVE = Scan(shape=(512, 512, 64), spacing=(0.8, 0.8, 2.0))
RESAMPLED = Scan(shape=(512, 512, 21), spacing=(0.8, 0.8, 3.0), to=1.0)
"""63 slices of 410 x 410 on the network grid."""


def run(scan: Scan, *, precision: Literal["float32", "auto"], quick: bool) -> tuple[list[Figure], list[str]]:
    """Segment a scan with a network of depth 5 and width 64."""
    setting = DEPTH_5.model_copy(update={"spacing": scan.to, "certain": True})
    i, j, k = scan.shape
    words = [*_WORDS, "--precision", precision]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = write_checkpoint(setting, folder)
        image = write_scan(folder / "scan.nii.gz", (i, j, k // _QUICK if quick else k), scan.spacing)
        few = write_scan(folder / "few.nii.gz", (i, j, 2), scan.spacing)
        mask = folder / "mask.nii.gz"
        prepared = prepare([read(image)], setting.header.preprocessing)
        slices = prepared.network_shape[0]
        height, width = prepared.padded_shape
        work = Work(kind="ours", checkpoint=checkpoint, height=height, width=width)
        works = {"float32": work} | ({"bfloat16": work.model_copy(update={"precision": "bfloat16"})} if precision == "auto" else {})
        predict([few], model=checkpoint, output=mask, words=words)  # the files are in the system's cache from here on
        with ExitStack() as stack:
            networks = start(stack, works)
            count = 2 if quick else 8
            between = [interleave(networks, count)]
            ended = []
            for _ in range(1 if quick else 3):
                ended.append(predict([image], model=checkpoint, output=mask, words=words))
                between.append(interleave(networks, count))
        plan = json.loads((folder / "mask.json").read_text())["Plan"]
    single = [seconds(rounds[plan["precision"]]) for rounds in between]
    wall = [end.seconds for end in ended]
    own = [slices * statistics.median([*before, *after]) for before, after in pairwise(single)]
    figures = [
        ratio_figure("command line / the network's own time", wall, own, at_most=None if quick else _MOST),
        time_figure(f"command line, {slices} network slices", wall),
        time_figure(f"the network alone, one slice of {height} x {width}", [value for run in single for value in run]),
        time_figure(f"the network alone, {slices} slices", own),
        time_figure("what else there is", [value - network for value, network in zip(wall, own, strict=True)]),
        memory_figure("command line, peak", max(end.peak for end in ended)),
    ]
    shape = " x ".join(map(str, prepared.reference.data.shape))
    spacing = " x ".join(f"{mm:g}" for mm in scan.spacing)
    notes = [
        f"{shape} voxels of {spacing} mm, int16 .nii.gz; on the network grid {slices} slices of {height} x {width}.",
        f"Depth {setting.depth}, width {setting.features}; plan {plan}.",
    ]
    if quick:
        notes.append("Quick: a quarter of the slices, so the start weighs four times as much; nothing is claimed.")
    return figures, notes

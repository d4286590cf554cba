"""A whole volume on the command line, from the start of the process to its end, against the network's own time for its slices.

The network's time is the median of single slices that the network runs before, between and after the volumes, in a process
of its own that does nothing else, times the number of slices on the network grid. What lies between is the start of Python
and torch, loading the checkpoint (300 MB), reading, normalising, resampling, restoring and writing.
"""

import json
import statistics
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from benchmarks.command import predict
from benchmarks.figures import Figure, memory_figure, ratio_figure, time_figure
from benchmarks.files import write_checkpoint, write_scan
from benchmarks.settings import DEPTH_5, FIELD, VALUES
from benchmarks.side import Side, Work
from napari_film import read
from napari_film.preprocessing import prepare

_MOST = 1.25
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
    setting = DEPTH_5.model_copy(update={"spacing": scan.to})
    i, j, k = scan.shape
    words = [*_WORDS, "--precision", precision]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = write_checkpoint(setting, folder)
        image = write_scan(folder / "scan.nii.gz", (i, j, k // 8 if quick else k), scan.spacing)
        few = write_scan(folder / "few.nii.gz", (i, j, 2), scan.spacing)
        mask = folder / "mask.nii.gz"
        prepared = prepare([read(image)], setting.header.preprocessing)
        slices = prepared.network_shape[0]
        height, width = prepared.padded_shape
        predict([few], model=checkpoint, output=mask, words=words)  # warms the files up, and tells the plan
        plan = json.loads((folder / "mask.json").read_text())["Plan"]
        with Side(Work(kind="ours", checkpoint=checkpoint, height=height, width=width, precision=plan["precision"])) as network:
            single = _network(network, quick)
            ended = []
            for _ in range(1 if quick else 3):
                ended.append(predict([image], model=checkpoint, output=mask, words=words))
                single += _network(network, quick)
        plans = {plan["precision"], json.loads((folder / "mask.json").read_text())["Plan"]["precision"]}
    wall = [end.seconds for end in ended]
    own = slices * statistics.median(single)
    figures = [
        ratio_figure("command line / the network's own time", wall, [own] * len(wall), at_most=None if quick else _MOST),
        time_figure(f"command line, {slices} network slices", wall),
        time_figure(f"the network alone, one slice of {height} x {width}", single),
        time_figure(f"the network alone, {slices} slices", [own]),
        time_figure("what else there is", [value - own for value in wall]),
        memory_figure("command line, peak", max(end.peak for end in ended)),
    ]
    shape = " x ".join(map(str, prepared.reference.data.shape))
    spacing = " x ".join(f"{mm:g}" for mm in scan.spacing)
    notes = [
        f"{shape} voxels of {spacing} mm, int16 .nii.gz; on the network grid {slices} slices of {height} x {width}.",
        f"Depth {setting.depth}, width {setting.features}; plan {plan}.",
    ]
    if len(plans) > 1:
        notes.append("The volume ran in another precision than the network alone: the ratio compares unequal things.")
    if quick:
        notes.append("Quick: an eighth of the slices, so the start weighs eight times as much; nothing is claimed.")
    return figures, notes


def _network(network: Side, quick: bool) -> list[float]:
    """Seconds of single slices, after one that is not counted."""
    network.round()
    return [network.round().seconds for _ in range(2 if quick else 8)]

"""Peak memory of the command line with all three condition values of a large volume.

    to reach: the input as int16 + 3 bytes a voxel and class + the engine's peak over one slice + 0.3 GB

The engine's peak is that of a process that loads the same checkpoint and runs one slice of it, and does nothing else.
"""

import math
import tempfile
from pathlib import Path

from benchmarks.command import predict
from benchmarks.figures import Figure, memory_figure, ratio_figure, time_figure
from benchmarks.files import write_checkpoint, write_scan
from benchmarks.settings import VALUES, Setting
from benchmarks.side import Side, Work

_BESIDES = 0.3e9  # bytes
_INT16 = 2


def run(setting: Setting, *, quick: bool) -> tuple[list[Figure], list[str]]:
    """Segment a volume of 300 slices (100 in a quick run) under all three values, in float32."""
    shape = (setting.height, setting.width, 100 if quick else 300)
    voxels = math.prod(shape)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = write_checkpoint(setting, folder)
        scan = write_scan(folder / "scan.nii.gz", shape, (0.8, 0.8, 1.0))
        with Side(Work(kind="ours", checkpoint=checkpoint, height=setting.height, width=setting.width, values=len(VALUES))) as network:
            network.round()
            one = network.memory()
        ended = predict([scan], model=checkpoint, output=folder / "mask.nii.gz", words=["--all-values", "--precision", "float32"])
    kept = len(VALUES) * voxels
    limit = _INT16 * voxels + kept + one.peak + _BESIDES
    figures = [
        ratio_figure("peak / what it is to stay within", [ended.peak], [limit], unit="%", at_most=100),
        memory_figure("command line with --all-values, peak", ended.peak, at_most=limit),
        memory_figure("of the limit: input, int16", _INT16 * voxels),
        memory_figure(f"of the limit: {len(VALUES)} bytes a voxel and class", kept),
        memory_figure("of the limit: the engine's peak over one slice", one.peak),
        memory_figure("of the limit: besides", _BESIDES),
        time_figure("command line with --all-values", [ended.seconds]),
    ]
    size = " x ".join(map(str, shape))
    return figures, [f"{size} voxels, int16 .nii.gz, native spacing; {setting.words}, FiLM everywhere."]

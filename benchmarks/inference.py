"""Time of one slice and of one volume with the demo models, on this machine's CPU.

A slice is prepared, run and restored, as the viewer does it; a volume is segmented by the command line, from start to exit.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from napari_film import load_checkpoint, read
from napari_film.bundled import bundled_checkpoints
from napari_film.inference.plan import Plan
from napari_film.inference.runner import Runner
from napari_film.preprocessing import prepare

_VOLUMES = Path(__file__).resolve().parents[1] / "sample_data" / "volumes"
_SUBJECTS = {
    "spinal_tumor": ("sub-003/anat/sub-003_ce-gadolinium_T1w.nii.gz", "sub-003/anat/sub-003_T2w.nii.gz"),
    "abdomen": ("sub-001/ct/sub-001_ct.nii.gz",),
}
_WARM_UP, _RUNS = 3, 30


@dataclass(frozen=True)
class Timing:
    """Seconds: median and minimum of several runs."""

    what: str
    median: float
    minimum: float
    runs: int


def time_slice(model: str) -> Timing:
    """Time one middle slice of the bundled subject."""
    checkpoint = load_checkpoint(bundled_checkpoints()[model])
    volumes = [read(_VOLUMES / model / path) for path in _SUBJECTS[model]]
    prepared = prepare(volumes, checkpoint.header.preprocessing)
    schema = checkpoint.header.metadata_schema
    condition = tuple(float(column) for column in schema.encode({field.name: field.default for field in schema}))
    middle = prepared.shape[0] // 2
    seconds = []
    for _ in range(_WARM_UP + _RUNS):
        runner = Runner(checkpoint, prepared, Plan(device="cpu"))  # a new one: a runner keeps the slices that it has seen
        start = time.perf_counter()
        list(runner.run(condition, [middle]))
        seconds.append(time.perf_counter() - start)
    counted = seconds[_WARM_UP:]
    height, width = prepared.padded_shape
    return Timing(f"{model}: one slice, {height} x {width}", statistics.median(counted), min(counted), _RUNS)


def time_command_line(model: str, runs: int = 5) -> Timing:
    """Time `napari-film predict` on the bundled subject, process start and writing included."""
    schema = load_checkpoint(bundled_checkpoints()[model]).header.metadata_schema
    metadata = [word for field in schema for word in ("--metadata", f"{field.name}={field.default}")]
    images = [str(_VOLUMES / model / path) for path in _SUBJECTS[model]]
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        words = [*images, "--model", model, *metadata, "--device", "cpu", "--output", str(Path(folder) / "mask.nii.gz")]
        for _ in range(1 + runs):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", "from napari_film.cli import main; main()", "predict", *words], check=True, capture_output=True
            )
            seconds.append(time.perf_counter() - start)
    slices = prepare([read(image) for image in images], load_checkpoint(bundled_checkpoints()[model]).header.preprocessing).shape[0]
    return Timing(f"{model}: command line, {slices} slices", statistics.median(seconds[1:]), min(seconds[1:]), runs)

"""The demo models on their bundled phantoms: one slice, and the volume on the command line.

A slice is prepared, run and restored in float32, by a predictor that has run before; the command line chooses its precision,
and most of its time is importing torch.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.command import predict
from benchmarks.figures import Figure, memory_figure, time_figure
from benchmarks.side import REPOSITORY
from napari_film import read
from napari_film.bundled import bundled_checkpoints
from napari_film.fields import Value
from napari_film.header import Header, read_header
from napari_film.preprocessing import prepare

_VOLUMES = REPOSITORY / "sample_data" / "volumes"
_SUBJECTS = {
    "spinal_tumor": ("sub-003/anat/sub-003_ce-gadolinium_T1w.nii.gz", "sub-003/anat/sub-003_T2w.nii.gz"),
    "abdomen": ("sub-001/ct/sub-001_ct.nii.gz",),
}
_WARM_UP = 3


def run(model: str, *, quick: bool) -> tuple[list[Figure], list[str]]:
    """Measure one of the demo models."""
    images = [_VOLUMES / model / path for path in _SUBJECTS[model]]
    header = read_header(bundled_checkpoints()[model])
    prepared = prepare([read(image) for image in images], header.preprocessing)
    height, width = prepared.padded_shape
    words = [word for name, value in _defaults(header).items() for word in ("--metadata", f"{name}={value}")]
    with tempfile.TemporaryDirectory() as folder:
        mask = Path(folder) / "mask.nii.gz"
        ended = [predict(images, model=model, output=mask, words=words) for _ in range(1 + (1 if quick else 7))][1:]
    slices = _slices(model, images, runs=5 if quick else 30)
    return [
        time_figure(f"one slice, {header.architecture.channels} x {height} x {width}: prepared, run, restored", slices),
        time_figure(f"command line, {prepared.shape[0]} slices", [end.seconds for end in ended]),
        memory_figure("command line, peak", max(end.peak for end in ended)),
    ], [f"{model}, metadata {', '.join(f'{name}={value}' for name, value in _defaults(header).items())}."]


def _slices(model: str, images: list[Path], runs: int) -> list[float]:
    """Seconds of the middle slice, ``runs`` times after a warm-up."""
    from napari_film import Predictor, load_checkpoint  # and torch, which a process that starts others is better without

    checkpoint = load_checkpoint(bundled_checkpoints()[model])
    predictor = Predictor(checkpoint, device="cpu", precision="float32")
    prepared = predictor.prepare([read(image) for image in images])
    metadata = _defaults(checkpoint.header)
    seconds = []
    for _ in range(_WARM_UP + runs):
        start = time.perf_counter()
        predictor.predict(prepared, metadata, order=[prepared.shape[0] // 2])
        seconds.append(time.perf_counter() - start)
    return seconds[_WARM_UP:]


def _defaults(header: Header) -> dict[str, Value]:
    return {field.name: field.default for field in header.metadata_schema}

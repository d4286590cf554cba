"""`napari-film predict` as a person starts it: wall clock from the start of the process to its end, and its peak memory."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from benchmarks.machine import maxrss_bytes
from benchmarks.side import REPOSITORY, environment


class Ended(BaseModel, frozen=True):
    """Seconds, and bytes at the peak."""

    seconds: float
    peak: int


def predict(images: Sequence[Path], *, model: str | Path, output: Path, words: Sequence[str]) -> Ended:
    """Segment ``images`` on the CPU, with further ``words``.

    Raises
    ------
    RuntimeError
        With what it said, if it failed.
    """
    program = [sys.executable, "-c", "from napari_film.cli import main; main()", "predict"]
    options = ["--model", str(model), "--output", str(output), "--device", "cpu", *words]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*program, *map(str, images), *options],
        cwd=REPOSITORY,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None  # it was asked for
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"napari-film predict ended with code {process.returncode}: {said.strip()[-500:]}")
    return Ended(seconds=seconds, peak=maxrss_bytes(usage))

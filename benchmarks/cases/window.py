"""What a person meets in the window: the figures of `benchmarks.dock`, `benchmarks.swap` and `benchmarks.responsiveness`.

Where there is no display they run on one in memory, if the machine has `xvfb-run`.
"""

import os
import shutil
import subprocess
import sys

from benchmarks.figures import FIGURES, Figure, time_figure
from benchmarks.side import REPOSITORY, environment

_DISPLAY = ("xvfb-run", "-a", "-s", "-screen 0 1400x900x24")


def run(module: str, name: str, *, quick: bool, processes: int = 1) -> tuple[list[Figure], list[str]]:
    """Run the function ``name`` of ``benchmarks.<module>``; what happens once in a process is timed in several."""
    found = [_process(module, name, quick=quick) for _ in range(2 if quick and processes > 1 else processes)]
    if processes == 1:
        return found[0], []
    return [
        time_figure(figures[0].what, [figure.median / 1000 for figure in figures], at_most=figures[0].at_most)
        for figures in zip(*found, strict=True)
    ], []


def _process(module: str, name: str, *, quick: bool) -> list[Figure]:
    needs_display = sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
    display = _DISPLAY if needs_display and shutil.which(_DISPLAY[0]) else ()
    words = [*display, sys.executable, "-m", f"benchmarks.{module}", name, *(["--quick"] if quick else [])]
    ended = subprocess.run(words, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
    return FIGURES.validate_json(ended.stdout.splitlines()[-1])

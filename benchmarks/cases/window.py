"""What a person waits for in the window (`benchmarks.dock`): the medians that it prints, as figures.

Where there is no display it runs on one in memory, if the machine has `xvfb-run`.
"""

import json
import os
import shutil
import subprocess
import sys

from benchmarks.figures import Figure
from benchmarks.side import REPOSITORY, environment

_DISPLAY = ("xvfb-run", "-a", "-s", "-screen 0 1400x900x24")
_OPENING = 300.0  # ms that the dock takes beyond an empty one of napari's


def run(name: str, *, quick: bool) -> tuple[list[Figure], list[str]]:
    """Run the function ``name`` of `benchmarks.dock`; a quick run is no shorter."""
    needs_display = sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
    display = _DISPLAY if needs_display and shutil.which(_DISPLAY[0]) else ()
    words = [*display, sys.executable, "-m", "benchmarks.dock", name]
    found = subprocess.run(words, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
    medians = json.loads(found.stdout.splitlines()[-1])
    claims = {"beyond napari": _OPENING, "drawn": medians.get("allowed")}
    return [Figure(kind="time", what=what, unit="ms", median=median, at_most=claims.get(what)) for what, median in medians.items()], []

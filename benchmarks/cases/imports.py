"""What the manifest's commands import before a model is loaded: time in a fresh interpreter, and whether torch was among it.

``tests/test_layering.py`` and the plugin's tests keep torch out; here it is only told.
"""

import json
import subprocess
import sys

from benchmarks.figures import Figure, time_figure
from benchmarks.side import REPOSITORY, environment

_MODULES = {
    "reader": ("napari", "napari_film.plugin.reader"),
    "dock": ("napari.viewer", "napari_film.plugin.segment_widget"),
    "command line": ("sys", "napari_film.cli"),
}
_CODE = """
import importlib, json, sys, time
before, module = sys.argv[1:]
importlib.import_module(before)
start = time.perf_counter()
importlib.import_module(module)
print(json.dumps([time.perf_counter() - start, "torch" in sys.modules]))
"""


def run(*, quick: bool) -> tuple[list[Figure], list[str]]:
    """Import each a few times, after what is loaded already when napari asks for it."""
    figures, with_torch = [], []
    for what, (before, module) in _MODULES.items():
        answers = [_import(before, module) for _ in range(1 + (2 if quick else 9))][1:]
        figures.append(time_figure(f"import {module}" + (f", after {before}" if before != "sys" else ""), [time for time, _ in answers]))
        with_torch += [what] if any(torch for _, torch in answers) else []
    return figures, [f"torch was imported by: {', '.join(with_torch)}." if with_torch else "None of them imports torch."]


def _import(before: str, module: str) -> tuple[float, bool]:
    words = [sys.executable, "-c", _CODE, before, module]
    found = subprocess.run(words, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=True)
    seconds, torch = json.loads(found.stdout.splitlines()[-1])
    return float(seconds), bool(torch)

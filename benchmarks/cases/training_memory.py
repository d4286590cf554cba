"""Memory of the training data: 1,000 volumes are not to need more than 10."""

import json
import subprocess
import sys
import tempfile

from benchmarks.figures import Figure, memory_figure, time_figure
from benchmarks.side import REPOSITORY, environment

_COUNTS, _QUICK_COUNTS = (10, 100, 1000), (10, 100)
_MORE = 20e6  # bytes: the names, hashes and numbers of slices of a thousand cases


def run(*, quick: bool) -> tuple[list[Figure], list[str]]:
    """Prepare and draw from more and more volumes in one process."""
    counts = _QUICK_COUNTS if quick else _COUNTS
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "benchmarks.hoard", folder, *map(str, counts)]
        ended = subprocess.run(words, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    few = found[0]
    figures = []
    for one in found:
        limit = few["memory"] + _MORE if one is found[-1] else None
        figures.append(memory_figure(f"{one['count']} volumes, anonymous memory", one["memory"], at_most=limit))
        figures.append(memory_figure(f"{one['count']} volumes, their slices on disk", one["disk"]))
        figures.append(time_figure(f"{one['count']} volumes, prepared or found in the cache", [one["seconds"]]))
    return figures, ["1 x 192 x 192 x 16 voxels each; an epoch of 512 slices drawn, and every case looked at as validation does."]

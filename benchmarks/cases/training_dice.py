"""Whether a network trained by ours is as good as one trained by the textbook's loop: the same recipe, epochs, slices and start.

Seeds change the split, the start and the draws; the spread over them is what a difference is to be held against.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, score_figure
from benchmarks.side import REPOSITORY, environment

_SIDES = ("textbook", "float32", "bfloat16")


def run(*, quick: bool) -> tuple[list[Figure], list[str]]:
    """Train each side with each seed on the CPU."""
    seeds, epochs, subjects = (range(1), 2, 9) if quick else (range(3), 16, 45)
    found: dict[str, list[dict[str, float]]] = {side: [] for side in _SIDES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw = [sys.executable, "-c", "from napari_film.training.cli import main; main()", "phantom", "spinal_tumor"]
        subprocess.run([*draw, str(folder / "phantom"), "--subjects", str(subjects)], check=True, stdout=subprocess.DEVNULL)
        for seed in seeds:
            for side in _SIDES:
                words = [sys.executable, "-m", "benchmarks.schooling", side, str(seed), str(folder), str(epochs)]
                ended = subprocess.run(words, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
                found[side].append(json.loads(ended.stdout.splitlines()[-1]))
    figures = []
    for side, runs in found.items():
        for which in ("best", "last"):
            what = f"{side}: validation Dice, {which} epoch"
            values = [one[which] for one in runs]
            figures.append(score_figure(what, values))
    for side in _SIDES[1:]:
        differences = [ours["best"] - theirs["best"] for ours, theirs in zip(found[side], found["textbook"], strict=True)]
        figures.append(score_figure(f"{side} minus textbook, best epoch, same seed", differences))
    told = "; ".join(f"{side} " + ", ".join(f"{one['best']:.3f}" for one in runs) for side, runs in found.items())
    return figures, [f"spinal_tumor on a phantom of {subjects} subjects, {epochs} epochs of 240 slices; best Dice by seed: {told}."]

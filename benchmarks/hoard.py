"""Memory of a training's data by the number of volumes: ``python -m benchmarks.hoard FOLDER COUNT...`` prints a line of JSON a count.

Draws volumes, prepares them into a cache, draws an epoch of 512 slices of them and looks at every case as validation does. Memory is
anonymous: what the kernel cannot take back, so not the pages of files that it keeps for whoever reads next.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.lesson import Lesson
from benchmarks.settings import FIELD, SPINAL_TUMOR, VALUES
from napari_film import nifti
from napari_film.training.cache import Cache
from napari_film.training.cases.case import Case
from napari_film.training.dataset import TrainingSlices, prepare_cases
from napari_film.training.recipe import parse_recipe
from napari_film.training.sampling import BalancedSampler, make_pools
from napari_film.volume import Volume

SHAPE = (192, 192, 16)


def main() -> None:
    """Measure with each count of volumes, smaller ones first."""
    folder = Path(sys.argv[1])
    setting = SPINAL_TUMOR.model_copy(update={"channels": 1, "height": SHAPE[1], "width": SHAPE[0]})
    recipe = parse_recipe(Lesson(kind="ours", setting=setting, batch=8, folder=folder).recipe(), name="benchmark.toml")
    cache = Cache(folder / "cache")
    cases: list[Case] = []
    for count in map(int, sys.argv[2:]):
        cases += [_draw(folder, number) for number in range(len(cases), count)]
        start = time.perf_counter()
        prepared = prepare_cases(cases, recipe, cache)
        seconds = time.perf_counter() - start
        pools = make_pools([{value: case.shows(recipe, value) for value in case.case.values} for case in prepared])
        slices = TrainingSlices(prepared, recipe)
        for sample in BalancedSampler(pools, samples=512, foreground=0.75, seed=0):
            slices[sample]
        for case in prepared:
            case.images[:4].astype(np.float32).sum()
            case.truth(recipe, case.case.values[0]).sum()
        disk = sum(case.size for case in prepared)
        sys.stdout.write(f"{json.dumps({'count': count, 'memory': anonymous_memory(), 'disk': disk, 'seconds': seconds})}\n")
        sys.stdout.flush()


def anonymous_memory() -> int:
    """Bytes of this process that are of no file."""
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in status if line.startswith("RssAnon:")).split()[1])


def _draw(folder: Path, number: int) -> Case:
    rng = np.random.default_rng(number)
    image = rng.integers(0, 1000, SHAPE, dtype=np.int16)
    mask = (1 + number % len(VALUES)) * (image > 990).astype(np.uint8)
    paths = (folder / f"{number}-image.nii", folder / f"{number}-mask.nii")
    for path, data in zip(paths, (image, mask), strict=True):
        nifti.write(path, data, like=Volume(data, np.eye(4)))
    return Case(f"sub-{number}", paths[:1], paths[1], {FIELD: VALUES[number % len(VALUES)]}, (VALUES[number % len(VALUES)],))


if __name__ == "__main__":
    main()

"""One whole training of one side: ``python -m benchmarks.schooling SIDE SEED FOLDER EPOCHS`` prints its validation Dice as JSON.

SIDE is textbook, float32 or bfloat16. All sides have one recipe (the demo model's on a smaller phantom), one split, one start of the
weights and the same slices in the same order; Dice is that of the module, 3D per case and value, the best of the epochs and the last.
"""

import csv
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from benchmarks.textbook import TextbookUNet
from napari_film.conditioning import MetadataSchema
from napari_film.models.unet import ConditionedUNet
from napari_film.training.allocator import keep_memory
from napari_film.training.cache import Cache
from napari_film.training.cases.case import given
from napari_film.training.cases.reading import read_cases
from napari_film.training.dataset import TrainingSlices, prepare_cases
from napari_film.training.fit import fit
from napari_film.training.initialisation import spread_conditions
from napari_film.training.losses import soft_dice_loss
from napari_film.training.prepared import PreparedCase
from napari_film.training.recipe import Recipe, bundled_recipes, load_recipe
from napari_film.training.sampling import BalancedSampler, make_pools
from napari_film.training.scoring import dice_score
from napari_film.training.splits import split_cases

_RECIPE = "spinal_tumor"
_HALF = 0.5


def main() -> None:
    """Train and print."""
    side, seed, folder, epochs = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    assert _RECIPE in bundled_recipes()
    changes = [
        f"training.epochs={epochs}",
        f"training.patience={epochs}",
        f"training.seed={seed}",
        "training.samples=240",
        "training.validate_every=1",
        f'training.precision="{"bfloat16" if side == "bfloat16" else "float32"}"',
    ]
    start = time.perf_counter()
    recipe, text = load_recipe(_RECIPE, changes)
    if side == "textbook":
        found = _textbook(recipe, folder)
    else:
        keep_memory()
        run = folder / f"{side}-{seed}"
        fit(recipe, text, run, data=folder / "phantom", cache=folder / "cache")
        with (run / "metrics.csv").open(newline="") as file:
            found = [float(row["dice"]) for row in csv.DictReader(file) if row["dice"]]
    print(json.dumps({"best": max(found), "last": found[-1], "seconds": time.perf_counter() - start}))


def _textbook(recipe: Recipe, folder: Path) -> list[float]:
    settings = recipe.training
    source = recipe.data.all_sources()[0].model_copy(update={"phantom": None, "bids": folder / "phantom"})
    split = split_cases(read_cases([source], recipe), settings.split, seed=settings.seed)
    cache = Cache(folder / "cache")
    train, validation = (prepare_cases(part, recipe, cache) for part in (split.train, split.validation))
    torch.manual_seed(settings.seed)
    network = ConditionedUNet(recipe.architecture())
    if network.generator is not None:
        spread_conditions(network.generator)
    textbook = TextbookUNet(network).requires_grad_(True)
    optimizer = torch.optim.Adam(textbook.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=settings.epochs)
    pools = make_pools([{value: case.shows(recipe, value) for value in case.case.values} for case in train])
    sampler = BalancedSampler(pools, samples=settings.samples, foreground=settings.foreground, seed=settings.seed)
    loader = DataLoader(TrainingSlices(train, recipe), batch_size=settings.batch, sampler=sampler)
    dice = []
    for epoch in range(settings.epochs):
        sampler.set_epoch(epoch)
        textbook.train()
        for images, conditions, truth, _ in loader:
            optimizer.zero_grad()
            soft_dice_loss(textbook(images, conditions), truth).backward()
            optimizer.step()
        schedule.step()
        dice.append(_dice(textbook.eval(), validation, recipe))
    return dice


@torch.inference_mode()
def _dice(network: TextbookUNet, cases: tuple[PreparedCase, ...], recipe: Recipe) -> float:
    schema: MetadataSchema = recipe.metadata_schema()
    scores: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        for value in case.case.values:
            condition = torch.from_numpy(schema.encode(given(recipe, case.case, value)))[None]
            images = torch.from_numpy(case.images.astype(np.float32))
            mask = torch.cat([network(one[None], condition) for one in images]).numpy() >= _HALF
            truth = case.truth(recipe, value)
            found = [dice_score(mask[:, k], truth[:, k]) for k in range(truth.shape[1])]
            scores[value] += [score for score in found if score is not None]
    return float(np.mean([np.mean(own) for own in scores.values() if own]))


if __name__ == "__main__":
    main()

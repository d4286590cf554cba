"""What a validation counts: every value of the cases, in the order of the field, whatever the network is told."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_film.training.fit import fit
from napari_film.training.recipe import load_recipe

from .conftest import TYPES


@pytest.mark.parametrize("prior", ["known", "none"])
def test_the_best_network_is_chosen_by_the_values_of_the_cases(prior: str, write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    settings = (f"training.prior={prior}", "training.epochs=2", "training.pictures=false", "training.tensorboard=false")
    recipe, text = load_recipe(str(write_recipe()), settings)
    fit(recipe, text, tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dice"]]
    assert rows
    named = [name.removeprefix("dice/") for name in rows[0] if name.startswith("dice/")]
    assert named == [*TYPES, *(["unknown"] if prior == "known" else [])]
    for row in rows:
        assert float(row["dice"]) == pytest.approx(sum(float(row[f"dice/{value}"]) for value in TYPES) / len(TYPES))

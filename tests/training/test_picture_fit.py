"""Trainings on pictures, told a place in them: every kind of conditioning by the recipe of CLEVR-Seg, on a handful of small scenes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_film.checkpoint import load_checkpoint
from napari_film.errors import InputError
from napari_film.inference.predictor import Predictor
from napari_film.picture import read_for_model
from napari_film.training.evaluation.evaluate import evaluate
from napari_film.training.fit import Fitted, fit
from napari_film.training.recipe import load_recipe

SIDE = 26  # no multiple of 4
KINDS = {
    "inside": [],
    "film": ["model.conditioning=film"],
    "guide": ["model.conditioning=guide"],
    "coordinates": ["model.conditioning=film", "model.coordinates=true"],
    "condition map": ["model.places=none", "model.condition_map=true"],
    "public": ["model.parametrisation=public"],
}
SHORT = ["training.epochs=1", "training.samples=8", "training.batch=4", "training.pictures=false", "training.tensorboard=false"]
SMALL = [*SHORT, "model.width=4"]
VALUES = ("upper left", "upper right", "lower left", "lower right")


def write_scenes(folder: Path, count: int = 6, side: int = SIDE) -> Path:
    """Write scenes with one square in each quarter; the label of a quarter is its bit: 1, 2, 4, 8. Give the table."""
    folder.mkdir()
    rows = ["subject\timage\tmask"]
    for number in range(count):
        rng = np.random.default_rng(number)
        image = rng.integers(90, 110, (side, side, 3), dtype=np.uint8)
        mask = np.zeros((side, side), dtype=np.uint8)
        half = side // 2
        for bit, (top, left) in enumerate([(0, 0), (0, half), (half, 0), (half, half)]):
            y, x = rng.integers(1, half - 6, 2)
            spot = np.s_[top + y : top + y + 5, left + x : left + x + 5]
            image[spot], mask[spot] = rng.integers(150, 255, 3), 1 << bit
        Image.fromarray(image).save(folder / f"s{number}.png")
        Image.fromarray(mask).save(folder / f"s{number}_mask.png")
        rows.append(f"scene{number}\ts{number}.png\ts{number}_mask.png")
    (folder / "quadrant.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "quadrant.tsv"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes") / "data")


def run(table: Path, output: Path, settings: Sequence[str]) -> Fitted:
    recipe, text = load_recipe("clevr_seg", settings)
    return fit(recipe, text, output, data=table)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_conditioning_trains_by_the_same_recipe(kind: str, scenes: Path, tmp_path: Path) -> None:
    fitted = run(scenes, tmp_path / "run", [*SMALL, *KINDS[kind]])
    checkpoint = load_checkpoint(fitted.checkpoint)
    assert checkpoint.header.preprocessing.slice_axis == "acquired"
    table = fitted.scores["tables"]["test"]["quadrant"]
    assert set(table) == set(VALUES)
    assert all(0 <= dice <= 1 for row in table.values() for dice in row.values())


def test_a_trained_model_segments_pictures_of_other_sizes_and_is_evaluated(scenes: Path, tmp_path: Path) -> None:
    fitted = run(scenes, tmp_path / "run", SMALL)
    predictor = Predictor(load_checkpoint(fitted.checkpoint))
    Image.fromarray(np.full((30, 50), 7, dtype=np.uint8)).save(tmp_path / "grey.png")
    volume, notices = read_for_model(tmp_path / "grey.png", load_checkpoint(fitted.checkpoint).header.preprocessing)
    assert "grey" in notices[0]
    assert predictor.predict([volume], {"quadrant": "upper left"}).mask().shape == (50, 30, 1)
    evaluation = evaluate([fitted.checkpoint], str(scenes), tmp_path / "evaluation", draws=100)
    assert {score.true for score in evaluation.scores} == set(VALUES)
    assert (tmp_path / "evaluation" / "evaluation.csv").is_file()


def test_a_quadrant_is_learned_where_the_network_can_know_places(scenes: Path, tmp_path: Path) -> None:
    """INSIDE learns the quadrants of six scenes by heart, and what it is told decides which of them."""
    settings = [
        "training.epochs=40",
        "training.samples=96",
        "training.batch=8",
        "training.learning_rate=0.004",
        *SHORT[3:],
        "model.width=8",
    ]
    fitted = run(scenes, tmp_path / "run", [*settings, "training.split=same", "training.validate_every=20"])
    table = fitted.scores["tables"]["test"]["quadrant"]
    own = np.mean([table[value][value] for value in VALUES])
    other = np.mean([table[true][told] for true in VALUES for told in VALUES if told != true])
    assert own > 0.8
    assert other < 0.1


def test_what_moves_pictures_is_refused_for_a_network_without_places() -> None:
    with pytest.raises(InputError, match=r"training\.augmentation moves slices, and this network is not told where quadrant lies then"):
        load_recipe("clevr_seg", ["model.conditioning=film", "training.augmentation=true"])
    with pytest.raises(InputError, match=r"training\.patch cuts slices, and this network is not told where quadrant lies then"):
        load_recipe("clevr_seg", ["model.conditioning=film", "training.patch=[16, 16]"])
    for settings in (KINDS["inside"], KINDS["guide"], KINDS["coordinates"]):
        recipe, _ = load_recipe("clevr_seg", [*settings, "training.augmentation=true", "training.patch=[16, 16]"])
        assert recipe.looks_at_position
    load_recipe("clevr_seg", ["model.conditioning=film", "training.augmentation=intensity"])


def test_a_mask_of_another_size_is_told(tmp_path: Path) -> None:
    table = write_scenes(tmp_path / "data", 3)
    Image.fromarray(np.zeros((9, 8), dtype=np.uint8)).save(tmp_path / "data" / "s1_mask.png")
    with pytest.raises(InputError, match=r"s1_mask\.png is 8 x 9 x 1 voxels .* while s1\.png is 26 x 26 x 1"):
        run(table, tmp_path / "run", SMALL)

"""Patches and flips of images that are told places: what is shown, where it lies and what is told stay together."""

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_film.models.position import Position
from napari_film.training.augmentation import Patch, draw_patch
from napari_film.training.cache import Cache
from napari_film.training.cases.reading import read_cases, source_at
from napari_film.training.dataset import TrainingSlices, prepare_cases
from napari_film.training.flips import flip_metadata, flip_position
from napari_film.training.prepared import PreparedCase
from napari_film.training.recipe import Recipe, RecipeError, load_recipe
from napari_film.training.sampling import Sample

from .test_picture_fit import SIDE, VALUES, write_scenes

MOVED = ["training.augmentation=true", "training.patch=[20, 24]", 'training.flips=["horizontal", "vertical"]']


def coordinates(position: Position, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Give u of rows and of columns by the contract's formula, in a loop."""
    top, left, height, width, pitch = (float(number) for number in position)
    rows = [2 * (top + pitch * (i + 0.5)) / height - 1 for i in range(size[0])]
    columns = [2 * (left + pitch * (i + 0.5)) / width - 1 for i in range(size[1])]
    return np.array(rows), np.array(columns)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("clevr_seg", MOVED)[0]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> tuple[PreparedCase, ...]:
    folder = tmp_path_factory.mktemp("positions")
    source = source_at(write_scenes(folder / "data", 3))
    return prepare_cases(read_cases([source], recipe), recipe, Cache(folder / "cache"))


@pytest.mark.parametrize("seed", range(5))
def test_a_patch_knows_where_its_pixels_were_read(seed: int) -> None:
    """An image that holds its own coordinates is cut like any other: what is read is what the position says."""
    height, width = 40, 30
    u = torch.tensor([2 * (i + 0.5) / height - 1 for i in range(height)])[:, None].expand(height, width)
    v = torch.tensor([2 * (i + 0.5) / width - 1 for i in range(width)])[None].expand(height, width)
    patch = draw_patch(np.random.default_rng(seed), (height, width), (16, 12), upright=True)
    assert patch.angle == 0
    read, _ = Patch(patch.size, patch.centre, scale=patch.scale).apply(torch.stack([u, v]), torch.zeros(1, height, width))
    rows, columns = coordinates(patch.position((height, width)), patch.size)
    inside = np.ix_(np.abs(rows) < 0.95, np.abs(columns) < 0.95)
    np.testing.assert_allclose(read[0].numpy()[inside], np.broadcast_to(rows[:, None], (16, 12))[inside], atol=1e-5)
    np.testing.assert_allclose(read[1].numpy()[inside], np.broadcast_to(columns, (16, 12))[inside], atol=1e-5)


def test_a_rotated_patch_has_no_position() -> None:
    with pytest.raises(ValueError, match=r"a patch rotated by 0\.1 has no position"):
        Patch((8, 8), (3.5, 3.5), angle=0.1).position((8, 8))


@pytest.mark.parametrize("axes", [(), ("vertical",), ("horizontal",), ("horizontal", "vertical")])
def test_a_flip_moves_every_pixel_to_the_mirror_image_of_its_place(axes: tuple[str, ...], recipe: Recipe) -> None:
    position, size = Position(3.0, -2.0, 50.0, 40.0, 1.25), (16, 20)
    rows, columns = coordinates(position, size)
    flipped = coordinates(flip_position(position, size, axes, recipe), size)  # type: ignore[arg-type]
    np.testing.assert_allclose(flipped[0], -rows[::-1] if "vertical" in axes else rows, atol=1e-12)
    np.testing.assert_allclose(flipped[1], -columns[::-1] if "horizontal" in axes else columns, atol=1e-12)


def test_a_flip_moves_what_the_labels_of_a_target_mean(cases: tuple[PreparedCase, ...]) -> None:
    """Whatever was drawn: the truth that is shown lies in the quadrant that is told, by the position of the patch."""
    recipe, _ = load_recipe("clevr_seg", ["training.augmentation=false", 'training.flips=["horizontal", "vertical"]'])
    slices = TrainingSlices(cases, recipe)
    told = set()
    for index in range(80):
        asked = VALUES[index % 4]
        image, condition, truth, position = slices[Sample(index % 3, 0, asked, 0, index)]
        value = VALUES[int(condition.argmax())]
        told.add((asked, value))
        rows, columns = coordinates(Position(*position), truth.shape[1:])  # type: ignore[arg-type]
        y, x = np.nonzero(truth[0].numpy())
        assert len(y) == 25
        assert bool((rows[y] < 0).all()) == value.startswith("upper")
        assert bool((columns[x] < 0).all()) == value.endswith("left")
        assert float(image[:, truth[0] > 0].mean()) > float(image.mean())
    assert len(told) == 16


def test_patches_of_a_network_that_is_told_places(cases: tuple[PreparedCase, ...], recipe: Recipe) -> None:
    slices = TrainingSlices(cases, recipe)
    drawn = []
    for index in range(60):
        image, condition, truth, position = slices[Sample(index % 3, 0, VALUES[index % 4], 0, index)]
        assert image.shape == (3, 20, 24)
        assert tuple(position[2:4]) == (SIDE, SIDE)  # of the image without padding
        value = VALUES[int(condition.argmax())]
        rows, columns = coordinates(Position(*position), (20, 24))
        y, x = np.nonzero(truth[0].numpy())
        inside = (np.abs(rows[y]) < 1) & (np.abs(columns[x]) < 1)  # beyond the edge its pixels go on
        assert bool((rows[y][inside] < 0.05).all()) or value.startswith("lower")
        assert bool((columns[x][inside] > -0.05).all()) or value.endswith("left")
        drawn.append(tuple(position.tolist()))
    assert len(set(drawn)) == 60


def test_values_of_a_picture_mirrored_both_ways(recipe: Recipe) -> None:
    def mirrored(value: str, *axes: str) -> str:
        return str(flip_metadata({"quadrant": value}, axes, recipe)["quadrant"])  # type: ignore[arg-type]

    assert mirrored("upper left", "horizontal") == "upper right"
    assert mirrored("upper left", "vertical") == "lower left"
    assert mirrored("lower right", "vertical") == "upper right"
    assert mirrored("upper right", "horizontal", "vertical") == "lower left"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["fields.1.mirror={ horizontal = { 'upper left' = 'upper right' }, 'left-right' = {} }"],
            "left-right, which spatial does not",
        ),
        (
            ["fields.1.mirror={ 'upper left' = 'upper right' }"],
            "mirror needs a table for each axis that spatial names",
        ),
        (["fields.1.mirror={}", 'training.flips=["vertical"]'], "an image mirrored vertical has another quadrant"),
        (
            ['fields.1.spatial="left-right"', "fields.1.mirror={}", "preprocessing.slice_axis=axial", 'training.flips=["vertical"]'],
            "not vertical",
        ),
        (
            ['fields.1.spatial="left-right"', "fields.1.mirror={}", 'training.flips=["horizontal"]'],
            "quadrant is a place left-right in the body, and which way that is in acquired slices differs",
        ),
        (["preprocessing.slice_axis=axial"], "quadrant: horizontal is of slices as they were acquired and of pictures"),
    ],
)
def test_places_that_cannot_be_are_told(settings: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("clevr_seg", settings)


def test_a_place_in_the_body_moves_with_it(tmp_path: Path) -> None:
    """Left and right of a patient are where they are however a patch is cut, so FiLM alone may be augmented."""
    path = tmp_path / "r.toml"
    text = load_recipe("spinal_tumor")[1]
    side = '[[fields]]\nname = "side"\nvalues = ["left", "right"]\nspatial = "left-right"\n\n[preprocessing]'
    path.write_text(text.replace("[preprocessing]", side), encoding="utf-8")
    recipe, _ = load_recipe(str(path))
    assert recipe.training.augmentation is True
    assert not recipe.looks_at_position

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_film.training.flips import draw_flips, flip_metadata, flip_slice
from napari_film.training.recipe import Recipe, RecipeError, load_recipe, parse_recipe

from .conftest import CONTEXT_RECIPE

SIDE = """
[[fields]]
name = "side"
values = ["left", "right", "both"]
unknown = true
spatial = "front-back"
mirror = { left = "right" }

[[fields]]
name = "position"
kind = "continuous"
minimum = -1
maximum = 1
spatial = "up-down"
mirror = true

[preprocessing]
"""


def recipe_with(flips: str, *, fields: str = SIDE) -> Recipe:
    text = CONTEXT_RECIPE.replace("[preprocessing]\n", fields.lstrip()).replace("seed = 3", f"seed = 3\nflips = {flips}")
    return parse_recipe(text, name="r.toml")


def test_slices_are_mirrored_along_the_axes_of_their_plane() -> None:
    recipe = recipe_with('["front-back", "up-down"]')  # sagittal: rows go up, columns to the front
    stack = torch.arange(6.0).reshape(1, 2, 3)
    assert flip_slice(stack, ("front-back",), recipe)[0].tolist() == [[2, 1, 0], [5, 4, 3]]
    assert flip_slice(stack, ("up-down",), recipe)[0].tolist() == [[3, 4, 5], [0, 1, 2]]
    assert flip_slice(stack, ("up-down", "front-back"), recipe)[0].tolist() == [[5, 4, 3], [2, 1, 0]]
    assert flip_slice(stack, (), recipe) is stack


def test_metadata_that_say_where_are_mirrored_with_the_image() -> None:
    recipe = recipe_with('["front-back", "up-down"]')
    told = {"tumor_type": "ependymoma", "side": "left", "position": 0.25}
    assert flip_metadata(told, ("front-back",), recipe) == {**told, "side": "right"}
    assert flip_metadata({**told, "side": "right"}, ("front-back",), recipe)["side"] == "left"
    assert flip_metadata({**told, "side": "both"}, ("front-back",), recipe)["side"] == "both"
    assert flip_metadata({**told, "side": "unknown"}, ("front-back",), recipe)["side"] == "unknown"
    assert flip_metadata(told, ("up-down",), recipe) == {**told, "position": -0.25}
    assert flip_metadata(told, (), recipe) == told


def test_each_axis_is_mirrored_in_half_of_the_cases() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_flips(rng, ("front-back", "up-down")) for _ in range(400)]
    for wanted in ((), ("front-back",), ("up-down",), ("front-back", "up-down")):
        assert 70 < drawn.count(wanted) < 130
    state = rng.bit_generator.state
    assert draw_flips(rng, ()) == ()
    assert rng.bit_generator.state == state  # a recipe without flips draws what it always drew


@pytest.mark.parametrize(
    ("flips", "fields", "message"),
    [
        ('["left-right"]', SIDE, r"training\.flips: sagittal slices can be mirrored up-down and front-back, not left-right"),
        (
            '["front-back"]',
            SIDE.replace('mirror = { left = "right" }', ""),
            r"mirrored front-back has another side; say which by mirror",
        ),
        ('["up-down"]', SIDE.replace("mirror = true", ""), r"an image mirrored up-down has another position; say which by mirror"),
        (
            '["diagonal"]',
            SIDE,
            r"training\.flips\.1 is 'diagonal'; input should be 'left-right', 'front-back', 'up-down', 'hori",
        ),
    ],
)
def test_flips_that_cannot_be_right_are_refused(flips: str, fields: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_with(flips, fields=fields)


def test_there_are_none_unless_asked_for(write_recipe: Callable[..., Path]) -> None:
    assert load_recipe(str(write_recipe()))[0].training.flips == ()

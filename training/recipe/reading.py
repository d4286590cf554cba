"""Read a recipe: a file, or one of this package by its name; what is wrong with it is told in one sentence."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from napari_film.errors import InputError

from .data import Data, Phantom, Source
from .fields import CategoricalRecipe, ContinuousRecipe
from .images import ChannelRecipe, ClassRecipe, PreprocessingRecipe
from .network import Model
from .recipe import Recipe
from .training import Training


class RecipeError(InputError):
    """A recipe that cannot be used."""


def bundled_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with this package."""
    folder = files("napari_film.training") / "recipes"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_recipe(name: str) -> tuple[Recipe, str]:
    """Read the recipe at the path ``name``, or the bundled one of that name; give it and its text.

    Raises
    ------
    RecipeError
        Naming file, key and what is allowed.
    """
    path = Path(name)
    folder = path.parent
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"{name} cannot be read as text; give a recipe in TOML.") from error
    elif name in bundled_recipes():
        text = (files("napari_film.training") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise RecipeError(f"{name} is no file and no recipe of this package; give a path, or one of: {', '.join(bundled_recipes())}.")
    recipe = parse_recipe(text, name=path.name)
    return recipe.model_copy(update={"data": recipe.data.below(folder)}), text


def parse_recipe(text: str, *, name: str) -> Recipe:
    """Parse the TOML of the recipe called ``name``; raises RecipeError."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name} is not valid TOML: {error}.") from error
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{name}: {_told(error)}") from error


def _told(error: ValidationError) -> str:
    """Tell the first problem in one sentence: the key, what came, what is allowed."""
    first = error.errors(include_url=False)[0]
    place = [part for part in first["loc"] if part not in {"categorical", "continuous"}]
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in place)
    if first["type"] == "extra_forbidden":
        return f"{key} is not a key of a recipe; allowed here: {', '.join(_keys_beside(first['loc']))}."
    if first["type"] == "missing":
        return f"{key} is missing; see the recipes that come with napari-film-train."
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] in {"value_error", "kind"}:
        return f"{key}: {message}." if key else f"{message}."
    return f"{key} is {first['input']!r}; {message[0].lower()}{message[1:]}."


def _keys_beside(place: tuple[int | str, ...]) -> list[str]:
    part: Any = Recipe
    models: dict[str, type[BaseModel]] = {
        "model": Model,
        "data": Data,
        "sources": Source,
        "phantom": Phantom,
        "channels": ChannelRecipe,
        "classes": ClassRecipe,
        "preprocessing": PreprocessingRecipe,
        "training": Training,
        "categorical": CategoricalRecipe,
        "continuous": ContinuousRecipe,
    }
    for step in place[:-1]:
        part = models.get(str(step), part)
    return list(part.model_fields)

"""Read a recipe: a file, or one of this package by its name; what is wrong with it is told in one sentence."""

import re
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from .data import Data, Phantom, Source
from .fields import CategoricalRecipe, ContinuousRecipe
from .images import ChannelRecipe, ClassRecipe, PreprocessingRecipe
from .network import Model
from .recipe import Recipe
from .settings import RecipeError, change
from .training import Training

__all__ = ["RecipeError", "bundled_recipes", "load_recipe", "parse_recipe", "without_paths"]


def bundled_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with this package."""
    folder = files("napari_film.training") / "recipes"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_recipe(name: str, settings: Sequence[str] = ()) -> tuple[Recipe, str]:
    """Read the recipe at the path ``name``, or the bundled one of that name; give it and its text.

    ``settings`` are changes to it, each KEY=VALUE (`settings.change`); the text is then that of the changed recipe.

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
    if settings:
        text = _changed(text, settings, name=path.name)
        recipe = parse_recipe(text, name=f"{path.name} with --set {' --set '.join(settings)}")
    else:
        recipe = parse_recipe(text, name=path.name)
    return recipe.model_copy(update={"data": recipe.data.below(folder)}), text


def parse_recipe(text: str, *, name: str) -> Recipe:
    """Parse the TOML of the recipe called ``name``; raises RecipeError."""
    try:
        return Recipe.model_validate(_content(text, name))
    except ValidationError as error:
        raise RecipeError(f"{name}: {_told(error)}") from error


def without_paths(text: str) -> str:
    """Give the TOML ``text`` of a recipe with a bare word in place of each path to data, which can name a patient."""
    content = tomllib.loads(text)
    data = content["data"]
    sources = data.get("sources", [data])
    paths = [(source, key) for source in sources for key in ("bids", "table") if key in source]
    for number, (source, key) in enumerate(paths, start=1):
        path, source[key] = source[key], key if len(paths) == 1 else f"{key}-{number}"
        text = re.sub(rf"""(\b{key}\s*=\s*)["']{re.escape(path)}["']""", rf'\g<1>"{source[key]}"', text, count=1)
    # Comments stay where the words themselves could be put in; a path written in another way has the whole written anew.
    return text if tomllib.loads(text) == content else _written(content)


def _changed(text: str, settings: Sequence[str], *, name: str) -> str:
    content = _content(text, name)
    for setting in settings:
        change(content, setting)
    return "".join(f"# {name} with --set {setting}\n" for setting in settings) + _written(content)


def _written(content: dict[str, Any]) -> str:
    try:
        import tomli_w
    except ModuleNotFoundError as error:
        raise RecipeError("To change a recipe tomli-w is needed, which is not installed; install napari-film[train].") from error
    return tomli_w.dumps(content)


def _content(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name} is not valid TOML: {error}.") from error


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

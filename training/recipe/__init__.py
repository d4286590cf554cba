"""What a training run is made from: one TOML file, typed."""

from .reading import RecipeError, bundled_recipes, load_recipe, parse_recipe
from .recipe import Recipe

__all__ = ["Recipe", "RecipeError", "bundled_recipes", "load_recipe", "parse_recipe"]

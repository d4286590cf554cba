"""Settings that a command line changes in a recipe: ``training.epochs=3``, ``fields.tumor_type.unknown=true``.

A key is dotted as in TOML, a value is written as in TOML (a bare word is text). An entry of a list of tables is named by its
``name`` or by its number from 1.
"""

import tomllib
from collections.abc import Sequence
from typing import Any

from napari_film.errors import InputError


class RecipeError(InputError):
    """A recipe that cannot be used."""


def change(content: dict[str, Any], setting: str) -> None:
    """Change one key of ``content``, a recipe as TOML gives it.

    Raises
    ------
    RecipeError
        If ``setting`` is no KEY=VALUE, or leads through something that has no keys.
    """
    key, equals, text = setting.partition("=")
    path = _path(key.strip())
    if not equals or not path:
        raise RecipeError(f"--set {setting}: this is no KEY=VALUE; write for example --set training.epochs=20.")
    place: Any = content
    for number, step in enumerate(path[:-1]):
        place = _inside(place, step, path[:number], setting, new={})
    last = path[-1]
    if isinstance(place, list):
        place[_entry(place, last, path[:-1], setting)] = _value(text.strip(), setting)
    elif isinstance(place, dict):
        place[last] = _value(text.strip(), setting)
    else:
        raise RecipeError(f"--set {setting}: {'.'.join(path[:-1])} is {place!r} and has no keys.")


def _path(key: str) -> list[str]:
    """Steps of a dotted key; quotes as in TOML keep a dot or a blank within a step."""
    try:
        found: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return [step.strip() for step in key.split(".")] if all(step.strip() for step in key.split(".")) else []
    path = []
    while isinstance(found, dict):
        ((step, found),) = found.items()
        path.append(step)
    return path


def _inside(place: Any, step: str, before: Sequence[str], setting: str, *, new: dict[str, Any]) -> Any:
    if isinstance(place, list):
        return place[_entry(place, step, before, setting)]
    if isinstance(place, dict):
        return place.setdefault(step, new)
    raise RecipeError(f"--set {setting}: {'.'.join(before)} is {place!r} and has no keys.")


def _entry(entries: list[Any], step: str, before: Sequence[str], setting: str) -> int:
    """Index of the entry that ``step`` names."""
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
    if step in names:
        return names.index(step)
    if step.isdecimal() and 1 <= int(step) <= len(entries):
        return int(step) - 1
    known = ", ".join(str(name or number) for number, name in enumerate(names, start=1))
    raise RecipeError(f"--set {setting}: {'.'.join(before)} has no entry {step!r}; it has {known}.")


def _value(text: str, setting: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        if text and text[0] not in "[{\"'":
            return text
        raise RecipeError(f'--set {setting}: {text or "nothing"} is no value in TOML; write text as "text", a list as [1, 2].') from error

"""What all parts of a recipe have in common."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Part(BaseModel):
    """A part of a recipe: it never changes, and an unknown key in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _several(content: object) -> object:
    if isinstance(content, str):
        return (content,) if content else ()
    if isinstance(content, list | tuple) and all(isinstance(entry, str) for entry in content):
        return tuple(content)
    raise ValueError(f"{content!r} is neither a text nor a list of texts")


Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""One name, or several."""

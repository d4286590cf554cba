"""What all parts of a recipe have in common."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a recipe: it never changes, and an unknown key in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

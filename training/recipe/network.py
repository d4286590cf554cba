"""The network of a recipe."""

from typing import Literal, Self

from pydantic import Field, model_validator

from napari_film.architecture import Conditioning

from .part import Part


class Model(Part):
    """The network and what to call it. ``film`` is one of three words, or one flag for each of the 2·depth + 2 places."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = ""
    licence: str = ""
    depth: int = Field(default=4, ge=1, le=8)
    width: int = Field(default=16, ge=1, le=512)
    film: Literal["everywhere", "decoder", "none"] | tuple[bool, ...] = "everywhere"
    dropout: float = Field(default=0.3, ge=0, lt=1)

    @model_validator(mode="after")
    def _places_fit(self) -> Self:
        if not isinstance(self.film, str) and len(self.film) != 2 * self.depth + 2:
            raise ValueError(f"film has {len(self.film)} flags; a network of depth {self.depth} has {2 * self.depth + 2} places")
        return self

    @property
    def places(self) -> tuple[Conditioning, ...]:
        """One word for each of the 2·depth + 2 places: encoder, bottom, decoder, head."""
        flags = self.film
        if not isinstance(flags, tuple):
            encoder, decoder = {"everywhere": (True, True), "decoder": (False, True), "none": (False, False)}[flags]
            flags = (*[encoder] * (self.depth + 1), *[decoder] * (self.depth + 1))
        return tuple("film" if flag else "none" for flag in flags)

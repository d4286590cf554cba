"""The network of a recipe."""

from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator

from napari_film.architecture import Conditioning

from .part import Part

_WORDS = ("everywhere", "decoder", "bottom", "none")


class Model(Part):
    """The network and what to call it.

    ``places`` says where it is told the metadata: one of four words, and how by ``conditioning`` (None: FiLM); or, for each of the
    2·depth + 2 places from the top of the encoder to the head, "none", "film", "inside" or "guide". ``coordinates`` and
    ``condition_map`` are the two controls: more channels with the pixel's place in the whole image, or with the condition painted
    evenly. The others are as in `napari_film.architecture.Architecture`.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = ""
    licence: str = ""
    depth: int = Field(default=4, ge=1, le=8)
    width: int = Field(default=16, ge=1, le=512)
    places: Literal["everywhere", "decoder", "bottom", "none"] | tuple[Conditioning, ...] = "everywhere"
    conditioning: Literal["film", "inside", "guide"] | None = None
    parametrisation: Literal["relative", "public"] = "relative"
    window: Literal["gaussian", "box"] = "gaussian"
    coordinates: bool = False
    condition_map: bool = False
    skips: bool = True
    normalisation: Literal["batch", "none"] = "batch"
    convolutions: Literal[1, 2] = 2
    bottom: Literal["same", "double"] = "same"
    behind_bottom: bool = False
    head: Literal[1, 3] = 3
    dropout: float = Field(default=0.3, ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _places_are_words(cls, content: object) -> object:
        """Read ``film`` too, what ``places`` was called while FiLM was all there was: recipes in checkpoints have it."""
        if not isinstance(content, dict):
            return content
        if "film" in content and "places" not in content:
            content = {("places" if key == "film" else key): value for key, value in content.items()}
            if isinstance(content["places"], list | tuple) and all(isinstance(flag, bool) for flag in content["places"]):
                content["places"] = ["film" if flag else "none" for flag in content["places"]]
        places = content.get("places", ())
        words, known = ([places], _WORDS) if isinstance(places, str) else (places, get_args(Conditioning))
        for word in words if isinstance(words, list | tuple) else [words]:
            if word not in known:
                raise ValueError(
                    f"places has {word!r}; give one of {', '.join(_WORDS)}, or a list with one of {', '.join(get_args(Conditioning))} "
                    "for each place"
                )
        return content

    @model_validator(mode="after")
    def _places_fit(self) -> Self:
        if isinstance(self.places, tuple):
            if len(self.places) != 2 * self.depth + 2:
                count = 2 * self.depth + 2
                raise ValueError(f"places has {len(self.places)} words; a network of depth {self.depth} has {count} places")
            if self.conditioning is not None:
                raise ValueError("conditioning stands beside a list of places, which says it place by place; keep one")
        return self

    @property
    def kinds(self) -> tuple[Conditioning, ...]:
        """How the network is told the metadata at each of the 2·depth + 2 places: encoder, bottom, decoder, head."""
        if isinstance(self.places, tuple):
            return self.places
        encoder, bottom, decoder = {
            "everywhere": (True, True, True),
            "decoder": (False, False, True),
            "bottom": (False, True, False),
            "none": (False, False, False),
        }[self.places]
        kind = self.conditioning or "film"
        return tuple(kind if told else "none" for told in (*[encoder] * self.depth, bottom, *[decoder] * (self.depth + 1)))

    @property
    def told(self) -> bool:
        """Whether anything in the network depends on the metadata."""
        return self.condition_map or any(kind != "none" for kind in self.kinds)

    def layout(self) -> dict[str, Any]:
        """Give the keys that are those of `napari_film.architecture.Architecture`."""
        names = ("depth", "width", "parametrisation", "window", "coordinates", "condition_map", "skips", "normalisation", "convolutions")
        return {
            **{name: getattr(self, name) for name in (*names, "bottom", "behind_bottom", "head", "dropout")},
            "places": self.kinds,
        }

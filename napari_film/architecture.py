"""What a network looks like, told without torch, so that a checkpoint can be described without it."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic_core.core_schema import SerializationInfo

Conditioning = Literal["none", "film", "inside", "guide"]
"""What stands at a place: nothing, FiLM (`models.film`), INSIDE (`models.inside`) or the guiding block (`models.guide`)."""


class Architecture(BaseModel):
    """A U-Net that is conditioned at some of its 2·depth + 2 places.

    ``places`` has one word per place: the encoder's units from the top down, the bottom, the decoder's units from the
    bottom up, the head. A network with "none" everywhere takes no condition, unless it is painted (below).

    ``background`` says that the head has one channel more, which stands first and is dropped.
    ``hidden`` and ``hidden_biases`` are of FiLM's generator: its two hidden layers, and whether the places share their biases
    or each has its own (as checkpoints of ivadomed do); the hidden weights are always shared.

    ``parametrisation`` and ``window`` are INSIDE's: windows in relative size of the whole image, or as the public code has
    them; and the function that a window is.

    ``coordinates`` and ``condition_map`` are two controls: the network takes two channels more, x and y in the whole image from
    -1 to 1, or one channel more for each column of the condition, in which it is painted as a constant.

    The others say how the network is built. Without ``skips`` the decoder sees what comes up from the bottom alone;
    ``convolutions`` are those of a unit, 3x3, with ``normalisation`` behind each; the ``bottom`` is as wide as the deepest level of
    the encoder or twice that, and with ``behind_bottom`` one more unit of the same width follows its place; ``head`` is the side of
    the last convolution's kernel. The network of INSIDE's CLEVR-Seg runs is depth 2, width 16, "inside" at the bottom alone, no
    skips, no normalisation, one convolution, a double bottom with a unit behind it, and a head of 1.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    depth: int = Field(ge=1, le=8)
    width: int = Field(ge=1)
    channels: int = Field(ge=1)
    classes: int = Field(ge=1)
    condition: int = Field(ge=0)
    places: tuple[Conditioning, ...]
    hidden: tuple[int, int] = (64, 16)
    hidden_biases: Literal["shared", "per place"] = "shared"
    background: bool = False
    dropout: float = Field(default=0.3, ge=0, lt=1)
    batchnorm_momentum: float = Field(default=0.1, gt=0, le=1)
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

    @model_validator(mode="before")
    @classmethod
    def _places_of_flags(cls, data: Any) -> Any:
        """Headers of format 1 say which places have FiLM, by one flag each."""
        if not isinstance(data, Mapping) or "film" not in data or "places" in data:
            return data
        flags = data["film"]
        if not isinstance(flags, list | tuple) or any(type(flag) is not bool for flag in flags):
            raise ValueError("film is not one flag per place")
        return {**data, "places": tuple("film" if flag else "none" for flag in flags)}

    @model_validator(mode="after")
    def _places_fit(self) -> Self:
        if len(self.places) != 2 * self.depth + 2:
            raise ValueError(f"places has {len(self.places)} words; a network of depth {self.depth} has {2 * self.depth + 2} places")
        if not self.condition and self.takes_condition:
            raise ValueError("the network is conditioned, but the condition has no columns")
        return self

    @model_serializer(mode="wrap")
    def _with_flags(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Headers of classic networks say it by flags too, so that readers of format 1.0 know them."""
        content: dict[str, Any] = handler(self)
        return {**content, "film": [place == "film" for place in self.places]} if info.mode == "json" and self.classic else content

    @property
    def levels(self) -> tuple[int, ...]:
        """How often the image was halved before each of the 2·depth + 2 places."""
        return (*range(self.depth + 1), *reversed(range(self.depth)), 0)

    @property
    def names_of_places(self) -> tuple[str, ...]:
        """What a person reads: "encoder 1" (full resolution) downward, "bottom", "decoder 1" (lowest resolution) upward, "head"."""
        levels = range(1, self.depth + 1)
        return (*(f"encoder {level}" for level in levels), "bottom", *(f"decoder {level}" for level in levels), "head")

    @property
    def place_channels(self) -> tuple[int, ...]:
        """Feature maps at each of the 2·depth + 2 places."""
        widths = [self.width * 2**level for level in range(self.depth)]
        bottom = widths[-1] * (2 if self.bottom == "double" else 1)
        return (*widths, bottom, *reversed(widths), self.classes + self.background)

    @property
    def input_channels(self) -> int:
        """Channels that the first convolution takes: the image's, the coordinates' and those of the painted condition."""
        return self.channels + 2 * self.coordinates + self.condition * self.condition_map

    @property
    def divisor(self) -> int:
        """Slices whose sides are multiples of this are halved evenly by every pool."""
        return 1 << self.depth

    @property
    def takes_condition(self) -> bool:
        """Whether anything in the network depends on the condition."""
        return self.condition_map or any(place != "none" for place in self.places)

    @property
    def looks_at_position(self) -> bool:
        """Whether it matters where in the whole image a voxel lies."""
        return self.coordinates or bool({"inside", "guide"} & set(self.places))

    @property
    def classic(self) -> bool:
        """Whether this is a U-Net of Lemay et al. 2021, with FiLM at some places or none: what format 1 of checkpoints can say."""
        built = (self.skips, self.normalisation, self.convolutions, self.bottom, self.behind_bottom, self.head)
        other = self.coordinates or self.condition_map or not set(self.places) <= {"none", "film"}
        return built == (True, "batch", 2, "same", False, 3) and not other

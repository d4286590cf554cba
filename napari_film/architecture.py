"""What a network looks like, told without torch, so that a checkpoint can be described without it."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Architecture(BaseModel):
    """A U-Net with FiLM at some of its 2·depth + 2 places.

    ``film`` has one flag per place: the encoder's units from the top down, the bottom, the decoder's units from the
    bottom up, the head. No flag set is a plain U-Net, which takes no condition.

    ``background`` says that the head has one channel more, which stands first and is dropped.
    ``hidden_biases`` says whether the places share the biases of the generator's hidden layers, or each has its own
    (as checkpoints of ivadomed do); the hidden weights are always shared.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    depth: int = Field(ge=1, le=8)
    width: int = Field(ge=1)
    channels: int = Field(ge=1)
    classes: int = Field(ge=1)
    condition: int = Field(ge=0)
    film: tuple[bool, ...]
    hidden: tuple[int, int] = (64, 16)
    hidden_biases: Literal["shared", "per place"] = "shared"
    background: bool = False
    dropout: float = Field(default=0.3, ge=0, lt=1)
    batchnorm_momentum: float = Field(default=0.1, gt=0, le=1)

    @model_validator(mode="after")
    def _places_fit(self) -> Self:
        if len(self.film) != 2 * self.depth + 2:
            raise ValueError(f"film has {len(self.film)} flags; a network of depth {self.depth} has {2 * self.depth + 2} places")
        if any(self.film) and not self.condition:
            raise ValueError("film is set, but the condition has no columns")
        return self

    @property
    def place_channels(self) -> tuple[int, ...]:
        """Feature maps at each of the 2·depth + 2 places."""
        widths = [self.width * 2**level for level in range(self.depth)]
        return (*widths, widths[-1], *reversed(widths), self.classes + self.background)

    @property
    def divisor(self) -> int:
        """Slices whose sides are multiples of this are halved evenly by every pool."""
        return 1 << self.depth

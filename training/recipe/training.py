"""How the network of a recipe is trained."""

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, field_validator

from .fields import Axis
from .part import Part

IN_PLANE: Mapping[str, tuple[Axis, Axis]] = {
    "axial": ("front-back", "left-right"),
    "coronal": ("up-down", "left-right"),
    "sagittal": ("up-down", "front-back"),
    "acquired": ("vertical", "horizontal"),
}
"""What rows and columns of a slice run along, by slice axis: an axis of the body, or of the image."""

IN_IMAGE: frozenset[Axis] = frozenset(IN_PLANE["acquired"])


class Training(Part):
    """How the network is trained. One epoch shows ``samples`` slices, as many of each condition value as of the others.

    ``prior`` is "none" for the control arm of an experiment: every field is told *unknown*, in training and after it.
    ``batch`` is that of one device; an epoch's samples are divided among the devices. ``workers`` read and distort slices
    beside the training; None leaves their number to the machine, and no result depends on it.

    ``augmentation`` may be "intensity": grey values alone are changed, and slices stay where they are. ``sigma_penalty`` weighs the
    mean square of INSIDE's σ before its activation, which keeps windows from growing without end; 0 where there is no INSIDE.
    ``schedule`` is what the learning rate does: a cosine down to 0 over all epochs, or nothing.
    """

    epochs: int = Field(default=100, ge=1)
    samples: int = Field(default=512, ge=1)
    batch: int = Field(default=8, ge=1)
    patch: tuple[int, int] | None = None
    foreground: float = Field(default=0.75, ge=0, le=1)
    learning_rate: float = Field(default=1e-3, gt=0, le=100)
    schedule: Literal["cosine", "constant"] = "cosine"
    loss: Literal["dice", "dice+bce", "focal+dice"] = "dice"
    dice_over: Literal["batch", "condition"] = "batch"
    sigma_penalty: float = Field(default=1e-3, ge=0, le=100)
    prior: Literal["known", "none"] = "known"
    metadata_dropout: float = Field(default=0.25, ge=0, le=1)
    augmentation: bool | Literal["intensity"] = True
    flips: tuple[Axis, ...] = ()
    validate_every: int = Field(default=1, ge=1)
    patience: int = Field(default=50, ge=1)
    epsilon: float = Field(default=0.001, ge=0)
    split: tuple[float, float, float] | Literal["same"] = (0.6, 0.2, 0.2)
    seed: int = Field(default=0, ge=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    devices: int = Field(default=1, ge=1)
    nodes: int = Field(default=1, ge=1)
    strategy: Literal["auto", "ddp"] = "auto"
    workers: int | None = Field(default=None, ge=0)
    pictures: bool = True
    tensorboard: bool = True

    @field_validator("augmentation", mode="wrap")
    @classmethod
    def _is_a_degree(cls, augmentation: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(augmentation)
        except ValidationError as error:
            raise ValueError(f'{augmentation!r} is not true, false or "intensity"') from error

    @field_validator("split", mode="before")
    @classmethod
    def _is_a_whole(cls, split: object) -> object:
        if split == "same":
            return split
        numbers = split if isinstance(split, list | tuple) and all(type(part) in {int, float} for part in split) else ()
        if len(numbers) != 3 or min(numbers) <= 0 or not math.isclose(sum(numbers), 1, abs_tol=1e-6):
            raise ValueError(f'{split!r} are not three parts of 1 (training, validation, test), nor "same"')
        return split

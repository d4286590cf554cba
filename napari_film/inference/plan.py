"""How a network is run: device, precision, batch, engine; recorded with every result and replayed from it.

Two runs under one plan, on one machine, give the same mask to the voxel. Batches are always filled (the last slice is
repeated), so a slice's result does not depend on which slices keep it company.
"""

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_film.architecture import Architecture
from napari_film.errors import InputError

DeviceName = Literal["auto", "cuda", "mps", "cpu"]
PrecisionName = Literal["auto", "float32", "bfloat16"]

ENGINE = "merged-1"
"""Name of the way in which the network is evaluated; another name is another arithmetic."""

NO_MEMORY = "There is not enough memory for a single slice; close other programs, or use a model with coarser spacing or tiles."
"""What is told when the last plan runs out of memory too."""

_EXAMPLE = f"device=cpu,precision=float32,batch=1,tile=none,engine={ENGINE}"
_EXPECTED = {
    "device": "one of: cuda, mps, cpu",
    "precision": "one of: float32, bfloat16",
    "batch": "a whole number from 1",
    "tile": "a whole number from 1, or none",
    "engine": f"its name, such as {ENGINE}",
}
_BATCHES = {"cuda": 32, "mps": 4, "cpu": 8}  # slices at a time, at most
_CPU_BATCH = 2 << 20  # bytes of the widest feature maps that pay on a CPU: smaller networks wait for threads and for Python
_GPU_SHARE = 0.5  # of the free memory, for feature maps
_GPU_MAPS = 10  # of the widest feature maps that one slice needs room for
_WHOLE = 256 << 20  # bytes of the widest feature maps of a slice that is run in one piece; float32 on any device
_FEW = 16  # slices, which are computed sooner than a reduced precision is checked
_REDUCED = 5e9  # multiplications of a slice from which a reduced precision is worth its check


class Plan(BaseModel):
    """Everything that decides the arithmetic of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["cuda", "mps", "cpu"]
    precision: Literal["float32", "bfloat16"] = "float32"
    batch: int = Field(default=1, ge=1)
    tile: int | None = Field(default=None, ge=1)
    engine: str = ENGINE

    @property
    def key(self) -> str:
        """The plan as a short string, for keys."""
        return f"{self.device}/{self.precision}/{self.batch}/{self.tile}/{self.engine}"

    @property
    def text(self) -> str:
        """The plan as :meth:`parse` reads it, such as ``device=cpu,precision=float32,batch=1,tile=none,engine=merged-1``."""
        return ",".join(f"{name}={'none' if value is None else value}" for name, value in self)

    @classmethod
    def parse(cls, text: str) -> "Plan":
        """Read a plan in words; what is not named but the device is as a plan has it by default.

        Raises
        ------
        InputError
            If a word is no part of a plan, comes twice, or has a value that it cannot have.
        """
        values: dict[str, str | None] = {}
        for word in text.split(","):
            name, equals, value = (part.strip() for part in word.partition("="))
            if not equals or name not in _EXPECTED:
                raise InputError(f"{word.strip()!r} is no part of a plan; write them as {_EXAMPLE}, or name the JSON file beside a mask.")
            if name in values:
                raise InputError(f"The plan has two values for {name}; give one.")
            values[name] = None if name == "tile" and value == "none" else value
        if "device" not in values:
            raise InputError(f"The plan names no device; add device=, {_EXPECTED['device']}.")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise InputError(f"The plan's {name} is {values[name]!r}; give {_EXPECTED[name]}.") from error

    def fitted(self, architecture: Architecture, sides: tuple[int, int], tile: int | None = None) -> "Plan":
        """Fit the batch, and the tile where one is needed, to slices of ``sides``; ``tile`` is what the model asks for."""
        widest = sides[0] * sides[1] * architecture.width * 4
        if tile is None and widest > _WHOLE:
            side = int((_WHOLE / (4 * architecture.width)) ** 0.5)
            tile = max(side // architecture.divisor, 1) * architecture.divisor
        if tile is not None and max(sides) > tile:
            return self.model_copy(update={"batch": 1, "tile": tile})
        room = _CPU_BATCH if self.device == "cpu" else _gpu_room(self.device) / _GPU_MAPS
        fitting = 2 ** int(math.log2(max(room / widest, 1)))
        return self.model_copy(update={"batch": min(self.batch, fitting)})

    def reduced(self, architecture: Architecture, sides: tuple[int, int], slices: int) -> "Plan | None":
        """The same in a reduced precision, where this machine computes it faster and the work is worth a check; else None."""
        if slices < _FEW or multiplications(architecture, sides) < _REDUCED or not _has_bfloat16(self.device):
            return None
        return self.model_copy(update={"precision": "bfloat16"})

    def after_out_of_memory(self) -> "tuple[Plan, str] | None":
        """Give the next plan to try and what to tell; None when this one was the last."""
        if self.batch > 1:
            smaller = self.model_copy(update={"batch": self.batch // 2})
            return smaller, f"The {self.device} ran out of memory; going on with {smaller.batch} slices at a time instead of {self.batch}."
        if self.device != "cpu":
            return Plan(
                device="cpu", precision=self.precision, tile=self.tile
            ), f"The {self.device} ran out of memory for a single slice; going on with the CPU."
        return None


def multiplications(architecture: Architecture, sides: tuple[int, int]) -> float:
    """Multiplications of the convolutions for one slice of ``sides``."""
    places = architecture.place_channels
    depth = architecture.depth
    below = (architecture.input_channels, *places[:-1])
    skips = (*(0,) * (depth + 1), *reversed(places[:depth]), 0) if architecture.skips else (0,) * len(places)
    further = architecture.convolutions - 1
    total = 0.0
    for place, (made, level) in enumerate(zip(places, architecture.levels, strict=True)):
        head = place == len(places) - 1
        kernel = architecture.head**2 if head else 9
        taken = below[place] + skips[place] + (0 if head else further * made)
        if place == depth and architecture.behind_bottom:
            taken += (1 + further) * made
        total += kernel * made * taken * (sides[0] >> level) * (sides[1] >> level)
    return total


def available_devices() -> tuple[str, ...]:
    """Devices that torch can run on here, fastest first."""
    import torch

    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def _has_bfloat16(device: str) -> bool:
    import torch

    if device == "cpu":
        return any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return device == "mps" or torch.cuda.is_bf16_supported(including_emulation=False)


def _gpu_room(device: str) -> float:
    import torch

    return _GPU_SHARE * torch.cuda.mem_get_info()[0] if device == "cuda" else math.inf


def make_plan(device: DeviceName = "auto", precision: PrecisionName = "auto") -> tuple[Plan, tuple[str, ...]]:
    """Choose a plan for this machine, and tell what a person should know about the choice; `Plan.fitted` fits it to the work.

    The precision "auto" begins with float32; see `selfcheck`.

    Raises
    ------
    InputError
        If a device is asked for that is not here.
    """
    devices = available_devices()
    if device != "auto" and device not in devices:
        raise InputError(f"The device {device} is not available here; choose one of: auto, {', '.join(devices)}.")
    chosen = devices[0] if device == "auto" else device
    notices = ("No GPU was found; running on the CPU.",) if device == "auto" and chosen == "cpu" else ()
    plan = Plan.model_validate(
        {
            "device": chosen,
            "precision": "float32" if precision == "auto" else precision,
            "batch": _BATCHES[chosen],
        }
    )
    return plan, notices


def check_replay(plan: Plan, devices: Sequence[str], divisor: int) -> None:
    """Raise InputError where a plan cannot be replayed with ``devices``, by a network that needs ``divisor`` pixels or more."""
    if plan.device not in devices:
        raise InputError(
            f"The plan was made for the device {plan.device}, which is not available here; leave the plan out to make a new one."
        )
    if plan.engine != ENGINE:
        raise InputError(
            f"The plan was made for the engine {plan.engine!r}, and this version has {ENGINE!r}; leave the plan out to make a new one."
        )
    if plan.tile is not None and plan.tile < divisor:
        raise InputError(f"The plan's tile is {plan.tile}, and this model needs {divisor} pixels or more; give a longer tile, or none.")

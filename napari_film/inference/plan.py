"""How a network is run: device, precision, batch, engine; recorded with every result and replayed from it.

Two runs under one plan, on one machine, give the same mask to the voxel. Batches are always filled (the last slice is
repeated), so a slice's result does not depend on which slices keep it company.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_film.errors import InputError

DeviceName = Literal["auto", "cuda", "mps", "cpu"]
PrecisionName = Literal["auto", "float32", "bfloat16"]

ENGINE = "eager-1"
"""Name of the way in which the network is evaluated; another name is another arithmetic."""

NO_MEMORY = "There is not enough memory for a single slice; close other programs, or use a model with coarser spacing or tiles."
"""What is told when the last plan runs out of memory too."""

_BATCHES = {"cuda": 8, "mps": 4, "cpu": 1}  # slices at a time; on a CPU a larger batch is slower per slice


class Plan(BaseModel):
    """Everything that decides the arithmetic of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["cuda", "mps", "cpu"]
    precision: Literal["float32", "bfloat16"] = "float32"
    batch: int = Field(default=1, ge=1)
    engine: str = ENGINE

    @property
    def key(self) -> str:
        """The plan as a short string, for keys."""
        return f"{self.device}/{self.precision}/{self.batch}/{self.engine}"

    def after_out_of_memory(self) -> "tuple[Plan, str] | None":
        """Give the next plan to try and what to tell; None when this one was the last."""
        if self.batch > 1:
            smaller = self.model_copy(update={"batch": self.batch // 2})
            return smaller, f"The {self.device} ran out of memory; going on with {smaller.batch} slices at a time instead of {self.batch}."
        if self.device != "cpu":
            return Plan(
                device="cpu", precision=self.precision
            ), f"The {self.device} ran out of memory for a single slice; going on with the CPU."
        return None


def available_devices() -> tuple[str, ...]:
    """Devices that torch can run on here, fastest first."""
    import torch

    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def make_plan(device: DeviceName = "auto", precision: PrecisionName = "auto") -> tuple[Plan, tuple[str, ...]]:
    """Choose a plan for this machine, and tell what a person should know about the choice.

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


def check_replay(plan: Plan, devices: Sequence[str]) -> None:
    """Raise InputError where a recorded plan cannot be replayed with ``devices``."""
    if plan.device not in devices:
        raise InputError(
            f"The plan was made for the device {plan.device}, which is not available here; leave the plan out to make a new one."
        )
    if plan.engine != ENGINE:
        raise InputError(
            f"The plan was made for the engine {plan.engine!r}, and this version has {ENGINE!r}; leave the plan out to make a new one."
        )

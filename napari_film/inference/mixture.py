"""Metadata that are not sure: a weight for each value of one field.

    expected   p(mask) = sum over values v of  p(v) p(mask | v)        one run of the network per value, averaged
    blended    p(mask | sum over values v of  p(v) condition(v))       one run, under a condition that training never met

Weights are whole percents that sum to 100, so that an average of 256ths is exact: floor(sum of percent · q / 100).
"""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

Mode = Literal["expected", "blended"]


class Mixture(BaseModel):
    """How probable each value of ``field`` is, in whole percents; values that are not named have none."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    field: str
    percent: Mapping[str, int]
    mode: Mode = "expected"

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if any(weight < 0 for weight in self.percent.values()) or sum(self.percent.values()) != 100:
            raise ValueError(f"the weights of {self.field} are {dict(self.percent)}; whole percents that sum to 100 are expected")
        return self

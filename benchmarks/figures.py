"""A figure: what several runs of one thing gave, and what it is to reach; a report: the figures of one case.

Ratios are of pairs: both sides of one round, run next to each other, so that whatever else the machine did hits both.
"""

import statistics
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, TypeAdapter

Kind = Literal["ratio", "score", "check", "rate", "time", "memory"]
KINDS: tuple[Kind, ...] = ("ratio", "score", "check", "rate", "time", "memory")

_MEGABYTE = 1e6


class Figure(BaseModel, frozen=True):
    """One line of the table.

    ``best`` is the minimum of times and what the two minima give for a ratio; ``low`` and ``high`` are the quartiles, of
    scores the lowest and the highest run; None where there was one run. ``at_least`` or ``at_most`` is what the figure is to
    reach; None for no claim.
    """

    kind: Kind
    what: str
    unit: str
    median: float
    best: float | None = None
    low: float | None = None
    high: float | None = None
    runs: int = 1
    at_least: float | None = None
    at_most: float | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the median reaches what is claimed; None where nothing is."""
        if self.at_least is not None:
            return self.median >= self.at_least
        return None if self.at_most is None else self.median <= self.at_most


FIGURES = TypeAdapter(list[Figure])
"""How one process tells another what it found: a line of JSON."""


class Report(BaseModel, frozen=True):
    """What a case found, in the order of its figures, and what a reader must know about how."""

    case: str
    command: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


class _Spread(BaseModel, frozen=True):
    median: float
    low: float | None
    high: float | None
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        low, _, high = statistics.quantiles(values, method="inclusive") if len(values) > 1 else (None,) * 3
        return cls(median=statistics.median(values), low=low, high=high, runs=len(values))


def time_figure(what: str, seconds: Sequence[float], *, at_most: float | None = None) -> Figure:
    """Milliseconds of several runs; ``at_most`` in milliseconds."""
    milliseconds = [1000 * value for value in seconds]
    return Figure(kind="time", what=what, unit="ms", best=min(milliseconds), at_most=at_most, **_Spread.of(milliseconds).model_dump())


def ratio_figure(
    what: str,
    over: Sequence[float],
    under: Sequence[float],
    *,
    factor: float = 1.0,
    unit: Literal["x", "%"] = "x",
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    """Median of ``factor * over / under`` of each round; both in seconds."""
    factor *= 100 if unit == "%" else 1
    ratios = [factor * a / b for a, b in zip(over, under, strict=True)]
    best = factor * min(over) / min(under)
    return Figure(kind="ratio", what=what, unit=unit, best=best, at_least=at_least, at_most=at_most, **_Spread.of(ratios).model_dump())


def quotient_figure(what: str, over: Sequence[float], under: Sequence[float], *, at_most: float | None = None) -> Figure:
    """``over / under`` of each round, which are no single runs: there is no best one."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return Figure(kind="ratio", what=what, unit="x", at_most=at_most, **_Spread.of(ratios).model_dump())


def rate_figure(what: str, flop: float, seconds: Sequence[float]) -> Figure:
    """GFLOP/s of several runs; the best is the fastest."""
    rates = [flop / value / 1e9 for value in seconds]
    return Figure(kind="rate", what=what, unit="GFLOP/s", best=max(rates), **_Spread.of(rates).model_dump())


def memory_figure(what: str, size: float, *, at_most: float | None = None) -> Figure:
    """Megabytes (10^6) of ``size`` bytes."""
    return Figure(kind="memory", what=what, unit="MB", median=size / _MEGABYTE, at_most=None if at_most is None else at_most / _MEGABYTE)


def score_figure(what: str, scores: Sequence[float]) -> Figure:
    """Dice of a few trainings, or differences of them: median, lowest and highest."""
    return Figure(kind="score", what=what, unit="", median=statistics.median(scores), low=min(scores), high=max(scores), runs=len(scores))


def difference_figure(what: str, difference: float, *, at_most: float | None = None) -> Figure:
    """Largest difference of two sides' probabilities."""
    return Figure(kind="check", what=what, unit="", median=difference, at_most=at_most)

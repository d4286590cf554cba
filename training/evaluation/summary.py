"""What an evaluation says: three words, kept apart.

    gain        Dice told the true value  -  Dice of the same network without prior (a training of its own that was told nothing)
    reliance    Dice told the true value  -  Dice told a wrong one, of one network
    unknown     Dice told *unknown*, of one network that was trained to take that

All are means over subjects, and over models where there are several; `bootstrap` says how sure, `paired` whether by chance. The
values of a target field are several structures: none of them is wrong, so there is no reliance, only what their masks share.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_film.fields import UNKNOWN

from .bootstrap import Bootstrap, Estimate
from .measures import SUMMARISED
from .paired import PairedTest, paired_tests
from .score import WITHOUT_PRIOR, Score

_Key = TypeVar("_Key")

ALL = "all"
"""Row of all subjects, whatever their value."""

CONVENTIONS = {
    "gain": "Dice told the true value, less Dice of the same network trained without prior, on the same subjects.",
    "reliance": "Dice told the true value, less Dice told a wrong one. Of each subject with a true value of its own.",
    "unknown": "Dice of the network told that the value is unknown. It is another number than that without prior: one network "
    "that may be told, not one that never was.",
    "mean": "Mean over models of the mean over subjects; sessions and raters of a subject are averaged first. n counts subjects.",
    "interval": "95 % percentile interval of a bootstrap of two levels, models and subjects; a subject is drawn whole, for all "
    "models at once. With one model it is of the subjects alone. None for a single subject; too narrow for few.",
    "p": "One-sided Wilcoxon signed-rank test over subjects that the difference is above zero; p_holm is corrected over all tests "
    "of its table (family).",
}


@dataclass(frozen=True)
class Gain:
    """What the true value brings: ``told`` less ``without``."""

    told: Estimate
    without: Estimate
    gain: Estimate
    test: PairedTest


@dataclass(frozen=True)
class Loss:
    """What one wrong value costs."""

    lost: Estimate
    test: PairedTest


@dataclass(frozen=True)
class Reliance:
    """What wrong values cost: the mean over them, and each."""

    mean: Estimate
    wrong: Mapping[str, Loss]


@dataclass(frozen=True)
class ClassSummary:
    """All that is said of one class.

    ``measures`` is by measure, true value and given value, ``missed`` by true and given value; the others are by true value.
    """

    measures: Mapping[str, Mapping[str, Mapping[str, Estimate | None]]]
    missed: Mapping[str, Mapping[str, int]]
    gain: Mapping[str, Gain] = field(default_factory=dict)
    reliance: Mapping[str, Reliance] = field(default_factory=dict)
    unknown: Mapping[str, Estimate] = field(default_factory=dict)


def summarise(scores: Sequence[Score], values: Sequence[str], bootstrap: Bootstrap, *, target: bool) -> dict[str, ClassSummary]:
    """Summarise ``scores`` by class.

    Parameters
    ----------
    values
        What can be given, in the order of rows and columns.
    target
        Whether they are those of a target field.
    """
    classes = list(dict.fromkeys(score.class_name for score in scores))
    return {name: _of_class([s for s in scores if s.class_name == name], values, bootstrap, target=target) for name in classes}


def _of_class(scores: Sequence[Score], values: Sequence[str], bootstrap: Bootstrap, *, target: bool) -> ClassSummary:
    table = _Table(scores)
    there = {score.true for score in scores}
    rows = [value for value in values if value in there]
    columns = [value for value in dict.fromkeys([*values, UNKNOWN, WITHOUT_PRIOR]) if any(score.given == value for score in scores)]
    measures = {}
    for measure in SUMMARISED:
        found = {true: {given: bootstrap.estimate(table.means([true], given, measure)) for given in columns} for true in rows}
        if any(estimate for row in found.values() for estimate in row.values()):
            measures[measure] = found
    nothing = [(s.true, s.given) for s in scores if s.measures.dice is not None and not s.measures.mask_ml]
    missed = {true: {given: nothing.count((true, given)) for given in columns} for true in rows}
    known = [value for value in rows if value != UNKNOWN]  # whose truth is not known has no true value to be told
    wider = {**{value: [value] for value in known}, **({ALL: known} if len(known) > 1 and not target else {})}
    return ClassSummary(
        measures,
        missed,
        _gains(table, wider, bootstrap) if WITHOUT_PRIOR in columns else {},
        {} if target else _reliance(table, known, [v for v in columns if v not in {UNKNOWN, WITHOUT_PRIOR}], bootstrap),
        _present({name: bootstrap.estimate(table.means(true, UNKNOWN, "dice")) for name, true in wider.items()}),
    )


class _Table:
    """Scores of one class as arrays of (models, subjects)."""

    def __init__(self, scores: Sequence[Score]) -> None:
        self._models = {name: row for row, name in enumerate(dict.fromkeys(score.model for score in scores))}
        self._subjects = {name: column for column, name in enumerate(sorted({score.subject for score in scores}))}
        self._scores = {(s.model, s.case, s.true, s.given): s for s in scores}

    def means(self, true: Sequence[str], given: str, measure: str) -> NDArray[np.float64]:
        """Mean of a measure over the cases of each subject that have one of the values ``true``, told ``given``."""
        return self._mean(true, lambda key: self._value((*key, given), measure))

    def lost(self, true: Sequence[str], given: str | Sequence[str]) -> NDArray[np.float64]:
        """Dice told the true value less Dice told ``given``, or the mean of it over several."""
        wrong = [given] if isinstance(given, str) else list(given)

        def value(key: tuple[str, int, str]) -> float:
            told = self._value((*key, key[2]), "dice")
            return float(np.mean([told - self._value((*key, other), "dice") for other in wrong]))

        return self._mean(true, value)

    def told(self, true: Sequence[str]) -> NDArray[np.float64]:
        """Dice told the true value."""
        return self._mean(true, lambda key: self._value((*key, key[2]), "dice"))

    def _value(self, key: tuple[str, int, str, str], measure: str) -> float:
        found = getattr(self._scores[key].measures, measure) if key in self._scores else None
        return math.nan if found is None or math.isinf(found) else float(found)

    def _mean(self, true: Sequence[str], value: Callable[[tuple[str, int, str]], float]) -> NDArray[np.float64]:
        sums = np.zeros((len(self._models), len(self._subjects)))
        counts = np.zeros_like(sums)
        keys = {(score.model, score.case, score.true): score.subject for score in self._scores.values() if score.true in true}
        for key, subject in keys.items():
            found = value(key)
            if not math.isnan(found):
                place = self._models[key[0]], self._subjects[subject]
                sums[place] += found
                counts[place] += 1
        return np.divide(sums, counts, out=np.full_like(sums, math.nan), where=counts > 0)


def _gains(table: _Table, rows: Mapping[str, Sequence[str]], bootstrap: Bootstrap) -> dict[str, Gain]:
    differences = {name: table.lost(true, WITHOUT_PRIOR) for name, true in rows.items()}
    tests = _tests(differences)
    gains = {}
    for name, true in rows.items():
        told, without, gain = (
            bootstrap.estimate(values) for values in (table.told(true), table.means(true, WITHOUT_PRIOR, "dice"), differences[name])
        )
        if told is not None and without is not None and gain is not None:
            gains[name] = Gain(told, without, gain, tests[name])
    return gains


def _reliance(table: _Table, rows: Sequence[str], columns: Sequence[str], bootstrap: Bootstrap) -> dict[str, Reliance]:
    pairs = {(true, wrong): table.lost([true], wrong) for true in rows for wrong in columns if wrong != true}
    tests = _tests(pairs)
    found = {}
    for true in rows:
        wrong = [value for value in columns if value != true]
        losses = {}
        for value in wrong:
            estimate = bootstrap.estimate(pairs[true, value])
            if estimate is not None:
                losses[value] = Loss(estimate, tests[true, value])
        mean = bootstrap.estimate(table.lost([true], wrong)) if wrong else None
        if mean is not None:
            found[true] = Reliance(mean, losses)
    return found


def _tests(differences: Mapping[_Key, NDArray[np.float64]]) -> dict[_Key, PairedTest]:
    """Test each table of differences (models, subjects) by the subjects' means, those that have any as one family."""
    by_subject = {name: values[:, ~np.isnan(values).all(axis=0)] for name, values in differences.items()}
    measured = {name: np.nanmean(values, axis=0) for name, values in by_subject.items() if values.size}
    return dict(zip(measured, paired_tests(list(measured.values())), strict=True))


def _present(estimates: Mapping[str, Estimate | None]) -> dict[str, Estimate]:
    return {name: estimate for name, estimate in estimates.items() if estimate is not None}

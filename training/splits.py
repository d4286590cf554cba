"""Subjects for training, validation and test: each subject in one part, each condition value spread evenly over the parts.

A subject's *stratum* is the set of its condition values: of a target field those that are labelled, of a context field those that
its cases have. Large strata are split one by one. The subjects of small ones, where hardly two have the same sessions or contrasts,
are dealt out one by one, the rarest value first, each to the part that lacks it most (after the iterative stratification of
Sechidis et al. 2011).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_film.fields import UNKNOWN

from .cases.case import SPLITS, Case, ManifestError

Fractions = tuple[float, float, float]
_LEAST = 3  # subjects of a value: one for each part


@dataclass(frozen=True)
class Split:
    """Cases by part. Test cases have no say in anything but the scores, unless all parts are the ``same`` cases."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]
    same: bool = False

    @property
    def told(self) -> str:
        """How many cases each part has, in words."""
        if self.same:
            return f"the same {len(self.train)} cases for training, validation and test, so that the scores say nothing about new subjects"
        return f"{len(self.train)} training, {len(self.validation)} validation and {len(self.test)} test cases"


def split_cases(cases: Sequence[Case], fractions: Fractions | Literal["same"], *, seed: int) -> Split:
    """Split ``cases`` by subject.

    Where the cases say which part they are in, that is taken. Else within a stratum of n subjects, test and validation get
    ``fractions`` of n rounded, at least one each, training the rest. ``"same"`` takes all cases for all three parts.

    Raises
    ------
    ManifestError
        If a part or one of a value's parts would be empty, a subject is in two parts, or only some cases say their part.
    """
    if fractions == "same":
        return Split(tuple(cases), tuple(cases), tuple(cases), same=True)
    by_subject: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_subject[case.subject].append(case)
    said = sum(bool(case.split) for case in cases)
    if said not in {0, len(cases)}:
        raise ManifestError(
            f"{said} of {len(cases)} cases say which part of the split they are in; fill in the column split for all, or none."
        )
    parts = _given(by_subject) if said else _drawn(by_subject, fractions, seed)
    train, validation, test = (tuple(case for subject in sorted(part) for case in by_subject[subject]) for part in parts)
    split = Split(train, validation, test)
    _require_whole(split)
    return split


def _given(by_subject: Mapping[str, Sequence[Case]]) -> tuple[list[str], ...]:
    """Subjects by part, as the cases say."""
    parts: dict[str, list[str]] = {name: [] for name in SPLITS}
    for subject, own in by_subject.items():
        names = sorted({case.split for case in own})
        if len(names) > 1:
            raise ManifestError(f"{subject} is in {' and '.join(names)}; all cases of a subject belong into one part of the split.")
        parts[names[0]].append(subject)
    return tuple(parts.values())


def _drawn(by_subject: Mapping[str, Sequence[Case]], fractions: Fractions, seed: int) -> tuple[list[str], ...]:
    """Subjects by part, drawn within each stratum."""
    values = {subject: frozenset(value for case in own for value in case.values) for subject, own in by_subject.items()}
    count = Counter(value for own in values.values() for value in own)
    if len(by_subject) < _LEAST:
        raise ManifestError(
            f"The data have {len(by_subject)} subject(s); at least {_LEAST} are needed, one each for training, validation and test "
            '(training.split = "same" trains and scores on the same cases, which only shows that a network can learn them).'
        )
    for value, have in sorted(count.items()):
        if have < _LEAST and value != UNKNOWN:
            raise ManifestError(f"{value} has {have} subject(s); at least {_LEAST} are needed, one each for training, validation and test.")
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for subject, own in values.items():
        strata[tuple(sorted(own))].append(subject)
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    small: list[str] = []
    for number, (_, subjects) in enumerate(sorted(strata.items())):
        if len(subjects) < _LEAST:
            small += subjects
            continue
        order = np.random.default_rng([seed, number]).permutation(sorted(subjects)).tolist()
        validation = max(1, round(fractions[1] * len(order)))
        test = max(1, min(round(fractions[2] * len(order)), len(order) - validation - 1))
        parts[2].extend(order[:test])
        parts[1].extend(order[test : test + validation])
        parts[0].extend(order[test + validation :])
    _deal(small, values, count, parts, fractions, seed)
    return parts


def _deal(
    subjects: Sequence[str],
    values: Mapping[str, frozenset[str]],
    count: Mapping[str, int],
    parts: tuple[list[str], list[str], list[str]],
    fractions: Fractions,
    seed: int,
) -> None:
    """Deal ``subjects`` out to ``parts``: those with the rarest value first, each to the part that lacks that value most."""
    left = np.random.default_rng([seed, len(subjects)]).permutation(sorted(subjects)).tolist()
    lacking = [{value: fraction * have for value, have in count.items()} for fraction in fractions]
    held: list[set[str]] = [set(), set(), set()]

    def put(subject: str, index: int) -> None:
        for value in values[subject]:
            lacking[index][value] -= 1
            held[index].add(value)

    for index, part in enumerate(parts):
        for subject in part:
            put(subject, index)
    while left:
        waiting = Counter(value for subject in left for value in values[subject])
        rarest = min(waiting, key=lambda value: (waiting[value], value))
        # Of those who have it, first the one with the most values: it is the hardest to place.
        subject = max((subject for subject in left if rarest in values[subject]), key=lambda name: len(values[name]))
        left.remove(subject)
        best = 0
        if rarest != UNKNOWN:  # under which nothing is scored
            # A part that has nothing of a value comes first, then the one that lacks the rarest most, then all of them together.
            order = [(len(values[subject] - held[i]), lacking[i][rarest], sum(lacking[i].values()), -i) for i in range(3)]
            best = order.index(max(order))
        parts[best].append(subject)
        put(subject, best)


def _require_whole(split: Split) -> None:
    """Raise where a part is empty, or has no say on a value that the others have."""
    for name in SPLITS:
        if not getattr(split, name):
            raise ManifestError(f"No case is for {name}; each of {', '.join(SPLITS)} needs one subject at least.")
    known = {name: {value for case in getattr(split, name) for value in case.values} - {UNKNOWN} for name in SPLITS}
    for name in SPLITS[1:]:
        strange = sorted(known[name] - known["train"])
        if strange:
            raise ManifestError(
                f"{strange[0]} occurs in {name} and not in training, so the network would never learn it; "
                "move one of its subjects to training, or take it out of the data."
            )
    untuned = sorted(known["train"] - known["validation"])
    if untuned:
        raise ManifestError(
            f"{untuned[0]} occurs in training and not in validation, so no threshold could be chosen for it; "
            "move one of its subjects to validation."
        )

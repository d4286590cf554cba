"""Subjects for training, validation and test: each subject in one part, each condition value spread evenly over the parts."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .cases.case import Case, ManifestError


@dataclass(frozen=True)
class Split:
    """Cases by part. Test cases have no say in anything but the scores."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]


def split_cases(cases: Sequence[Case], fractions: tuple[float, float, float], *, seed: int) -> Split:
    """Split ``cases`` by subject, stratified by the condition values of each subject.

    Within a stratum of n subjects, test and validation get ``fractions`` of n rounded, at least one each, training the rest.

    Raises
    ------
    ManifestError
        If a stratum has fewer than three subjects.
    """
    by_subject: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_subject[case.subject].append(case)
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for subject, own in by_subject.items():
        strata[tuple(sorted({value for case in own for value in case.values}))].append(subject)
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for number, (values, subjects) in enumerate(sorted(strata.items())):
        if len(subjects) < 3:
            raise ManifestError(
                f"{', '.join(values)} has {len(subjects)} subject(s); at least 3 are needed, one each for training, validation and test."
            )
        order = np.random.default_rng([seed, number]).permutation(sorted(subjects))
        validation = max(1, round(fractions[1] * len(order)))
        test = max(1, min(round(fractions[2] * len(order)), len(order) - validation - 1))
        parts[2].extend(order[:test])
        parts[1].extend(order[test : test + validation])
        parts[0].extend(order[test + validation :])
    train, validate, held_out = (tuple(case for subject in sorted(part) for case in by_subject[subject]) for part in parts)
    return Split(train, validate, held_out)

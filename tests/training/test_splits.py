from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_film.training.cases.case import Case, ManifestError
from napari_film.training.splits import split_cases

FRACTIONS = (0.6, 0.2, 0.2)


def make_cases(counts: dict[str, int], sessions: int = 1) -> list[Case]:
    return [
        Case(f"sub-{value}{number:03d}", (Path(f"{session}.nii.gz"),), Path("mask.nii.gz"), {"type": value}, (value,))
        for value, count in counts.items()
        for number in range(count)
        for session in range(sessions)
    ]


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), st.integers(3, 30), min_size=1), st.integers(0, 5), st.integers(1, 2))
def test_parts_are_disjoint_whole_and_stratified(counts: dict[str, int], seed: int, sessions: int) -> None:
    cases = make_cases(counts, sessions)
    split = split_cases(cases, FRACTIONS, seed=seed)
    parts = [{case.subject for case in part} for part in (split.train, split.validation, split.test)]
    assert len(parts[0] | parts[1] | parts[2]) == sum(map(len, parts))
    assert sorted(map(id, (*split.train, *split.validation, *split.test))) == sorted(map(id, cases))
    for value, count in counts.items():
        shares = [sum(case.values == (value,) for case in part) // sessions for part in (split.train, split.validation, split.test)]
        assert sum(shares) == count
        assert min(shares) >= 1
        assert all(abs(share - fraction * count) <= 1.5 for share, fraction in zip(shares, FRACTIONS, strict=True))


def test_the_seed_decides() -> None:
    cases = make_cases({"a": 10, "b": 10})
    assert split_cases(cases, FRACTIONS, seed=1) == split_cases(list(reversed(cases)), FRACTIONS, seed=1)
    assert split_cases(cases, FRACTIONS, seed=1) != split_cases(cases, FRACTIONS, seed=2)


def test_too_few_subjects_are_told() -> None:
    with pytest.raises(ManifestError, match=r"b has 2 subject\(s\); at least 3 are needed"):
        split_cases(make_cases({"a": 5, "b": 2}), FRACTIONS, seed=0)

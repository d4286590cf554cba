from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_film.fields import UNKNOWN
from napari_film.training.cases.case import Case, ManifestError
from napari_film.training.splits import Split, split_cases

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


def case_of(subject: str, *values: str, split: str = "") -> Case:
    return Case(subject, (Path("i.nii.gz"),), Path("m.nii.gz"), {}, values, split=split)


def parts_of(split: Split) -> list[set[str]]:
    return [{case.subject for case in part} for part in (split.train, split.validation, split.test)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.sampled_from("abc"), min_size=1), min_size=9, max_size=40), st.integers(0, 3))
def test_subjects_with_several_values_are_never_torn_and_every_value_is_in_every_part(found: list[set[str]], seed: int) -> None:
    """Contrasts, sessions, organs: sets of values of which hardly two are alike."""
    found += [{value} for value in "abc" for _ in range(3)]
    cases = [case_of(f"s{number:02d}", value) for number, values in enumerate(found) for value in sorted(values)]
    parts = parts_of(split := split_cases(cases, FRACTIONS, seed=seed))
    assert sum(map(len, parts)) == len(found)
    for part in (split.train, split.validation, split.test):
        assert {value for case in part for value in case.values} == {"a", "b", "c"}


def test_values_that_no_two_subjects_share_in_the_same_way_are_dealt_out_evenly() -> None:
    sets = ["ab", "ac", "bc", "abc", "a", "b", "c", "ab", "ac", "bc"]
    cases = [case_of(f"s{number}", value) for number, values in enumerate(sets) for value in values]
    for seed in range(8):
        parts = parts_of(split := split_cases(cases, FRACTIONS, seed=seed))
        assert sum(map(len, parts)) == len(sets)
        assert len(parts[0]) >= 4
        for part in (split.train, split.validation, split.test):
            assert {value for case in part for value in case.values} == {"a", "b", "c"}


def test_a_subject_whose_value_is_unknown_trains() -> None:
    cases = [*make_cases({"a": 6}), case_of("odd", UNKNOWN)]
    assert "odd" in parts_of(split_cases(cases, FRACTIONS, seed=0))[0]


def test_what_the_data_say_is_taken() -> None:
    names = ["train", "train", "validation", "test"]
    cases = [case_of(f"s{number}", "a", split=name) for number, name in enumerate(names)]
    assert parts_of(split_cases(cases, FRACTIONS, seed=0)) == [{"s0", "s1"}, {"s2"}, {"s3"}]


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        (
            [("s0", "a", "train"), ("s1", "a", "")],
            r"1 of 2 cases say which part of the split they are in; fill in the column split for all",
        ),
        ([("s0", "a", "train"), ("s0", "a", "test")], r"s0 is in test and train; all cases of a subject belong into one part"),
        ([("s0", "a", "train"), ("s1", "a", "test")], r"No case is for validation; each of train, validation, test needs one subject"),
        (
            [("s0", "a", "train"), ("s1", "b", "validation"), ("s1", "a", "validation"), ("s2", "a", "test")],
            r"b occurs in validation and not in training, so the network would never learn it",
        ),
        (
            [("s0", "a", "train"), ("s1", "a", "validation"), ("s2", "b", "test")],
            r"b occurs in test and not in training",
        ),
        (
            [("s0", "a", "train"), ("s3", "b", "train"), ("s1", "a", "validation"), ("s2", "a", "test")],
            r"b occurs in training and not in validation, so no threshold could be chosen for it",
        ),
    ],
)
def test_a_split_that_cannot_be_trained_on_is_told(cases: list[tuple[str, str, str]], message: str) -> None:
    with pytest.raises(ManifestError, match=message) as told:
        split_cases([case_of(subject, value, split=split) for subject, value, split in cases], FRACTIONS, seed=0)
    assert "\n" not in str(told.value)


def test_one_subject_can_only_be_learnt_by_heart_and_that_is_told() -> None:
    cases = [case_of("s0", "a"), case_of("s0", "b")]
    with pytest.raises(ManifestError, match=r"The data have 1 subject\(s\); at least 3 are needed, .* \(training\.split = \"same\""):
        split_cases(cases, FRACTIONS, seed=0)
    split = split_cases(cases, "same", seed=0)
    assert split.train == split.validation == split.test == tuple(cases)
    assert "the same 2 cases for training, validation and test, so that the scores say nothing about new subjects" in split.told

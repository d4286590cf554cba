"""The statistic against an independent formula, and what is called confounded against what chance does."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from napari_film.training.cases.record import Record
from napari_film.training.check.association import associate
from napari_film.training.check.columns import Column
from napari_film.training.check.confounding import confounding_findings
from napari_film.training.check.finding import Finding


def findings(
    pairs: list[tuple[str, str]], *, subjects: list[str] | None = None, names: tuple[str, str] = ("type", "site")
) -> list[Finding]:
    """What is told of a field and a place, one record a pair."""
    people = subjects or [f"sub-{number}" for number in range(len(pairs))]
    records = [Record(where=person, subject=person, images={}, mask=None, cells={}, origins={}) for person in people]
    field, place = (Column(name, tuple((pair[side],) for pair in pairs)) for side, name in enumerate(names))
    return list(confounding_findings([field], [place], records))


def spread(**counts: tuple[int, ...]) -> list[tuple[str, str]]:
    """``a=(3, 2)``: three a in north, two in south."""
    places = ("north", "south", "west")
    return [(value, place) for value, row in counts.items() for place, count in zip(places, row, strict=False) for _ in range(count)]


def test_the_statistic_is_the_published_one() -> None:
    pairs = spread(a=(12, 3, 1), b=(4, 9, 6), c=(2, 5, 14))
    table = np.array([[12, 3, 1], [4, 9, 6], [2, 5, 14]])
    n = table.sum()
    phi2 = chi2_contingency(table, correction=False).statistic / n - 4 / (n - 1)
    assert associate(pairs).v == pytest.approx(np.sqrt(phi2 / (3 - 4 / (n - 1) - 1)), abs=1e-12)


def test_p_is_that_of_an_exact_test() -> None:
    table = [[7, 2], [2, 6]]
    exact = fisher_exact(table).pvalue
    assert associate(spread(a=(7, 2), b=(2, 6))).p == pytest.approx(exact, abs=0.02)


def test_without_two_values_there_is_nothing_to_tell() -> None:
    assert associate(spread(a=(5, 4))) == associate([("a", "north"), ("b", "north")])
    assert associate(spread(a=(5, 4))).v == 0


def test_what_is_seen_is_said() -> None:
    (found,) = findings(spread(ependymoma=(12, 0), astrocytoma=(2, 10), other=(3, 9)))
    assert (found.kind, found.severity) == ("confounded", "warning")
    assert found.text.startswith("All 12 subjects with type ependymoma have site north, and 5 of the 24 others do (Cramér's V 0.7")
    (found,) = findings(spread(ependymoma=(11, 1), astrocytoma=(2, 10), other=(3, 9)))
    assert found.text.startswith("11 of the 12 subjects with type ependymoma")


def test_three_of_each_at_a_site_of_their_own_are_confounded_whatever_p_says() -> None:
    pairs = spread(a=(3, 0), b=(0, 3))
    assert associate(pairs).p > 0.05
    (found,) = findings(pairs)
    assert found.text.startswith("All 3 subjects with type a have site north, and 0 of the 3 others do")
    assert findings(spread(a=(2, 0), b=(0, 2))) == []


@pytest.mark.parametrize(
    "pairs",
    [
        spread(a=(4, 4), b=(4, 4), c=(4, 4)),
        spread(a=(8, 4), b=(5, 7), c=(4, 8)),
        spread(a=(30, 0), b=(0, 0)),
        [(value, f"serial {number}") for number, value in enumerate("aabbcc" * 3)],
    ],
)
def test_balanced_or_nothing_to_hold_against(pairs: list[tuple[str, str]]) -> None:
    assert findings(pairs) == []


def test_chance_is_hardly_ever_called_confounded() -> None:
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(100):
        pairs = [(str(rng.choice(["a", "b", "c"])), str(rng.choice(["north", "south", "west"]))) for _ in range(24)]
        told += bool(findings(pairs))
    assert told <= 1


def test_several_sessions_of_one_subject_count_once() -> None:
    pairs = spread(a=(2, 2), b=(2, 2)) * 9
    people = [f"sub-{number % 8}" for number in range(len(pairs))]
    assert findings(pairs, subjects=people) == []
    assert findings(spread(a=(1, 0), b=(0, 1)) * 20, subjects=["one", "two"] * 20) == []


def test_columns_that_are_no_place_are_not_held_against_a_field() -> None:
    pairs = spread(a=(9, 0), b=(0, 9))
    assert findings(pairs, names=("type", "hair")) == []
    for name in ("site", "imaging_centre", "Manufacturer", "InstitutionName", "scanner_id", "MagneticFieldStrength"):
        assert len(findings(pairs, names=("type", name))) == 1

"""A field whose values are bins of a number: the same number gives the same value wherever it comes from."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_film.bids import find_metadata
from napari_film.conditioning import MetadataSchema
from napari_film.fields import CategoricalField, MetadataError

TR = CategoricalField(name="TR", values=("short", "middle", "long"), bins=(500, 2000), unit="ms", unknown=True, aliases=("RepetitionTime",))


@given(st.floats(-1e6, 1e6))
def test_a_number_is_in_the_bin_that_begins_at_or_before_it(number: float) -> None:
    expected = "short" if number < 500 else "middle" if number < 2000 else "long"
    for value in (number, repr(number)):
        assert TR.resolve(value) == (expected, None)


def test_names_still_count_and_are_what_is_encoded() -> None:
    assert TR.resolve("Middle") == ("middle", None)
    assert TR.resolve("unknown") == ("unknown", None)
    schema = MetadataSchema(fields=(TR,))
    np.testing.assert_array_equal(schema.encode({"TR": 1999.9}), [0, 1, 0, 0])
    np.testing.assert_array_equal(schema.encode({"TR": "middle"}), [0, 1, 0, 0])
    assert MetadataSchema.model_validate_json(schema.model_dump_json()) == schema


@pytest.mark.parametrize("value", ["slow", "nan", "inf", ""])
def test_what_is_neither_is_told(value: str) -> None:
    with pytest.raises(MetadataError, match=r"choose one of: short, middle, long, unknown, or a number in ms"):
        TR.resolve(value)


@pytest.mark.parametrize(
    ("bins", "values", "message"),
    [
        ((1, 2), ("a", "b"), "has 2 bins between 2 values; one fewer is needed"),
        ((2, 1), ("a", "b", "c"), "has the bins 2.0, 1.0, which are no rising numbers"),
        ((1, 1), ("a", "b", "c"), "which are no rising numbers"),
        ((float("inf"),), ("a", "b"), "which are no rising numbers"),
        ((1,), ("a", "3"), "has bins and calls a value '3'; give it a name"),
    ],
)
def test_bins_that_are_none_are_told(bins: tuple[float, ...], values: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CategoricalField(name="x", values=values, bins=bins)


@pytest.mark.parametrize(("said", "expected"), [(0.4, "short"), (0.5, "middle"), ("2.5 s", "long"), ("700 ms", "middle"), ("long", "long")])
def test_a_sidecar_gives_the_number_in_its_own_unit(tmp_path: Path, said: object, expected: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"RepetitionTime": said}), encoding="utf-8")
    assert find_metadata(tmp_path / "a.nii.gz", MetadataSchema(fields=(TR,))).values["TR"].value == expected


def test_a_unit_of_another_quantity_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"RepetitionTime": "3 mm"}), encoding="utf-8")
    found = find_metadata(tmp_path / "a.nii.gz", MetadataSchema(fields=(TR,)))
    assert not found.values
    assert found.refused == {"TR": "a.json gives TR in 'mm', which cannot be told in 'ms'; it is not used."}

"""Metadata are encoded as the schema says, or refused with its vocabulary; never as zeros."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_film.conditioning import MetadataSchema, spelled
from napari_film.errors import InputError
from napari_film.fields import BY_SLICE, CategoricalField, ContinuousField, MetadataError

words = st.text(st.characters(categories=("L", "N"), max_codepoint=0x24F), min_size=1, max_size=8).filter(
    lambda word: word.casefold() != "unknown"
)
vocabularies = st.lists(words, min_size=1, max_size=5, unique_by=str.casefold)
names = st.lists(words, min_size=1, max_size=4, unique=True)


@st.composite
def schemas(draw: st.DrawFn) -> MetadataSchema:
    fields: list[CategoricalField | ContinuousField] = []
    for name in draw(names):
        unknown = draw(st.booleans())
        if draw(st.booleans()):
            fields.append(CategoricalField(name=name, values=tuple(draw(vocabularies)), unknown=unknown))
        else:
            low, high = sorted(draw(st.tuples(*[st.integers(-1000, 1000)] * 2).filter(lambda pair: pair[0] != pair[1])))
            fields.append(ContinuousField(name=name, minimum=low, maximum=high, unknown=unknown))
    return MetadataSchema(fields=tuple(fields))


def values_of(field: CategoricalField | ContinuousField) -> st.SearchStrategy:
    if isinstance(field, CategoricalField):
        return st.sampled_from(field.choices)
    numbers = st.integers(int(field.minimum), int(field.maximum)).map(float)
    return st.one_of(numbers, st.just("unknown")) if field.unknown else numbers


def test_a_categorical_field_is_one_hot_in_its_own_order(tumor: CategoricalField) -> None:
    schema = MetadataSchema(fields=(tumor,))
    assert schema.width == 3
    for column, value in enumerate(tumor.values):
        assert schema.encode({"tumor_type": value}).tolist() == np.eye(3)[column].tolist()


def test_unknown_is_a_column_of_its_own_where_the_model_was_trained_with_it(site: CategoricalField) -> None:
    schema = MetadataSchema(fields=(site,))
    assert schema.encode({"site": "unknown"}).tolist() == [0, 0, 1]
    assert schema.encode({"site": "Unknown "}).tolist() == [0, 0, 1]


@pytest.mark.parametrize("missing", ["unknown", "UNKNOWN"])
def test_unknown_is_refused_where_the_model_was_not_trained_with_it(tumor: CategoricalField, missing: str) -> None:
    schema = MetadataSchema(fields=(tumor, ContinuousField(name="age", minimum=0, maximum=1)))
    with pytest.raises(MetadataError, match=r"tumor_type is 'unknown', but this model was not trained without it.*hemangioblastoma"):
        schema.encode({"tumor_type": missing, "age": 0})
    with pytest.raises(MetadataError, match=r"age is 'unknown', but this model was not trained without it.*from 0 to 1"):
        schema.encode({"tumor_type": "ependymoma", "age": missing})


@pytest.mark.parametrize("value", ["glioma", "", " ", "astrocytom", "0", "astrocytoma,ependymoma", 0.0])
def test_a_value_outside_the_vocabulary_lists_the_vocabulary(tumor: CategoricalField, value: str) -> None:
    with pytest.raises(MetadataError, match=r"tumor_type is .*one of: astrocytoma, ependymoma, hemangioblastoma\."):
        MetadataSchema(fields=(tumor,)).encode({"tumor_type": value})


@pytest.mark.parametrize("spelling", ["hemangioblastoma", "Hemangioblastoma", "HB", "hb", "haemangio-blastoma", " HEMANGIO_BLASTOMA "])
def test_synonyms_case_spaces_hyphens_and_underscores_are_one_value(tumor: CategoricalField, spelling: str) -> None:
    resolved = MetadataSchema(fields=(tumor,)).resolve({"tumor_type": spelling})
    assert dict(resolved.values) == {"tumor_type": "hemangioblastoma"}
    assert resolved.notices == ()


def test_signs_are_values_too() -> None:
    schema = MetadataSchema(fields=(CategoricalField(name="marker", values=("+", "-")),))
    assert schema.encode({"marker": "-"}).tolist() == [0, 1]
    with pytest.raises(MetadataError, match=r"one of: \+, -"):
        schema.encode({"marker": ""})


def test_a_number_is_its_shares_of_both_ends(age: ContinuousField) -> None:
    schema = MetadataSchema(fields=(age,))
    for value, columns in {0: [1, 0], 25: [0.75, 0.25], "100": [0, 1]}.items():
        assert schema.encode({"age": value}).tolist() == columns
    known = MetadataSchema(fields=(age.model_copy(update={"unknown": True}),))
    assert known.encode({"age": 25}).tolist() == [0.75, 0.25, 0]
    assert known.encode({"age": "unknown"}).tolist() == [0, 0, 1]


def test_a_number_outside_is_clamped_and_told_or_refused(age: ContinuousField) -> None:
    resolved = MetadataSchema(fields=(age,)).resolve({"age": 130})
    assert resolved.values["age"] == 100
    assert resolved.notices == ("age is 130, outside of what this model was trained on; 100 is used instead.",)
    assert MetadataSchema(fields=(age,)).resolve({"age": -1}).values["age"] == 0
    assert MetadataSchema(fields=(age,)).resolve({"age": 100}).notices == ()
    strict = MetadataSchema(fields=(age.model_copy(update={"outside": "refuse"}),))
    with pytest.raises(MetadataError, match=r"age is 100\.0000001, outside .* a number from 0 to 100 years\."):
        strict.encode({"age": 100.0000001})


@pytest.mark.parametrize("value", ["old", "", "nan", "inf", "-inf", float("nan"), "1,5"])
def test_what_is_no_number_is_refused(age: ContinuousField, value: str) -> None:
    with pytest.raises(MetadataError, match="no number; give a number from 0 to 100 years"):
        MetadataSchema(fields=(age,)).encode({"age": value})


def test_missing_and_foreign_fields_are_refused(tumor: CategoricalField, site: CategoricalField) -> None:
    schema = MetadataSchema(fields=(tumor, site))
    with pytest.raises(MetadataError, match=r"site is missing; give one of: north, south, unknown\."):
        schema.encode({"tumor_type": "ependymoma"})
    with pytest.raises(MetadataError, match=r"no field 'centre'; its fields are tumor_type, site\."):
        schema.encode({"tumor_type": "ependymoma", "site": "north", "centre": "north"})
    with pytest.raises(MetadataError, match="none: it takes no metadata"):
        MetadataSchema().encode({"site": "north"})
    assert MetadataSchema().encode({}).shape == (0,)
    assert issubclass(MetadataError, InputError)


def test_columns_follow_the_order_of_the_fields_not_of_the_metadata(
    tumor: CategoricalField, site: CategoricalField, age: ContinuousField
) -> None:
    schema = MetadataSchema(fields=(site, age, tumor))
    metadata = {"tumor_type": "ependymoma", "age": 25, "site": "south"}
    assert schema.encode(metadata).tolist() == [0, 1, 0, 0.75, 0.25, 0, 1, 0]
    assert list(schema.resolve(metadata).values) == ["site", "age", "tumor_type"]
    assert schema.width == 8
    assert schema.target == tumor
    assert MetadataSchema(fields=(site, age)).target is None


def test_what_resolves_resolves_to_itself(tumor: CategoricalField, site: CategoricalField, age: ContinuousField) -> None:
    schema = MetadataSchema(fields=(tumor, site, age))
    once = schema.resolve({"tumor_type": "hb", "site": "UNKNOWN", "age": 200})
    again = schema.resolve(once.values)
    assert again.values == once.values
    assert again.notices == ()


@given(data=st.data(), schema=schemas())
def test_no_metadata_are_all_zeros_and_no_two_are_alike(data: st.DataObject, schema: MetadataSchema) -> None:
    first, second = ({field.name: data.draw(values_of(field)) for field in schema} for _ in range(2))
    condition = schema.encode(first)
    assert condition.shape == (schema.width,)
    assert condition.dtype == np.float32
    start = 0
    for field in schema:
        columns = condition[start : start + field.width]
        assert columns.min() >= 0
        assert columns.sum() == pytest.approx(1)
        start += field.width
    assume(first != second)
    assert not np.array_equal(condition, schema.encode(second))


@given(schema=schemas())
def test_a_schema_survives_its_json(schema: MetadataSchema) -> None:
    assert MetadataSchema.model_validate_json(schema.model_dump_json()) == schema


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": ()}, "has no values"),
        ({"values": ("a", "a")}, "has a value twice"),
        ({"values": ("a", "A")}, "stands for both"),
        ({"values": ("low grade", "low-grade")}, "stands for both"),
        ({"values": ("a", "Unknown")}, "stands for both"),
        ({"values": ("a", "b"), "synonyms": {"a": ("B",)}}, "stands for both"),
        ({"values": ("a",), "synonyms": {"c": ("x",)}}, "synonyms for values that it lacks"),
        ({"values": ("a", " ")}, "empty value"),
    ],
)
def test_a_vocabulary_that_cannot_be_told_apart_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CategoricalField(name="field", **options)


@pytest.mark.parametrize("ends", [(1, 1), (2, 1), (0, float("inf")), (float("nan"), 1)])
def test_a_range_is_a_range(ends: tuple) -> None:
    with pytest.raises(ValueError, match="which is none"):
        ContinuousField(name="age", minimum=ends[0], maximum=ends[1])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (("a", " "), (), "field 'site' has an empty alias"),
        (("Manufacturer",), ("manu_facturer",), "the alias 'manu_facturer' of field 'age' stands for 'site' too"),
        (("Age",), (), "the alias 'Age' of field 'site' stands for 'age' too"),
    ],
)
def test_aliases_that_cannot_be_told_apart_are_refused(first: tuple, second: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MetadataSchema(
            fields=(
                CategoricalField(name="site", values=("north",), aliases=first),
                ContinuousField(name="age", minimum=0, maximum=1, aliases=second),
            )
        )


def test_aliases_are_stored_with_the_schema() -> None:
    schema = MetadataSchema(fields=(CategoricalField(name="site", values=("north",), aliases=("Manufacturer", "Site")),))
    assert MetadataSchema.model_validate_json(schema.model_dump_json()) == schema
    assert schema["site"].aliases == ("Manufacturer", "Site")


def test_fields_have_names_of_their_own_and_one_target(tumor: CategoricalField) -> None:
    with pytest.raises(ValueError, match="two fields have one name"):
        MetadataSchema(fields=(tumor, tumor))
    with pytest.raises(ValueError, match="more than one field is a target"):
        MetadataSchema(fields=(tumor, CategoricalField(name="organ", role="target", values=("liver",))))
    with pytest.raises(ValueError, match="only a categorical field can be"):
        ContinuousField(name="age", role="target", minimum=0, maximum=1)


POSITION = ContinuousField(name="slice_position", minimum=2, maximum=12, unit="cm", per_slice="position")


@given(n=st.integers(1, 40), unknown=st.booleans(), value=st.floats(0, 1, width=32), data=st.data())
def test_a_field_that_is_per_slice_is_filled_in_slice_by_slice(n: int, unknown: bool, value: float, data: st.DataObject) -> None:
    field = POSITION.model_copy(update={"unknown": unknown})
    phase = CategoricalField(name="phase", values=("ED", "ES"))
    schema = MetadataSchema(fields=data.draw(st.permutations([phase, field, ContinuousField(name="other", minimum=0, maximum=1)])))
    told = {"phase": "ES", "other": value}
    for metadata in (told, {**told, "slice_position": BY_SLICE}, {**told, "slice_position": "By-Slice"}):
        assert schema.resolve(metadata).values["slice_position"] == BY_SLICE
        condition = tuple(map(float, schema.encode(metadata)))
        assert len(condition) == schema.width
        assert schema.is_by_slice(condition)
        for k in range(n):
            share = k / (n - 1) if n > 1 else 0.5
            expected = tuple(map(float, schema.encode({**told, "slice_position": 2 + 10 * share})))
            assert schema.at_slice(condition, k, n) == pytest.approx(expected, abs=1e-6)
            assert min(schema.at_slice(condition, k, n)) >= 0
            assert not schema.is_by_slice(expected)
            assert schema.at_slice(expected, k, n) == expected  # one number for all slices stays that


@given(numbers=st.lists(st.floats(2, 12), min_size=2, max_size=12), spaces=st.sampled_from(["", " "]))
def test_one_number_per_slice_is_taken_slice_by_slice(numbers: list[float], spaces: str) -> None:
    schema = MetadataSchema(fields=(CategoricalField(name="phase", values=("ED", "ES")), POSITION))
    n = len(numbers)
    text = f",{spaces}".join(f"{number:.12g}" for number in numbers)
    resolved = schema.resolve({"phase": "ED", "slice_position": text})
    assert resolved.values["slice_position"] == ",".join(f"{number:.12g}" for number in numbers)
    condition = tuple(map(float, schema.encode(resolved.values)))
    assert len(condition) == n * schema.width
    assert schema.is_by_slice(condition)
    for k, number in enumerate(numbers):
        assert schema.at_slice(condition, k, n) == pytest.approx(tuple(schema.encode({"phase": "ED", "slice_position": number})), abs=1e-6)
    with pytest.raises(
        MetadataError, match=rf"^slice_position came with {n} numbers, and the image has {n + 1} slices; give one number per"
    ):
        schema.at_slice(condition, 0, n + 1)


def test_numbers_in_a_sequence_lose_no_digits_and_are_one_per_slice() -> None:
    third = POSITION.model_copy(update={"minimum": 0, "maximum": 2 / 3, "unknown": True})
    schema = MetadataSchema(fields=(third,))
    for numbers in ([0, 1 / 3, 2 / 3], np.array([0, 1 / 3, 2 / 3])):
        condition = schema.encode(spelled({"slice_position": numbers}, 3))
        assert condition.reshape(3, 3) == pytest.approx(np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]]))
    assert spelled({"slice_position": [0.5, "unknown"], "phase": "ED"}, 2) == {"slice_position": "0.5,unknown", "phase": "ED"}
    assert schema.encode(spelled({"slice_position": np.array(1 / 3)}, 7)).tolist() == [0.5, 0.5, 0]
    with pytest.raises(MetadataError, match="slice_position came with 1 number, and the image has 3 slices; give one number per slice"):
        spelled({"slice_position": [0.5]}, 3)
    with pytest.raises(MetadataError, match="slice_position is 'None', which is no number"):
        schema.encode(spelled({"slice_position": [None, 0.5]}, 2))


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("2,,5", "slice_position has no number for slice 2; give one for each slice, or 'by slice'"),
        ("2,3,", "slice_position has no number for slice 3"),
        ("2,x", r"slice_position is 'x', which is no number; give a number from 2 to 12 cm"),
        ("2,13", "slice_position is 13, outside of what this model was trained on"),
        ("slices", "slice_position is 'slices', which is no number; give a number from 2 to 12 cm, or 'by slice', or one number per slice"),
        ("unknown", "was not trained without it"),
    ],
)
def test_what_is_no_value_of_a_field_that_is_per_slice(value: str, complaint: str) -> None:
    with pytest.raises(MetadataError, match=complaint):
        MetadataSchema(fields=(POSITION,)).resolve({"slice_position": value})


def test_only_a_field_that_is_per_slice_takes_the_word(age: ContinuousField) -> None:
    assert age.default == 50
    assert POSITION.default == POSITION.model_copy(update={"unknown": True}).default == BY_SLICE
    with pytest.raises(MetadataError, match="age is 'by slice', which is no number"):
        age.resolve(BY_SLICE)
    with pytest.raises(MetadataError, match=r"age is '1,2', which is no number"):
        age.resolve("1,2")
    two = MetadataSchema(fields=(POSITION, POSITION.model_copy(update={"name": "other"})))
    with pytest.raises(MetadataError, match="slice_position has 2 numbers and other has 3; give each one number per slice"):
        two.encode({"slice_position": "2,3", "other": "2,3,4"})
    assert POSITION.model_copy(update={"outside": "clamp"}).resolve("1,5,13") == (
        "2,5,12",
        "slice_position is 1, outside of what this model was trained on; 2 is used instead. "
        "slice_position is 13, outside of what this model was trained on; 12 is used instead.",
    )

"""Weights for the values of one field: read and written in words, averaged exactly, and refused where they make no sense."""

import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from napari_film.conditioning import MetadataSchema
from napari_film.fields import CategoricalField, ContinuousField, MetadataError
from napari_film.inference.kept import Kept
from napari_film.inference.mixture import Mixture, mix

TYPE = CategoricalField(
    name="tumor_type",
    values=("astrocytoma", "ependymoma", "hemangioblastoma"),
    synonyms={"hemangioblastoma": ("HB",)},
    unknown=True,
)
ORGAN = CategoricalField(name="organ", role="target", values=("liver", "spleen"))
AGE = ContinuousField(name="age", minimum=0, maximum=100, unit="years", outside="clamp")
SCHEMA = MetadataSchema(fields=(ORGAN, TYPE, AGE))
REST = {"organ": "spleen", "age": 25}


@st.composite
def shares(draw: st.DrawFn, count: int | None = None) -> list[int]:
    """Whole percents that sum to 100."""
    count = count or draw(st.integers(1, 6))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=count - 1, max_size=count - 1)))
    return [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(percent=shares(), seed=st.integers(0, 99), shape=st.sampled_from([(), (7,), (2, 3, 5)]))
def test_a_mean_is_exact(percent: list[int], seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    planes = [rng.integers(0, 256, shape, np.uint8) if shape else np.uint8(rng.integers(256)) for _ in percent]
    found = mix(planes, percent)
    assert found.shape == shape
    assert found.dtype == np.uint8
    for index in np.ndindex(shape):
        assert found[index] == sum(weight * int(plane[index]) for weight, plane in zip(percent, planes, strict=True)) // 100


def test_extremes_do_not_overflow_and_a_mean_goes_into_a_view() -> None:
    full = np.full((3, 4), 255, np.uint8)
    assert (mix([full] * 5, [1, 9, 20, 30, 40]) == 255).all()
    stack = np.zeros((2, 3, 4), np.uint8)
    mix([full, 0 * full], [60, 40], out=stack[1])
    assert (stack[1] == 153).all()
    assert not stack[0].any()


def test_a_large_mean_takes_no_whole_volume_beside_it() -> None:
    parts = [np.full((20, 512, 512), value, np.uint8) for value in (0, 100, 200)]
    tracemalloc.start()
    try:
        found = mix(parts, [50, 25, 25])
        assert tracemalloc.get_traced_memory()[1] < parts[0].size + 8 * 2**20
    finally:
        tracemalloc.stop()
    assert (found == 75).all()


@pytest.mark.parametrize(("arrays", "percent"), [(2, [100]), (2, [50, 49]), (2, [120, -20]), (0, [])])
def test_percents_that_are_no_weights_are_refused(arrays: int, percent: list[int]) -> None:
    with pytest.raises(ValueError, match=r"percents \(.*which sum to 100"):
        mix([np.zeros(3, np.uint8)] * arrays, percent)


def test_kept_probabilities_are_averaged_where_all_were_computed() -> None:
    rng = np.random.default_rng(0)
    parts = [Kept.empty(2, (4, 3, 5)) for _ in range(3)]
    for number, part in enumerate(parts):
        for index in range(number, 4):
            part.put(index, rng.integers(0, 256, (2, 3, 5), np.uint8))
    mixed = Kept.mixed(parts, [20, 30, 50])
    assert mixed.computed.tolist() == [False, False, True, True]
    expected = sum(percent * part.q.astype(int) for percent, part in zip([20, 30, 50], parts, strict=True)) // 100
    assert np.array_equal(mixed.q[:, 2:], expected[:, 2:])
    assert Kept.mixed(parts[:1], [100]) is parts[0]


def test_components_are_the_values_with_a_weight_in_the_order_of_the_vocabulary() -> None:
    mixture = Mixture(field="tumor_type", percent={"HB": 30, "ependymoma": 0, "astrocytoma": 70})
    found = mixture.components(SCHEMA, {**REST, "tumor_type": "ependymoma", "age": 130})
    assert [(percent, dict(metadata.values)) for percent, metadata in found] == [
        (70, {"organ": "spleen", "tumor_type": "astrocytoma", "age": 100}),
        (30, {"organ": "spleen", "tumor_type": "hemangioblastoma", "age": 100}),
    ]
    assert all("age is 130" in metadata.notices[0] for _, metadata in found)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(percent=shares(3))
def test_a_blended_condition_lies_between_those_of_its_values(percent: list[int]) -> None:
    mixture = Mixture(field="tumor_type", percent=dict(zip(TYPE.values, percent, strict=True)), mode="blended")
    condition = mixture.blended_condition(SCHEMA, REST)
    assert condition.dtype == np.float32
    assert condition.tolist() == np.float32([0, 1, *(weight / 100 for weight in percent), 0, 0.75, 0.25]).tolist()
    assert mixture.off_distribution == (max(percent) < 100)
    assert len(mixture.notices) == (max(percent) < 100)
    assert Mixture(field="tumor_type", percent=mixture.percent).notices == ()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(percent=shares(3), own=st.lists(st.tuples(st.integers(1, 255), st.integers(1, 255)), min_size=3, max_size=3))
def test_thresholds_are_the_mean_rounded_half_up(percent: list[int], own: list[tuple[int, int]], make_header: Callable) -> None:
    entries = [{"when": {"tumor_type": value}, "classes": classes} for value, classes in zip(TYPE.values, own, strict=True)]
    header = make_header(*SCHEMA, classes=("a", "b"), header={"thresholds": entries})
    found = Mixture(field="tumor_type", percent=dict(zip(TYPE.values, percent, strict=True))).thresholds(header, REST)
    for label in range(2):
        mean = sum(Fraction(weight, 100) * classes[label] for weight, classes in zip(percent, own, strict=True))
        assert found[label] == (mean + Fraction(1, 2)) // 1


@pytest.mark.parametrize(
    ("text", "percent"),
    [
        ("tumor_type: astrocytoma=60, ependymoma=40", {"astrocytoma": 60, "ependymoma": 40}),
        ("tumor_type:hb = 60 %,Astro Cytoma= 40%", {"hemangioblastoma": 60, "astrocytoma": 40}),
        ("tumor_type: ependymoma=100, astrocytoma=0", {"ependymoma": 100, "astrocytoma": 0}),
    ],
)
def test_weights_are_read(text: str, percent: dict[str, int]) -> None:
    mixture = Mixture.parse(text, schema=SCHEMA, mode="blended")
    assert mixture == Mixture(field="tumor_type", percent=percent, mode="blended")


NAMES = st.lists(st.text(min_size=1, max_size=8).filter(str.strip), min_size=2, max_size=4)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(name=st.text(min_size=1, max_size=6), values=NAMES, data=st.data())
def test_what_is_written_is_read_back(name: str, values: list[str], data: st.DataObject) -> None:
    try:
        field = CategoricalField(name=name, values=tuple(values))
    except ValidationError:  # two spellings of one value
        return
    schema = MetadataSchema(fields=(field, CategoricalField(name=f"{name}:", values=("x", "y"))))
    percent = data.draw(shares(len(values)))
    mixture = Mixture(field=name, percent=dict(zip(values, percent, strict=True)))
    read = Mixture.parse(mixture.text, schema=schema)
    rest = {f"{name}:": "x"}
    assert read.components(schema, rest) == mixture.components(schema, rest)
    assert read.text == mixture.text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"^The weights are given as ''; write FIELD: VALUE=PERCENT, ..., for example tumor_type: astrocytoma=60, hemangio.*=40\.$"),
        ("astrocytoma=60", "^The weights are given as 'astrocytoma=60'; write FIELD: VALUE"),
        ("tumour: a=100", "^This model has no field 'tumour'; its fields are organ, tumor_type, age"),
        ("organ: liver=50, spleen=50", r"^organ is what is looked for; weights are for context fields \(tumor_type\)\.$"),
        ("age: 20=50, 30=50", "^age is a number from 0 to 100 years; weights are for fields with values to choose from"),
        ("tumor_type:", "^The weights of tumor_type sum to 0; give whole percents that sum to 100"),
        ("tumor_type: HB=60, ependymoma=30", "^The weights of tumor_type sum to 90"),
        ("tumor_type: HB", "^A weight of tumor_type is given as 'HB'; write FIELD"),
        ("tumor_type: HB=60,", "^A weight of tumor_type is given as ''; write FIELD"),
        ("tumor_type: HB=0.6, ependymoma=0.4", "^The weight of hemangioblastoma is '0.6'; give a whole percent from 0 to 100"),
        ("tumor_type: HB=-10, ependymoma=110", "^The weight of hemangioblastoma is '-10'; give a whole percent"),
        ("tumor_type: HB=", "^The weight of hemangioblastoma is ''; give a whole percent"),
        ("tumor_type: glioma=100", "^tumor_type is 'glioma', which this model does not know; choose one of: astrocytoma"),
        ("tumor_type: HB=50, hemangioblastoma=50", "^hemangioblastoma has two weights; give it one"),
        ("tumor_type: HB=50, unknown=50", "^tumor_type is 'unknown' as a whole or not at all; give weights to: astrocytoma"),
        ("tumor_type: HB=100\nastrocytoma=50", "sum to 150"),
        ("tumor_type: " + "x" * 200_000, "^The weights cannot be read"),
    ],
)
def test_weights_that_cannot_be_read_are_told(text: str, sentence: str) -> None:
    with pytest.raises(MetadataError, match=sentence):
        Mixture.parse(text, schema=SCHEMA)


@pytest.mark.parametrize(
    ("field", "percent", "sentence"),
    [
        ("organ", {"liver": 100}, "organ is what is looked for"),
        ("age", {"3": 100}, "values to choose from"),
        ("site", {"north": 100}, "no field 'site'"),
        ("tumor_type", {"glioma": 100}, "'glioma', which this model does not know"),
        ("tumor_type", {"HB": 50, "hemangioblastoma": 50}, "hemangioblastoma has two weights"),
    ],
)
def test_a_mixture_that_the_schema_does_not_take_is_told(field: str, percent: dict[str, int], sentence: str) -> None:
    mixture = Mixture(field=field, percent=percent)
    with pytest.raises(MetadataError, match=sentence):
        mixture.components(SCHEMA, REST)
    with pytest.raises(MetadataError, match=sentence):
        mixture.blended_condition(SCHEMA, REST)


def test_metadata_that_are_missing_beside_a_mixture_are_told() -> None:
    with pytest.raises(MetadataError, match="age is missing; give a number"):
        Mixture(field="tumor_type", percent={"HB": 100}).components(SCHEMA, {"organ": "liver"})


@pytest.mark.parametrize("percent", [{}, {"HB": 99}, {"HB": 130, "ependymoma": -30}])
def test_weights_sum_to_100(percent: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="whole percents that sum to 100 are expected"):
        Mixture(field="tumor_type", percent=percent)


def test_a_model_without_context_says_so(tumor: Any) -> None:
    with pytest.raises(MetadataError, match="this model has none with values to choose from"):
        Mixture.parse("", schema=MetadataSchema(fields=(tumor,)))
    with pytest.raises(MetadataError, match=r"tumor_type is what is looked for.*this model has none"):
        Mixture.parse("tumor_type: HB=100", schema=MetadataSchema(fields=(tumor,)))

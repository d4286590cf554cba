"""What is chosen to be seen, and what could be chosen next."""

import numpy as np
import pytest

from napari_film.fields import MetadataError
from napari_film.inference.mixture import Mixture
from napari_film.plugin.choice import Choice


def test_before_anybody_chose(make_header, tumor, site, age):
    choice = Choice.first(make_header(site, tumor, age))
    (member,) = choice.members()
    assert dict(member.metadata.values) == {"site": "unknown", "tumor_type": "astrocytoma", "age": 50.0}
    assert member.parts == ((100, choice.conditions()[0]),)
    assert not choice.all_values


def test_others_change_one_field_at_a_time(make_header, tumor, site, age):
    header = make_header(tumor, site, age)
    choice, _ = Choice.first(header).with_metadata({"tumor_type": "ependymoma", "site": "north", "age": 30})
    expected = [
        {"tumor_type": "astrocytoma", "site": "north", "age": 30.0},
        {"tumor_type": "hemangioblastoma", "site": "north", "age": 30.0},
        {"tumor_type": "ependymoma", "site": "south", "age": 30.0},
        {"tumor_type": "ependymoma", "site": "unknown", "age": 30.0},
    ]
    assert choice.others() == [tuple(header.metadata_schema.encode(values).tolist()) for values in expected]


def test_all_values_of_the_target_and_the_rest_as_chosen(make_header, tumor, site):
    choice, _ = Choice.first(make_header(site, tumor)).with_metadata({"tumor_type": "ependymoma", "site": "north"})
    everything = choice.with_all_values(True)
    assert [dict(member.metadata.values) for member in everything.members()] == [
        {"site": "north", "tumor_type": value} for value in tumor.values
    ]
    assert everything.others() == []
    assert everything.with_all_values(False) == choice


def test_without_a_target_there_is_nothing_to_join(make_header, site):
    choice = Choice.first(make_header(site))
    assert choice.with_all_values(True) == choice


def test_a_plain_model_has_one_mask(make_header):
    choice = Choice.first(make_header())
    assert choice.conditions() == [()]
    assert choice.others() == []


def test_conditions_tell_values_apart(make_header, tumor):
    choice = Choice.first(make_header(tumor)).with_all_values(True)
    assert np.array_equal(choice.conditions(), np.eye(3))


def test_what_the_schema_refuses_makes_no_choice(make_header, tumor):
    with pytest.raises(MetadataError, match="glioma"):
        Choice.first(make_header(tumor)).with_metadata({"tumor_type": "glioma"})


def test_steps_go_round(make_header, tumor, site):
    choice = Choice.first(make_header(tumor, site))
    values = [choice.stepped("tumor_type", by).metadata["tumor_type"] for by in (1, 2, 3, -1)]
    assert values == ["ependymoma", "hemangioblastoma", "astrocytoma", "hemangioblastoma"]
    assert choice.stepped("site", 1).metadata == {**choice.metadata, "site": "north"}, "unknown is the last of the choices"


def test_steps_of_a_number_go_from_point_to_point(make_header, age):
    header = make_header(age)
    choice = Choice.first(header)
    assert choice.stepped("age", 1).metadata["age"] == 75
    between, _ = choice.with_metadata({"age": 60})
    assert between.stepped("age", 1).metadata["age"] == 75
    assert between.stepped("age", -1).metadata["age"] == 50
    assert choice.with_metadata({"age": 100})[0].stepped("age", 1).metadata["age"] == 0


def test_a_comparison_begins_with_the_next_value_of_the_target(make_header, tumor, site, age):
    assert Choice.first(make_header(site, tumor)).another().metadata["tumor_type"] == "ependymoma"
    assert Choice.first(make_header(site)).another().metadata["site"] == "north"
    plain = Choice.first(make_header(age))
    assert plain.another() == plain


def test_an_expected_mask_needs_every_value_with_a_weight(make_header, tumor, site):
    choice = Choice.first(make_header(tumor, site)).with_mixture(Mixture(field="site", percent={"north": 70, "south": 30}))
    (member,) = choice.members()
    assert [percent for percent, _ in member.parts] == [70, 30]
    assert choice.conditions() == [(1, 0, 0, 1, 0, 0), (1, 0, 0, 0, 1, 0)]


def test_a_blended_mask_needs_one_condition_of_its_own(make_header, tumor, site):
    mixture = Mixture(field="site", percent={"north": 75, "south": 25}, mode="blended")
    choice = Choice.first(make_header(tumor, site)).with_all_values(True).with_mixture(mixture)
    assert choice.conditions() == [(*row, 0.75, 0.25, 0) for row in np.eye(3)]


def test_what_is_looked_for_takes_no_weights(make_header, tumor, site):
    choice = Choice.first(make_header(tumor, site))
    with pytest.raises(MetadataError, match="tumor_type"):
        choice.with_mixture(Mixture(field="tumor_type", percent={"astrocytoma": 100}))

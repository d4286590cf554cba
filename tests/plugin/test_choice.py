"""What is chosen to be seen, and what could be chosen next."""

import numpy as np
import pytest

from napari_film.conditioning import MetadataError
from napari_film.plugin.choice import Choice


def test_before_anybody_chose(make_header, tumor, site, age):
    choice = Choice.first(make_header(site, tumor, age))
    (metadata,) = choice.shown()
    assert dict(metadata.values) == {"site": "unknown", "tumor_type": "astrocytoma", "age": 50.0}
    assert not choice.all_values


def test_others_change_one_field_at_a_time(make_header, tumor, site, age):
    choice, _ = Choice.first(make_header(tumor, site, age)).with_metadata({"tumor_type": "ependymoma", "site": "north", "age": 30})
    others = [dict(metadata.values) for metadata in choice.others()]
    assert others == [
        {"tumor_type": "astrocytoma", "site": "north", "age": 30.0},
        {"tumor_type": "hemangioblastoma", "site": "north", "age": 30.0},
        {"tumor_type": "ependymoma", "site": "south", "age": 30.0},
        {"tumor_type": "ependymoma", "site": "unknown", "age": 30.0},
    ]


def test_all_values_of_the_target_and_the_rest_as_chosen(make_header, tumor, site):
    choice, _ = Choice.first(make_header(site, tumor)).with_metadata({"tumor_type": "ependymoma", "site": "north"})
    everything = choice.with_all_values(True)
    assert [dict(metadata.values) for metadata in everything.shown()] == [{"site": "north", "tumor_type": value} for value in tumor.values]
    assert everything.others() == []
    assert everything.with_all_values(False) == choice


def test_without_a_target_there_is_nothing_to_join(make_header, site):
    choice = Choice.first(make_header(site))
    assert choice.with_all_values(True) == choice


def test_a_plain_model_has_one_mask(make_header):
    choice = Choice.first(make_header())
    (metadata,) = choice.shown()
    assert choice.condition(metadata) == ()
    assert choice.others() == []


def test_conditions_tell_values_apart(make_header, tumor):
    choice = Choice.first(make_header(tumor)).with_all_values(True)
    assert np.array_equal([choice.condition(metadata) for metadata in choice.shown()], np.eye(3))


def test_what_the_schema_refuses_makes_no_choice(make_header, tumor):
    with pytest.raises(MetadataError, match="glioma"):
        Choice.first(make_header(tumor)).with_metadata({"tumor_type": "glioma"})

"""Where a value is from, for every state that a field can be in."""

import pytest

from napari_film.bids import Found
from napari_film.fields import UNKNOWN
from napari_film.plugin.value_origin import DEFAULT, YOU, ValueOrigin, origin_of

FILE = Found("ependymoma", "participants.tsv", "EP")


@pytest.mark.parametrize(
    ("value", "found", "by_person", "origin"),
    [
        (UNKNOWN, None, False, ValueOrigin(DEFAULT)),
        (UNKNOWN, None, True, ValueOrigin(YOU)),
        (UNKNOWN, FILE, False, ValueOrigin(DEFAULT, FILE)),
        (UNKNOWN, FILE, True, ValueOrigin(YOU, FILE)),
        ("ependymoma", None, False, ValueOrigin(YOU)),  # neither a file nor the model says so
        ("ependymoma", None, True, ValueOrigin(YOU)),
        ("ependymoma", FILE, False, ValueOrigin("participants.tsv")),
        ("ependymoma", FILE, True, ValueOrigin(YOU)),
        ("astrocytoma", FILE, False, ValueOrigin(YOU, FILE)),
        ("astrocytoma", FILE, True, ValueOrigin(YOU, FILE)),
    ],
)
def test_of_a_choice(value, found, by_person, origin):
    assert origin_of(value, default=UNKNOWN, found=found, by_person=by_person) == origin


def test_of_a_number():
    found = Found(0.1 + 0.2, "image.json", "0.3")
    assert origin_of(0.3, default=45.0, found=found, by_person=False) == ValueOrigin("image.json")
    assert origin_of(0.31, default=45.0, found=found, by_person=False) == ValueOrigin(YOU, found)
    assert origin_of(UNKNOWN, default=45.0, found=found, by_person=True) == ValueOrigin(YOU, found)
    assert origin_of(45.0, default=45.0, found=None, by_person=False) == ValueOrigin(DEFAULT)

import pytest

from napari_film.training.check.spelling import nearest, spelled_alike


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("astrocytoma", "astrocytomas"),
        ("Astrocytoma", "astrocytoma "),
        ("grade-2", "Grade 2"),
        ("T1w", "t1W"),
        ("Köln", "Koeln"),
        ("Köln", "koln"),
        ("Zürich", "Zu\u0308rich"),
        ("Orléans", "Orleans"),
        ("hemangioblastoma", "haemangioblastoma"),
        ("ependymoma", "epndymoma"),
        ("ependymoma", "ependyoma"),
        ("ependymoma", "epednymoma"),
        ("north", "nroth"),
        ("liver", "livr"),
        ("meningioma", "meninigoma"),
        ("1.5 T", "1.5T"),
        ("1,5 T", "1.5 T"),
    ],
)
def test_one_value_in_two_spellings(one: str, other: str) -> None:
    assert spelled_alike(one, other)
    assert spelled_alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("grade 1", "grade 2"),
        ("grade II", "grade III"),
        ("T1w", "T2w"),
        ("1.5 T", "15 T"),
        ("1.5 T", "3 T"),
        ("IDH+", "IDH-"),
        ("type A", "type B"),
        ("left", "right"),
        ("left", "lift"),
        ("male", "female"),
        ("north", "south"),
        ("proximal", "distal"),
        ("intramedullary", "extramedullary"),
        ("astrocytoma", "ependymoma"),
        ("cervical", "thoracic"),
        ("lesion", "lesions of the liver"),
        ("F", "M"),
        ("<50", ">50"),
        ("site 10", "site 1"),
        ("ED", "ES"),
        ("arterial", "venous"),
        ("liver", "kidney"),
    ],
)
def test_two_values(one: str, other: str) -> None:
    assert not spelled_alike(one, other)
    assert not spelled_alike(other, one)


def test_the_nearest_of_a_vocabulary() -> None:
    known = ("astrocytoma", "ependymoma")
    assert nearest("ependimoma", known) == "ependymoma"
    assert nearest("glioma", known) is None

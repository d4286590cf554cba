"""Metadata from the files around an image: which file decides, how it is understood, and what cannot be used."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_film.bids import Found, find_metadata, likeness
from napari_film.bids.units import convert
from napari_film.conditioning import MetadataSchema
from napari_film.fields import CategoricalField, ContinuousField

IMAGE = "sub-01/ses-2/anat/sub-01_ses-2_acq-fast_T1w.nii.gz"
TYPES = ("astrocytoma", "ependymoma", "hemangioblastoma")
AGE = ContinuousField(name="age", minimum=0, maximum=1200, unit="years", outside="clamp")


class Files:
    """A folder that tests write to; images are empty, since nobody reads them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, content: Any = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return file

    def participants(self, *rows: str, columns: str = "participant_id\ttumor_type", **description: Any) -> None:
        self.write("participants.tsv", "\n".join([columns, *rows]) + "\n")
        if description:
            self.write("participants.json", description)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def tree(files: Files) -> Files:
    """A BIDS tree with one image, which no file says anything about."""
    files.write("dataset_description.json", {"Name": "test", "BIDSVersion": "1.9.0"})
    files.write(IMAGE)
    return files


def field_of(**options: Any) -> CategoricalField:
    return CategoricalField(**{"name": "tumor_type", "values": TYPES, "synonyms": {TYPES[2]: ("HB",)}, **options})


def found_in(files: Files, *fields: CategoricalField | ContinuousField, image: str = IMAGE) -> dict[str, Found]:
    """Look up; nothing may have been told."""
    found = find_metadata(files.root / image, MetadataSchema(fields=fields or (field_of(),)))
    assert found.notices == ()
    return dict(found.values)


def notice_in(files: Files, *fields: CategoricalField | ContinuousField, image: str = IMAGE) -> str:
    """Look up; nothing may have been found, and one sentence told."""
    found = find_metadata(files.root / image, MetadataSchema(fields=fields or (field_of(),)))
    assert found.values == {}
    (notice,) = found.notices
    return notice


LEVELS = ["T1w.json", "acq-fast_T1w.json", "sub-01/sub-01_T1w.json", "sub-01/ses-2/sub-01_ses-2_T1w.json", IMAGE[:-7] + ".json"]


@pytest.mark.parametrize("last", range(len(LEVELS)))
def test_of_conflicting_levels_the_nearest_decides(tree: Files, last: int) -> None:
    for place, path in enumerate(LEVELS[: last + 1]):
        tree.write(path, {"TumorType": TYPES[place % 3]})
    assert found_in(tree) == {"tumor_type": Found(TYPES[last % 3], Path(LEVELS[last]).name, TYPES[last % 3])}


@pytest.mark.parametrize(
    "other",
    [
        "T2w.json",  # another suffix
        "acq-slow_T1w.json",  # another value of an entity
        "sub-01/sub-01_run-1_T1w.json",  # an entity that the image lacks
        "sub-02/T1w.json",  # beside the way up
        "sub-01/ses-2/anat/deeper/T1w.json",  # below it
        "../T1w.json",  # above the data set
        "sub-01/ses-2/anat/T1w.json.bak",
    ],
)
def test_what_is_of_others_says_nothing(tmp_path: Path, other: str) -> None:
    tree = Files(tmp_path / "tree")
    tree.write("dataset_description.json")
    tree.write(IMAGE)
    tree.write(other, {"tumor_type": "ependymoma"})
    assert found_in(tree) == {}


names = st.dictionaries(st.sampled_from(["sub", "ses", "acq", "run"]), st.sampled_from("12"), max_size=4)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entities=names, levels=st.lists(st.tuples(st.integers(0, 2), names, st.sampled_from(["T1w", "T2w"])), max_size=6))
def test_inheritance_as_its_rule_says(tmp_path_factory: pytest.TempPathFactory, entities: dict[str, str], levels: list[Any]) -> None:
    files = Files(tmp_path_factory.mktemp("bids"))
    folders = ["", "a/", "a/b/"]
    files.write("dataset_description.json")

    def named(entities: dict[str, str], suffix: str) -> str:
        return "_".join([*(f"{key}-{entities[key]}" for key in sorted(entities)), suffix])

    expected = None
    for depth, given_entities, suffix in levels:
        name = f"{named(given_entities, suffix)}.json"
        files.write(folders[depth] + name, {"name": f"{depth} {name}"})
        if suffix == "T1w" and all(entities.get(key) == value for key, value in given_entities.items()):
            rank = (-depth, -len(given_entities), name)
            expected = min(expected, (rank, f"{depth} {name}")) if expected else (rank, f"{depth} {name}")
    said = [f"{depth} {named(each, suffix)}.json" for depth, each, suffix in levels] or ["none"]
    field = CategoricalField(name="name", values=tuple(dict.fromkeys(said)))
    found = found_in(files, field, image=f"a/b/{named(entities, 'T1w')}.nii.gz")
    assert (found["name"].value if found else None) == (expected[1] if expected else None)


def test_without_a_data_set_the_file_beside_it_counts_as_dcm2niix_leaves_it(files: Files) -> None:
    files.write("dcm/7 (brain) t1_mprage.nii")
    files.write("dcm/7 (brain) t1_mprage.json", {"Manufacturer": "SIEMENS", "RepetitionTime": 2.3, "PatientAge": "045Y", "PatientSex": "F"})
    files.write("dcm/t1_mprage.json", {"Manufacturer": "GE"})
    files.write("mprage.json", {"Manufacturer": "GE"})
    fields = (
        CategoricalField(name="scanner", values=("GE", "Siemens"), aliases=("Manufacturer",)),
        ContinuousField(name="Repetition Time", minimum=0, maximum=5000, unit="ms"),
        AGE,
        CategoricalField(name="sex", values=("female", "male")),
    )
    origin = "7 (brain) t1_mprage.json"
    assert found_in(files, *fields, image="dcm/7 (brain) t1_mprage.nii") == {
        "scanner": Found("Siemens", origin, "SIEMENS"),
        "Repetition Time": Found(2300.0, origin, "2.3"),
        "age": Found(45.0, origin, "045Y"),
        "sex": Found("female", origin, "F"),
    }


def test_the_more_specific_source_decides(tree: Files) -> None:
    tree.participants("sub-01\tastrocytoma")
    assert found_in(tree)["tumor_type"].origin == "participants.tsv"
    tree.write("sub-01/sub-01_sessions.tsv", "session_id\ttumor_type\nses-1\themangioblastoma\nses-2\tependymoma\n")
    assert found_in(tree)["tumor_type"] == Found("ependymoma", "sub-01_sessions.tsv", "ependymoma")
    scans = "filename\ttumor_type\nanat/sub-01_ses-2_T2w.nii.gz\tastrocytoma\nanat/sub-01_ses-2_acq-fast_T1w.nii.gz\tHB\n"
    tree.write("sub-01/ses-2/sub-01_ses-2_scans.tsv", scans)
    assert found_in(tree)["tumor_type"] == Found("hemangioblastoma", "sub-01_ses-2_scans.tsv", "HB")
    tree.write("T1w.json", {"tumor_type": "astrocytoma"})
    assert found_in(tree)["tumor_type"] == Found("astrocytoma", "T1w.json", "astrocytoma")


def test_where_one_source_says_nothing_the_next_is_asked(tree: Files) -> None:
    tree.write("T1w.json", {"tumor_type": "n/a", "Age": None, "site": "unknown"})
    tree.write("sub-01/sub-01_sessions.tsv", "session_id\tage\ttumor_type\nses-2\t40\t-\n")
    tree.participants("sub-01\t39\tependymoma\tnorth", columns="participant_id\tage\ttumor_type\tsite")
    site = CategoricalField(name="site", values=("north", "south"), unknown=True)
    assert found_in(tree, field_of(), AGE, site) == {
        "tumor_type": Found("ependymoma", "participants.tsv", "ependymoma"),
        "age": Found(40.0, "sub-01_sessions.tsv", "40"),
        "site": Found("north", "participants.tsv", "north"),
    }


def test_a_session_of_nobody_and_a_tree_without_sessions(tree: Files) -> None:
    tree.write("sub-01/sub-01_sessions.tsv", "session_id\ttumor_type\nses-1\tastrocytoma\n")
    assert notice_in(tree) == "sub-01_sessions.tsv has no row for ses-2."
    tree.write("sub-01/anat/sub-01_T1w.nii.gz")
    tree.participants("01\tependymoma")
    assert found_in(tree, image="sub-01/anat/sub-01_T1w.nii.gz")["tumor_type"].value == "ependymoma"


def test_the_folder_says_whose_an_image_is_where_its_name_does_not(tree: Files) -> None:
    tree.participants("sub-01\tependymoma")
    tree.write("sub-01/anat/t1.nii.gz")
    assert found_in(tree, image="sub-01/anat/t1.nii.gz")["tumor_type"].value == "ependymoma"


@pytest.mark.parametrize("column", ["TumorType", "tumor type", "TUMOR-TYPE", "diagnosis", "Histo_Logy"])
def test_names_are_compared_as_spellings_and_through_aliases(tree: Files, column: str) -> None:
    tree.participants("sub-01\tHemangio-Blastoma", columns=f"participant_id\t{column}")
    assert found_in(tree, field_of(aliases=("Diagnosis", "histology")))["tumor_type"].value == "hemangioblastoma"


def test_the_name_goes_before_its_aliases_and_the_exact_one_before_others(tree: Files) -> None:
    tree.write("T1w.json", {"diagnosis": TYPES[0], "TUMOR_TYPE": TYPES[1], "tumor_type": TYPES[2]})
    assert found_in(tree, field_of(aliases=("diagnosis",)))["tumor_type"].value == TYPES[2]
    tree.write("T1w.json", {"TUMOR_TYPE": TYPES[1], "TumorType": TYPES[2]})
    assert found_in(tree)["tumor_type"].value == TYPES[1]


@pytest.mark.parametrize(
    ("cell", "levels", "value"),
    [
        ("1", {"1": "astrocytoma", "2": "ependymoma"}, "astrocytoma"),
        ("2.0", {"1": "astrocytoma", "2": "ependymoma"}, "ependymoma"),
        ("E", {"e": {"Description": "Ependymoma", "TermURL": "https://example.org"}}, "ependymoma"),
        ("astrocytoma", {"astrocytoma": "ependymoma"}, "astrocytoma"),  # as written goes first
        ("9", {"9": "not available"}, None),
        ("n/a", {"n/a": "astrocytoma"}, "astrocytoma"),
        ("1", {"-1": "ependymoma", "1": "hb"}, "hemangioblastoma"),
    ],
)
def test_levels(tree: Files, cell: str, levels: Any, value: str | None) -> None:
    tree.participants(f"sub-01\t{cell}", TumorType="no description", tumor_type={"Levels": levels})
    found = found_in(tree)
    assert (found["tumor_type"].value if found else None) == value
    assert not found or found["tumor_type"].text == cell


def test_the_meaning_of_a_code_is_told_where_the_model_does_not_know_it(tree: Files) -> None:
    tree.participants("sub-01\t3", tumor_type={"Levels": {"3": "glioma"}})
    assert notice_in(tree) == (
        "participants.tsv says tumor_type is '3' (glioma), which this model does not know; "
        "choose one of: astrocytoma, ependymoma, hemangioblastoma."
    )


def test_the_meaning_of_another_code_is_not_taken(tree: Files) -> None:
    tree.participants("sub-01\t1", tumor_type={"Levels": {"-1": "ependymoma"}})
    assert notice_in(tree).startswith("participants.tsv says tumor_type is '1', which")


def test_what_describes_a_table_is_inherited_too(tree: Files) -> None:
    tree.write("sub-01/ses-2/sub-01_ses-2_scans.tsv", "filename\ttumor_type\tage\nsub-01_ses-2_acq-fast_T1w.nii\t1\t480\n")
    tree.write("scans.json", {"tumor_type": {"Levels": {"1": "astrocytoma"}}, "age": {"Units": "months"}})
    tree.write("sub-01/sub-01_scans.json", {"tumor_type": {"Levels": {"1": "ependymoma"}}})
    found = found_in(tree, field_of(), AGE)
    assert (found["tumor_type"].value, found["age"].value) == ("ependymoma", 40.0)


@pytest.mark.parametrize(
    ("stands", "units", "unit", "value"),
    [
        ("30", "year", "years", 30),
        ("540", "months", "years", 45),
        ("45", None, "months", 540),  # the standard's unit of an age is the year
        ("26", "weeks", "days", 182),
        ("018M", "years", "years", 1.5),  # as DICOM writes it
        ("90 days", "years", "weeks", 12.8571428571),
        ("30", "parsec", "", 30),  # the model does not say
        (30, None, "y", 30),
    ],
)
def test_units_of_an_age(tree: Files, stands: Any, units: str | None, unit: str, value: float) -> None:
    tree.participants(f"sub-01\t{stands}", columns="participant_id\tage", **({"age": {"Units": units}} if units else {}))
    field = ContinuousField(name="age", minimum=0, maximum=1200, unit=unit)
    assert found_in(tree, field)["age"].value == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize(
    ("key", "stands", "unit", "value"),
    [
        ("EchoTime", 0.0034, "ms", 3.4),
        ("RepetitionTime", "2", "s", 2.0),
        ("MagneticFieldStrength", 3, "mT", 3000.0),
        ("MagneticFieldStrength", "1.5 T", "T", 1.5),
        ("SliceThickness", 5, "cm", 0.5),
        ("FlipAngle", 9, "degrees", 9.0),
        ("SomethingOfOurs", 9, "furlongs", 9.0),
    ],
)
def test_keys_of_the_standard_have_its_units(tree: Files, key: str, stands: Any, unit: str, value: float) -> None:
    tree.write("T1w.json", {key: stands})
    assert found_in(tree, ContinuousField(name=key, minimum=0, maximum=10000, unit=unit))[key].value == value


@pytest.mark.parametrize(("units", "unit"), [("mm", "years"), ("parsec", "mm"), ("mm", "parsec"), ("MT", "mT")])
def test_units_that_cannot_be_told_in_each_other(tree: Files, units: str, unit: str) -> None:
    tree.participants("sub-01\t30", columns="participant_id\tvalue", value={"Units": units})
    notice = notice_in(tree, ContinuousField(name="value", minimum=0, maximum=100, unit=unit))
    assert notice == f"participants.tsv gives value in '{units}', which cannot be told in '{unit}'; it is not used."


@given(st.floats(0.001, 1e6), st.sampled_from(["s", "ms", "years", "months", "days"]), st.sampled_from(["s", "ms", "weeks", "min"]))
def test_units_there_and_back(number: float, source: str, target: str) -> None:
    told = convert(number, source, target)
    assert told is not None
    assert convert(told, target, source) == pytest.approx(number, rel=1e-9)


@pytest.mark.parametrize(
    ("outside", "value", "sentence"),
    [
        (
            "clamp",
            100.0,
            "participants.tsv says age is 120, outside of what this model was trained on; 100 is used instead. "
            "It stands there as 1440 months.",
        ),
        (
            "refuse",
            None,
            "participants.tsv says age is 120, outside of what this model was trained on; give a number from 0 to 100 years. "
            "It stands there as 1440 months.",
        ),
    ],
)
def test_numbers_outside_the_range(tree: Files, outside: Any, value: float | None, sentence: str) -> None:
    tree.participants("sub-01\t1440", columns="participant_id\tage", age={"Units": "months"})
    schema = MetadataSchema(fields=(ContinuousField(name="age", minimum=0, maximum=100, unit="years", outside=outside),))
    found = find_metadata(tree.root / IMAGE, schema)
    assert {name: each.value for name, each in found.values.items()} == ({} if value is None else {"age": value})
    assert found.notices == (sentence,)


@pytest.mark.parametrize("stands", [1, 1.0, "1", "1.0", " 1 "])
@pytest.mark.parametrize("vocabulary", [("0", "1"), ("0.0", "1.0")])
def test_numbers_that_are_names_are_the_same_however_written(tree: Files, stands: Any, vocabulary: tuple[str, ...]) -> None:
    tree.write("T1w.json", {"grade": stands})
    assert found_in(tree, CategoricalField(name="grade", values=vocabulary))["grade"].value == vocabulary[1]
    tree.write("T1w.json", {"grade": -1})
    assert notice_in(tree, CategoricalField(name="grade", values=vocabulary)).startswith("T1w.json says grade is '-1'")


@pytest.mark.parametrize(("stands", "value"), [(3, "3T"), (1.5, "1.5T"), ("3T", "3T")])
def test_a_number_with_its_unit_can_be_a_name(tree: Files, stands: Any, value: str) -> None:
    tree.write("T1w.json", {"MagneticFieldStrength": stands})
    field = CategoricalField(name="field", values=("1.5T", "3T"), aliases=("MagneticFieldStrength",))
    assert found_in(tree, field)["field"].value == value


@pytest.mark.parametrize(("stands", "value"), [(True, "yes"), (False, "no"), ("yes", "yes")])
def test_booleans(tree: Files, stands: Any, value: str) -> None:
    tree.write("T1w.json", {"contrast": stands, "age": stands})
    assert found_in(tree, CategoricalField(name="contrast", values=("no", "yes")))["contrast"].value == value
    assert "which is no number; give a number from 0 to 1200 years." in notice_in(tree, AGE)


@pytest.mark.parametrize("content", ["NaN", "null", '""', '"n/a"', '" UNKNOWN "', '"-"'])
@pytest.mark.parametrize("unknown", [True, False])
def test_words_for_nothing(tree: Files, content: str, unknown: bool) -> None:
    tree.write("T1w.json", f'{{"tumor_type": {content}, "age": {content}}}')
    assert found_in(tree, field_of(unknown=unknown), AGE) == {}


def test_a_word_for_nothing_can_be_in_the_vocabulary(tree: Files) -> None:
    tree.write("T1w.json", {"missing": "none", "marker": "-"})
    fields = CategoricalField(name="missing", values=("none", "spleen")), CategoricalField(name="marker", values=("+", "-"))
    assert {name: found.value for name, found in found_in(tree, *fields).items()} == {"missing": "none", "marker": "-"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", r"^T1w\.json is no valid JSON \(line 1\), so nothing is taken from it\.$"),
        ("[" * 100_000, r"^T1w\.json is no valid JSON"),
        ('{"age": ' + "9" * 5000 + "}", r"^T1w\.json is no valid JSON"),
        (b"\x00\xff\xfe\x01", r"^T1w\.json is no valid JSON"),
        ("[1, 2]", r"^T1w\.json holds no names with values"),
        ("3", r"^T1w\.json holds no names with values"),
        ('{"age": [1, [2]]}', r"^T1w\.json gives a list as age, where one value is expected; it is not used\.$"),
        ('{"Age": {"value": 3}}', r"^T1w\.json gives a group of names with values as Age"),
        ('{"age": Infinity}', r"^T1w\.json says age is 'Infinity', which is no number"),
        ('{"age": "89+"}', r"^T1w\.json says age is '89\+', which is no number"),
        ('{"age": 1' + "0" * 400 + "}", r"^T1w\.json says age is '10+…', which is no number"),
        ('{"age": "many\\nlines"}', r"^T1w\.json says age is 'many lines', which is no number"),
    ],
)
def test_bad_json_is_a_sentence(tree: Files, content: str | bytes, sentence: str) -> None:
    tree.write("T1w.json", content)
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(notice_in(tree, AGE))


def test_bad_json_leaves_the_other_files(tree: Files) -> None:
    tree.write("T1w.json", "{")
    tree.participants("sub-01\tependymoma")
    tree.write("participants.json", "{")
    found = find_metadata(tree.root / IMAGE, MetadataSchema(fields=(field_of(),)))
    assert found.values["tumor_type"].value == "ependymoma"
    assert [notice.split()[0] for notice in found.notices] == ["T1w.json", "participants.json"]


HEADING = "participant_id\ttumor_type\tage"
CLEAR = {"tumor_type": "ependymoma", "age": 40.0}


@pytest.mark.parametrize(
    ("content", "values", "notices"),
    [
        (f"{HEADING}\nsub-01\tependymoma\t40\n", CLEAR, ()),
        (f"\ufeff{HEADING}\r\nsub-01\tependymoma\t40\r\n", CLEAR, ()),
        (f"{HEADING}\rsub-01\tependymoma\t40\r", CLEAR, ()),
        (f"\n{HEADING}\n\nsub-01\tependymoma\t40", CLEAR, ()),
        (f"{HEADING}\nsub-01\tependymoma\t40\n".encode("utf-16"), CLEAR, ()),
        ('"participant_id"\t"tumor_type"\tage\n"sub-01"\t"ependymoma"\t" 40"\n', CLEAR, ()),
        (f"{HEADING}\tnom\nsub-01\tependymoma\t40\tRenée\n".encode("latin-1"), CLEAR, ()),
        (f"{HEADING}\nsub-01\tependymoma\t40\t\t\n", CLEAR, ()),  # empty cells at the end
        (f"{HEADING}\nsub-01\tependymoma\t40\nsub-01\tependymoma\t40\n", CLEAR, ()),  # twice, the same
        (f"{HEADING}\nsub-01\tn/a\t\n", {}, ()),
        (f"{HEADING}\nsub-011\tependymoma\t40\nsub-1\tependymoma\t40\n", {}, ("participants.tsv has no row for sub-01.",)),
        (HEADING, {}, ("participants.tsv has no row for sub-01.",)),
        (
            f"{HEADING}\nsub-01\t40\n",
            {},
            ("participants.tsv has a row for sub-01 of 2 cells under a heading of 3, so it is not used.",),
        ),
        (
            f"{HEADING}\nsub-01\tspinal\tependymoma\t40\n",
            {},
            ("participants.tsv has a row for sub-01 of 4 cells under a heading of 3, so it is not used.",),
        ),
        (
            f"{HEADING}\nsub-01\tependymoma\t40\nsub-01\tastrocytoma\t40\n",
            {"age": 40.0},
            ("participants.tsv has rows for sub-01 that differ in tumor_type (ependymoma, astrocytoma), so it is not used.",),
        ),
        (
            "participant_id,tumor_type\nsub-01,ependymoma\n",
            {},
            ("participants.tsv has no column participant_id, which tells whose its rows are, so nothing is taken from it.",),
        ),
        (
            b"PK\x03\x04\x00\xff",
            {},
            ("participants.tsv has no column participant_id, which tells whose its rows are, so nothing is taken from it.",),
        ),
        ("", {}, ("participants.tsv has no column participant_id, which tells whose its rows are, so nothing is taken from it.",)),
        (
            f"{HEADING}\nsub-01\tGlioma\t40\n",
            {"age": 40.0},
            (
                "participants.tsv says tumor_type is 'Glioma', which this model does not know; "
                "choose one of: astrocytoma, ependymoma, hemangioblastoma.",
            ),
        ),
    ],
)
def test_tables_as_people_leave_them(tree: Files, content: str | bytes, values: dict[str, Any], notices: tuple[str, ...]) -> None:
    tree.write("participants.tsv", content)
    found = find_metadata(tree.root / IMAGE, MetadataSchema(fields=(field_of(), AGE)))
    assert {name: each.value for name, each in found.values.items()} == values
    assert found.notices == notices


def test_a_table_that_says_nothing_of_the_fields_is_no_reason_to_speak(tree: Files) -> None:
    tree.participants("sub-02\tF", columns="participant_id\thandedness")
    assert found_in(tree) == {}


def test_a_value_that_is_not_taken_does_not_let_a_less_specific_file_speak(tree: Files) -> None:
    tree.write("sub-01/sub-01_T1w.json", {"tumor_type": "glioma"})
    tree.write("T1w.json", {"tumor_type": "ependymoma"})
    tree.participants("sub-01\tastrocytoma")
    assert notice_in(tree).startswith("sub-01_T1w.json says tumor_type is 'glioma'")


def test_files_are_read_only_as_long_as_a_field_is_open(tree: Files) -> None:
    tree.write("T1w.json", {"tumor_type": "ependymoma"})
    tree.write("participants.tsv", "not read")
    assert found_in(tree)["tumor_type"].value == "ependymoma"
    assert find_metadata(tree.root / IMAGE, MetadataSchema()).notices == ()


def test_derivatives_know_the_persons_of_the_raw_data(tree: Files) -> None:
    tree.participants("sub-01\tependymoma")
    tree.write("sub-01/sub-01_sessions.tsv", "session_id\tage\nses-2\t40\n")
    image = f"derivatives/registered/{IMAGE}"
    for description in (False, True):
        if description:
            tree.write("derivatives/registered/dataset_description.json")
        tree.write(image)
        found = found_in(tree, field_of(), AGE, image=image)
        assert {name: each.value for name, each in found.items()} == {"tumor_type": "ependymoma", "age": 40.0}
    tree.write("derivatives/registered/participants.tsv", "participant_id\ttumor_type\nsub-01\tHB\n")
    assert found_in(tree, image=image)["tumor_type"].value == "hemangioblastoma"
    tree.write("derivatives/registered/participants.tsv", "participant_id\ttumor_type\nsub-01\tn/a\n")
    assert found_in(tree, image=image) == {}


def test_derivatives_beside_the_raw_data(files: Files) -> None:
    files.write("rawdata/dataset_description.json")
    files.write("rawdata/participants.tsv", "participant_id\ttumor_type\nsub-01\tHB\n")
    image = "derivatives/a/derivatives/b/sub-01_T1w.nii.gz"
    files.write("derivatives/a/derivatives/b/dataset_description.json")
    assert found_in(files, image=image)["tumor_type"].value == "hemangioblastoma"


def test_links_are_named_and_not_followed(tree: Files) -> None:
    """As in a tree of git-annex, where images are links to a store without names."""
    tree.participants("sub-01\tependymoma")
    store = tree.write(".git/annex/objects/MD5E-s1.nii.gz")
    (tree.root / IMAGE).unlink()
    (tree.root / IMAGE).symlink_to(store)
    for name in ("T1w.json", "acq-fast_T1w.json"):
        (tree.root / name).symlink_to("nowhere.json" if name == "T1w.json" else name)  # to nothing, and to itself
    assert found_in(tree)["tumor_type"].value == "ependymoma"


def test_what_is_no_file_is_passed_over(tree: Files) -> None:
    (tree.root / "participants.tsv").mkdir()
    (tree.root / "T1w.json").mkdir()
    os.mkfifo(tree.root / "acq-fast_T1w.json")  # opening it would wait for ever
    assert found_in(tree) == {}


@pytest.mark.parametrize("image", ["missing/sub-01/sub-01_T1w.nii.gz", "sub-01_T1w.nii.gz\0", "x" * 300 + "/image.nii.gz", ""])
def test_an_image_that_is_not_there(tree: Files, image: str) -> None:
    assert found_in(tree, image=image) == {}


@pytest.mark.parametrize("name", ["participants.tsv", "T1w.json"])
def test_a_file_of_a_size_that_no_metadata_have(tree: Files, name: str) -> None:
    with tree.write(name, "participant_id\ttumor_type\n").open("ab") as file:
        file.truncate(60_000_000)  # without being written: the disk keeps a hole
    assert notice_in(tree) == f"{name} has more than 50 MB, too much for metadata, so nothing is taken from it."


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is readable to root")
def test_what_is_not_for_us_to_read(tree: Files) -> None:
    tree.participants("sub-01\tependymoma")
    tree.write("T1w.json", {"tumor_type": "ependymoma"}).chmod(0)
    (tree.root / "sub-01/ses-2").chmod(0o100)
    try:
        found = find_metadata(tree.root / IMAGE, MetadataSchema(fields=(field_of(),)))
    finally:
        (tree.root / "sub-01/ses-2").chmod(0o700)
    assert found.values["tumor_type"].value == "ependymoma"
    assert found.notices == ("T1w.json cannot be read (Permission denied), so nothing is taken from it.",)


anything = st.one_of(st.binary(max_size=60), st.text('{}[]":,\t\n\r0123456789eE+-.naNsub_tumor_typeparticipant_id', max_size=80))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    sidecar=anything,
    table=anything,
    description=anything,
    cell=st.text(max_size=12),
    levels=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
)
def test_no_content_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, sidecar: Any, table: Any, description: Any, cell: str, levels: Any
) -> None:
    files = Files(tmp_path_factory.mktemp("bids"))
    files.write("dataset_description.json")
    schema = MetadataSchema(fields=(field_of(), AGE))

    def check() -> None:
        found = find_metadata(files.root / IMAGE, schema)
        assert all(schema[name].resolve(each.value) == (each.value, None) for name, each in found.values.items())
        assert all(notice and "\n" not in notice for notice in found.notices)

    for name, content in (("T1w.json", sidecar), ("participants.tsv", table), ("participants.json", description)):
        files.write(name, content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    check()
    files.write("T1w.json", {"tumor_type": levels, "age": cell})
    files.write("participants.tsv", f"{HEADING}\nsub-01\t{cell}\t{cell}\n".encode("utf-8", "replace"))
    files.write("participants.json", {"tumor_type": levels, "age": {"Levels": levels, "Units": cell}})
    check()


def test_real_trees(shared: Path) -> None:
    """The spine's sidecars are the scanner's; who was scanned stands nowhere ("unknown", "-")."""
    schema = MetadataSchema(
        fields=(
            CategoricalField(name="pathology", values=("tumour", "none"), unknown=True),
            CategoricalField(name="scanner", values=("GE", "Siemens"), aliases=("Manufacturer",)),
            CategoricalField(name="field_strength", values=("1.5T", "3T"), aliases=("MagneticFieldStrength",)),
            ContinuousField(name="echo_time", minimum=0, maximum=200, unit="ms"),
            AGE,
        )
    )
    found = find_metadata(shared / "mri_spine_bids/sub-unf01/anat/sub-unf01_T2w.nii.gz", schema)
    assert found.notices == ()
    assert dict(found.values) == {
        "scanner": Found("Siemens", "sub-unf01_T2w.json", "Siemens"),
        "field_strength": Found("3T", "sub-unf01_T2w.json", "3"),
        "echo_time": Found(120.0, "sub-unf01_T2w.json", "0.12"),
    }
    spleen = find_metadata(shared / "ct_spleen_bids/sub-spleen2/ct/sub-spleen2_ct.nii.gz", schema)
    assert (dict(spleen.values), spleen.notices) == ({}, ())


def test_the_phantoms_that_come_with_the_package() -> None:
    from importlib.resources import files

    tree = Path(str(files("napari_film.sample_data"))) / "volumes/spinal_tumor"
    fields = (
        field_of(),
        CategoricalField(name="sex", values=("male", "female")),
        CategoricalField(name="site", values=("north", "south", "west")),
        ContinuousField(name="age", minimum=0, maximum=100, unit="years"),
        ContinuousField(name="RepetitionTime", minimum=0, maximum=5000, unit="ms"),
    )
    found = find_metadata(tree / "sub-003/anat/sub-003_T2w.nii.gz", MetadataSchema(fields=fields))
    assert found.notices == ()
    assert {name: (each.value, each.origin) for name, each in found.values.items()} == {
        "tumor_type": ("hemangioblastoma", "participants.tsv"),
        "sex": ("female", "participants.tsv"),
        "site": ("west", "participants.tsv"),
        "age": (68.0, "participants.tsv"),
        "RepetitionTime": (2900.0, "sub-003_T2w.json"),
    }
    mask = tree / "derivatives/labels/sub-001/anat/sub-001_ce-gadolinium_T1w_dseg.nii.gz"
    assert find_metadata(mask, MetadataSchema(fields=fields[:1])).values["tumor_type"].value == "astrocytoma"


FILES = [
    "sub-01_T1w.nii.gz",
    "sub-01_ses-2_ce-gadolinium_T1w.nii.gz",
    "sub-01_ce-iodine_T1w.nii",
    "sub-01_acq-fast_T1w.nii.gz",
    "sub-01_T2w.nii.gz",
    "sub-01_T1w_dseg.nii.gz",
    "T1w",
]


@pytest.mark.parametrize(
    ("suffix", "order"),
    [
        ("T1w", [[0, 6], [3], [1, 2]]),
        ("ce-gadolinium_T1w", [[1], [2], [0, 6], [3]]),
        ("CE-Gadolinium_t1W", [[1], [2], [0, 6], [3]]),
        ("acq-fast_T1w", [[3], [0, 6], [1, 2]]),
        ("T2w", [[4]]),
        ("w", []),
        ("", []),
    ],
)
def test_likeness_orders_files(suffix: str, order: list[list[int]]) -> None:
    scores = [likeness(file, suffix) for file in FILES]
    ranks = sorted({score for score in scores if score}, reverse=True)
    assert [[place for place, score in enumerate(scores) if score == rank] for rank in ranks] == order
    assert max(scores) in (0, 100)


def test_a_suffix_that_bids_does_not_know_is_the_end_of_a_name() -> None:
    assert likeness("scan_my_flair.nii.gz", "my_flair") == 100
    assert likeness("scan_notmy_flair.nii.gz", "my_flair") == 0

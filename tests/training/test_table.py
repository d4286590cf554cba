from pathlib import Path

import pytest

from napari_film.fields import UNKNOWN
from napari_film.training.cases.case import ManifestError
from napari_film.training.cases.reading import read_cases, read_records, source_at
from napari_film.training.recipe import Recipe, parse_recipe

from .conftest import CONTEXT_RECIPE, TARGET_RECIPE

HEADING = ["subject", "session", "rater", "split", "image:T1w", "image:T2w", "mask", "tumor_type", "age"]
ROW = ["p01", "1", "A", "train", "p01/t1.nii.gz", "p01/t2.nii.gz", "p01/core.nii.gz", "Ependymoma", "43"]


def write_table(path: Path, *rows: list[str], heading: list[str] = HEADING, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """Write a table, and an empty file for each image and mask in it."""
    text = "".join(delimiter.join(row) + "\n" for row in (heading, *rows))
    path.write_text(text, encoding=encoding)
    for cell in (cell for row in rows for cell in row if cell.endswith(".nii.gz")):
        file = path.parent / cell
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return path


def test_a_line_is_a_case(tmp_path: Path, context_recipe: Recipe) -> None:
    table = write_table(tmp_path / "cases.csv", ROW)
    (case,) = read_cases([source_at(table)], context_recipe)
    assert case.subject == "p01"
    assert (case.session, case.rater, case.split) == ("1", "A", "train")
    assert case.images == (tmp_path / "p01/t1.nii.gz", tmp_path / "p01/t2.nii.gz")
    assert case.mask == tmp_path / "p01/core.nii.gz"
    assert case.metadata == {"tumor_type": "ependymoma"}
    assert case.values == ("ependymoma",)
    (record,) = read_records(source_at(table), context_recipe)
    assert record.where == "cases.csv, line 2"
    assert record.cells["age"] == "43"
    assert record.origins["age"] == "cases.csv, line 2"


@pytest.mark.parametrize(
    ("name", "delimiter", "encoding"),
    [("a.tsv", "\t", "utf-8"), ("a.csv", ";", "utf-8-sig"), ("a.csv", ",", "utf-16"), ("a.CSV", "\t", "cp1252")],
)
def test_tables_as_spreadsheets_save_them(tmp_path: Path, context_recipe: Recipe, name: str, delimiter: str, encoding: str) -> None:
    row = [cell.replace("A", "Müller") if cell == "A" else cell for cell in ROW]
    table = write_table(tmp_path / name, row, [], delimiter=delimiter, encoding=encoding)
    (case,) = read_cases([source_at(table)], context_recipe)
    assert (case.rater, case.values) == ("Müller", ("ependymoma",))


def test_headings_of_our_own_are_found_in_any_case(tmp_path: Path, context_recipe: Recipe) -> None:
    heading = ["Participant_ID", *(column.upper() if column in {"session", "rater", "split", "mask"} else column for column in HEADING[1:])]
    (case,) = read_cases([source_at(write_table(tmp_path / "cases.csv", ROW, heading=heading))], context_recipe)
    assert (case.subject, case.session, case.rater, case.split) == ("p01", "1", "A", "train")


def test_a_quoted_cell_may_hold_the_delimiter_and_a_line_end(tmp_path: Path, context_recipe: Recipe) -> None:
    table = write_table(tmp_path / "cases.csv", [*ROW[:-1], '"43, or\n44"'], ["p02", *ROW[1:]])
    records = read_records(source_at(table), context_recipe)
    assert records[0].cells["age"] == "43, or 44"
    assert [record.subject for record in records] == ["p01", "p02"]


def test_a_single_channel_is_called_image(tmp_path: Path) -> None:
    table = write_table(tmp_path / "cases.tsv", ["1", "a.nii.gz", "m.nii.gz"], heading=["participant_id", "image", "mask"], delimiter="\t")
    (case,) = read_cases([source_at(table)], parse_recipe(TARGET_RECIPE, name="r"))
    assert case.images == (tmp_path / "a.nii.gz",)
    assert case.values == ("large", "small")


@pytest.mark.parametrize("empty", ["", "n/a", "NA", "unknown", "-"])
def test_what_is_missing_is_unknown(tmp_path: Path, context_recipe: Recipe, empty: str) -> None:
    table = write_table(tmp_path / "cases.csv", [*ROW[:-2], empty, empty], ["p02", *ROW[1:]])
    cases = read_cases([source_at(table)], context_recipe)
    assert [case.values for case in cases] == [(UNKNOWN,), ("ependymoma",)]
    assert read_records(source_at(table), context_recipe)[0].cells["age"] == ""


def test_a_cell_may_name_several_labelled_values(tmp_path: Path) -> None:
    recipe = parse_recipe(TARGET_RECIPE.replace('role = "target"', 'role = "target"\ncolumn = "organs"'), name="r")
    rows = [["1", "a.nii.gz", "m.nii.gz", "small; large"], ["2", "b.nii.gz", "n.nii.gz", "Small"]]
    table = write_table(tmp_path / "cases.csv", *rows, heading=["subject", "image", "mask", "organs"])
    assert [case.values for case in read_cases([source_at(table)], recipe)] == [("large", "small"), ("small",)]
    for cell, message in (("", "nothing in column organs says which organ is labelled"), ("spleen", "organ is 'spleen', which .* choose")):
        write_table(table, [*rows[0][:3], cell], heading=["subject", "image", "mask", "organs"])
        with pytest.raises(ManifestError, match=f"cases.csv, line 2: {message}"):
            read_cases([source_at(table)], recipe)


def test_only_the_column_that_the_recipe_names_is_looked_at(tmp_path: Path) -> None:
    recipe = parse_recipe(CONTEXT_RECIPE.replace('name = "tumor_type"', 'name = "type"\ncolumn = "tumor_type"'), name="r")
    table = write_table(tmp_path / "cases.csv", [*ROW, "astrocytoma"], heading=[*HEADING, "type"])
    assert read_cases([source_at(table)], recipe)[0].metadata == {"type": "ependymoma"}


def changed(column: str, cell: str) -> list[str]:
    return [cell if name == column else old for name, old in zip(HEADING, ROW, strict=True)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (changed("subject", ""), r"^cases\.csv, line 2: the subject is missing; each case needs one"),
        (changed("split", "holdout"), r"^cases\.csv, line 2: split is 'holdout'; write one of train, validation, test"),
        (changed("image:T2w", ""), r"^cases\.csv, line 2: p01 1 has no image of channel T2w \(suffix T2w\); add it"),
        (changed("mask", "n/a"), r"^cases\.csv, line 2: p01 1 has no mask; add it, or take the case out of the data"),
        (changed("mask", "gone.nii"), r"^cases\.csv, line 2: p01 1 has no mask: .*gone\.nii does not exist"),
        (changed("tumor_type", "ependynoma"), r"^cases\.csv, line 2 says tumor_type is 'ependynoma', .* choose one of: astrocytoma"),
        (ROW[:-1], r"^cases\.csv, line 2: 8 cells stand under a heading of 9"),
        ([*ROW, "x"], r"^cases\.csv, line 2: 10 cells stand under a heading of 9"),
    ],
)
def test_a_wrong_line_is_told_and_a_record_of_it_is_had(tmp_path: Path, context_recipe: Recipe, row: list[str], message: str) -> None:
    table = write_table(tmp_path / "cases.csv", row)
    assert len(read_records(source_at(table), context_recipe)) == 1
    with pytest.raises(ManifestError, match=message) as told:
        read_cases([source_at(table)], context_recipe)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("heading", "message"),
    [
        (["image:T1w", "image:T2w", "mask"], r"cases\.csv has no column subject; its columns are image:T1w, image:T2w, mask"),
        (["subject", "image:T1w", "image:T2w"], r"cases\.csv has no column mask"),
        (["subject", "image:T1w", "mask"], r"cases\.csv has no column image:T2w, where the images of channel T2w stand"),
        (["subject", "image", "mask"], r"cases\.csv has no column image:T1w, where"),
        (["subject", "age", "age", "mask"], r"cases\.csv has two columns called age"),
        (["subject", "participant_id", "mask"], r"cases\.csv has two columns called subject"),
        ([""], r"cases\.csv has no column subject; its columns are none"),
    ],
)
def test_a_wrong_heading_is_told(tmp_path: Path, context_recipe: Recipe, heading: list[str], message: str) -> None:
    table = write_table(tmp_path / "cases.csv", heading=heading)
    with pytest.raises(ManifestError, match=message):
        read_records(source_at(table), context_recipe)


def test_an_empty_table_is_told(tmp_path: Path, context_recipe: Recipe) -> None:
    table = write_table(tmp_path / "cases.csv")
    assert read_records(source_at(table), context_recipe) == ()
    with pytest.raises(ManifestError, match="The data have no case with a mask"):
        read_cases([source_at(table)], context_recipe)

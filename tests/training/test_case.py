from pathlib import Path

import pytest

from napari_film.errors import InputError
from napari_film.fields import UNKNOWN
from napari_film.training.cases.case import Case, ManifestError, data_hash, given, given_values
from napari_film.training.cases.reading import read_cases, source_at
from napari_film.training.recipe import Recipe, parse_recipe

from .conftest import CONTEXT_RECIPE, TARGET_RECIPE, write_bids


def read_bids(folder: Path, recipe: Recipe) -> tuple[Case, ...]:
    return read_cases([source_at(folder)], recipe)


def test_cases_have_images_in_channel_order_mask_and_metadata(bids: Path, context_recipe: Recipe) -> None:
    cases = read_bids(bids, context_recipe)
    assert [case.subject for case in cases] == [f"sub-{n:02d}" for n in range(1, 10)]
    assert [path.name for path in cases[1].images] == ["sub-02_ce-gadolinium_T1w.nii.gz", "sub-02_T2w.nii.gz"]
    assert cases[1].mask.name == "sub-02_ce-gadolinium_T1w_dseg.nii.gz"
    assert cases[1].metadata == {"tumor_type": "ependymoma"}
    assert cases[1].values == ("ependymoma",)


def test_a_suffix_means_the_whole_suffix(bids: Path) -> None:
    recipe = parse_recipe(CONTEXT_RECIPE.replace("ce-gadolinium_T1w", "T1w"), name="r")
    with pytest.raises(ManifestError, match=r"no image named sub-\*_T1w"):
        read_bids(bids, recipe)


def test_every_value_of_a_target_field_is_labelled(bids: Path, target_recipe: Recipe) -> None:
    case = read_bids(bids, target_recipe)[0]
    assert case.values == ("large", "small")
    assert given(target_recipe, case, "small") == {"organ": "small"}
    assert given_values(target_recipe) == ("large", "small")


def test_a_column_says_which_value_is_labelled(tmp_path: Path) -> None:
    folder = write_bids(tmp_path / "data", subjects=2)
    (folder / "participants.tsv").write_text("participant_id\tlabelled\nsub-01\tlarge\nsub-02\tsmall\n", encoding="utf-8")
    recipe = parse_recipe(TARGET_RECIPE.replace('role = "target"', 'role = "target"\ncolumn = "labelled"'), name="r")
    assert [case.values for case in read_bids(folder, recipe)] == [("large",), ("small",)]


def test_a_missing_value_is_unknown_where_the_recipe_has_that(tmp_path: Path, context_recipe: Recipe) -> None:
    folder = write_bids(tmp_path / "data", subjects=2)
    table = "participant_id\ttumor_type\nsub-01\tn/a\nsub-02\tependymoma\n"
    (folder / "participants.tsv").write_text(table, encoding="utf-8")
    assert [case.values for case in read_bids(folder, context_recipe)] == [(UNKNOWN,), ("ependymoma",)]
    certain = parse_recipe(CONTEXT_RECIPE.replace("unknown = true", "unknown = false"), name="r")
    with pytest.raises(
        ManifestError, match=r"sub-01_ce-gadolinium_T1w\.nii\.gz: nothing is said of tumor_type, and field 'tumor_type' has no unknown"
    ):
        read_bids(folder, certain)


def test_continuous_metadata_are_numbers(bids: Path) -> None:
    text = CONTEXT_RECIPE.replace(
        "[preprocessing]", '[[fields]]\nname = "age"\nkind = "continuous"\nminimum = 0\nmaximum = 100\n\n[preprocessing]'
    )
    assert read_bids(bids, parse_recipe(text, name="r"))[4].metadata["age"] == 24


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "participant_id\ttumor_type\nsub-01\tglioma\n",
            r"participants\.tsv says tumor_type is 'glioma', which this model does not know; choose one of: astrocytoma",
        ),
        (
            "participant_id\tage\nsub-01\t3\n",
            r"No case says anything of tumor_type, which field 'tumor_type' is read from; name its column",
        ),
        ("participant_id\ttumor_type\n", r"No case says anything of tumor_type"),
    ],
)
def test_wrong_participants_are_told(tmp_path: Path, context_recipe: Recipe, table: str, message: str) -> None:
    folder = write_bids(tmp_path / "data", subjects=1)
    (folder / "participants.tsv").write_text(table, encoding="utf-8")
    with pytest.raises(ManifestError, match=message):
        read_bids(folder, context_recipe)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("sub-01/anat/sub-01_T2w.nii.gz", r"sub-01_ce-gadolinium_T1w\.nii\.gz: sub-01 has no image of channel T2w \(suffix T2w\); add it"),
        ("derivatives/labels/sub-01/anat/sub-01_ce-gadolinium_T1w_dseg.nii.gz", r"sub-01 has no mask; add it, or take the case out"),
        ("participants.tsv", r"No case says anything of tumor_type"),
        ("sub-01/anat/sub-01_ce-gadolinium_T1w.nii.gz", r"no image named sub-\*_ce-gadolinium_T1w"),
    ],
)
def test_missing_files_are_told(tmp_path: Path, context_recipe: Recipe, gone: str, message: str) -> None:
    folder = write_bids(tmp_path / "data", subjects=1)
    (folder / gone).unlink()
    with pytest.raises(ManifestError, match=message):
        read_bids(folder, context_recipe)


def test_one_without_a_row_is_told_why_where_the_field_has_no_unknown(tmp_path: Path) -> None:
    folder = write_bids(tmp_path / "data", subjects=1)
    (folder / "participants.tsv").write_text("participant_id\ttumor_type\nsub-07\tependymoma\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"or set unknown = true\. participants\.tsv has no row for sub-01\."):
        read_bids(folder, parse_recipe(CONTEXT_RECIPE.replace("unknown = true", "unknown = false"), name="r"))


def test_a_missing_folder_is_told(tmp_path: Path, context_recipe: Recipe) -> None:
    missing = context_recipe.data.model_copy(update={"bids": tmp_path / "nowhere"})
    with pytest.raises(ManifestError, match=r"does not exist; correct data\.bids"):
        read_cases(missing.all_sources(), context_recipe)
    with pytest.raises(InputError, match=r"nowhere does not exist; give a BIDS folder, or a \.csv or \.tsv file"):
        source_at(tmp_path / "nowhere")
    (tmp_path / "cases.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"cases\.xlsx is neither a folder nor a table"):
        source_at(tmp_path / "cases.xlsx")


def test_the_hash_knows_contents_and_not_folders(tmp_path: Path, bids: Path, context_recipe: Recipe) -> None:
    original = data_hash(read_bids(bids, context_recipe))
    folder = write_bids(tmp_path / "data")
    assert data_hash(read_bids(folder, context_recipe)) == original
    (folder / "sub-03/anat/sub-03_T2w.nii.gz").write_bytes((folder / "sub-04/anat/sub-04_T2w.nii.gz").read_bytes())
    assert data_hash(read_bids(folder, context_recipe)) != original

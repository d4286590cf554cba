import json
import shutil
from pathlib import Path

import pytest

from napari_film.bids import find_metadata
from napari_film.fields import UNKNOWN
from napari_film.training.cases.case import ManifestError
from napari_film.training.cases.reading import read_cases, read_records, source_at
from napari_film.training.recipe import Recipe, parse_recipe
from napari_film.training.recipe.data import Source

ONE_CHANNEL = """
[model]
name = "cord"

[data]
bids = "data"

[[channels]]
name = "MR"
suffix = "T2w"

[[classes]]
name = "cord"
labels = [1]

[preprocessing]
slice_axis = "axial"
"""
CONTRAST = '[[fields]]\nname = "contrast"\ncolumn = "suffix"\nvalues = ["T1w", "T2w", "T2star"]\n'
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "mri_spine_bids"


def recipe_of(*changes: tuple[str, str], fields: str = "") -> Recipe:
    text = ONE_CHANNEL + fields if fields else ONE_CHANNEL.replace('"cord"\n', '"cord"\nplaces = "none"\n', 1)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_recipe(text, name="r.toml")


class Tree:
    """A BIDS folder of empty files: nothing here opens an image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def image(self, path: str, *masks: str, derivative: str = "labels") -> None:
        """Add an image, ``sub-01/anat/sub-01_T2w``, and masks called as it with an ending."""
        file = self.folder / f"{path}.nii.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        for mask in masks:
            below = self.folder / "derivatives" / derivative / f"{path}_{mask}.nii.gz"
            below.parent.mkdir(parents=True, exist_ok=True)
            below.touch()

    def write(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text, encoding="utf-8")

    def read(self, recipe: Recipe, **source: object) -> list[tuple[str, ...]]:
        """Give subject, session, rater and the name of the mask of each case."""
        found = Source.model_validate({"bids": self.folder, **source})
        return [(case.subject, case.session, case.rater, case.mask.name.split("_", 1)[1]) for case in read_cases([found], recipe)]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "data")


def test_sessions_and_runs_are_cases_of_their_own(tree: Tree) -> None:
    tree.image("sub-01/ses-a/anat/sub-01_ses-a_T2w", "dseg")
    tree.image("sub-01/ses-b/anat/sub-01_ses-b_run-1_T2w", "dseg")
    tree.image("sub-01/ses-b/anat/sub-01_ses-b_run-2_T2w", "dseg")
    assert [case[:2] for case in tree.read(recipe_of())] == [("sub-01", "ses-a"), ("sub-01", "ses-b_run-1"), ("sub-01", "ses-b_run-2")]


def test_an_image_with_other_entities_is_another_image(tree: Tree) -> None:
    tree.image("sub-01/anat/sub-01_T2w", "dseg")
    tree.image("sub-01/anat/sub-01_acq-fast_T2w", "dseg")
    assert [case[3] for case in tree.read(recipe_of())] == ["T2w_dseg.nii.gz"]
    assert [case[3] for case in tree.read(recipe_of(('"T2w"', '"acq-fast_T2w"')))] == ["acq-fast_T2w_dseg.nii.gz"]


def test_channels_come_from_the_same_session_and_run(tree: Tree) -> None:
    for session in ("a", "b"):
        tree.image(f"sub-01/ses-{session}/anat/sub-01_ses-{session}_run-1_T2w", "dseg")
        tree.image(f"sub-01/ses-{session}/anat/sub-01_ses-{session}_T1w")
    tree.image("sub-01/ses-b/dwi/sub-01_ses-b_run-1_T1w")
    recipe = recipe_of(("[[classes]]", '[[channels]]\nname = "T1"\nsuffix = "T1w"\n\n[[classes]]'))
    names = [[path.name for path in case.images] for case in read_cases([source_at(tree.folder)], recipe)]
    assert names == [
        ["sub-01_ses-a_run-1_T2w.nii.gz", "sub-01_ses-a_T1w.nii.gz"],
        ["sub-01_ses-b_run-1_T2w.nii.gz", "sub-01_ses-b_run-1_T1w.nii.gz"],
    ]


def test_names_that_are_not_of_bids_are_matched_as_they_stand(tree: Tree) -> None:
    tree.image("sub-01/anat/sub-01_my_own_scan", "dseg")
    assert tree.read(recipe_of(('"T2w"', '"my_own_scan"'))) == [("sub-01", "", "", "my_own_scan_dseg.nii.gz")]


@pytest.mark.parametrize(
    ("masks", "suffix", "found"),
    [
        (("dseg",), "", [""]),
        (("seg-manual",), "", [""]),
        (("dseg", "seg-manual"), "", [""]),
        (("lesion-manual", "dseg"), "_lesion-manual", [""]),
        (("desc-ann_dseg", "desc-ben_dseg"), "", ["ann", "ben"]),
        (("dseg", "desc-ben_dseg"), "", ["", "ben"]),
        (("lesion-rater1", "lesion-rater2"), ("lesion-rater1", "lesion-rater2"), ["lesion-rater1", "lesion-rater2"]),
    ],
)
def test_masks_and_their_raters(tree: Tree, masks: tuple[str, ...], suffix: object, found: list[str]) -> None:
    tree.image("sub-01/anat/sub-01_T2w", *masks)
    cases = tree.read(recipe_of(), mask_suffix=suffix)
    assert sorted(case[2] for case in cases) == sorted(found)
    if masks == ("dseg", "seg-manual"):
        assert cases[0][3] == "T2w_dseg.nii.gz"
    if "lesion-manual" in masks:
        assert cases[0][3] == "T2w_lesion-manual.nii.gz"


def test_several_derivatives_are_several_raters_and_the_rater_is_a_condition(tree: Tree) -> None:
    for subject in ("01", "02"):
        for derivative in ("expert", "novice"):
            tree.image(f"sub-{subject}/anat/sub-{subject}_T2w", "dseg", derivative=derivative)
    recipe = recipe_of(fields='[[fields]]\nname = "who"\ncolumn = "rater"\nvalues = ["expert", "novice"]\n')
    cases = read_cases([source_at(tree.folder).model_copy(update={"labels": ("expert", "novice")})], recipe)
    assert [(case.subject, case.rater, case.values) for case in cases] == [
        (subject, rater, (rater,)) for subject in ("sub-01", "sub-02") for rater in ("expert", "novice")
    ]
    assert cases[0].images == cases[1].images
    assert cases[0].mask != cases[1].mask


def test_any_contrast_in_one_channel_is_a_condition(tree: Tree) -> None:
    for contrast in ("T1w", "T2w", "T2star", "PDw"):
        tree.image(f"sub-01/anat/sub-01_{contrast}", "dseg")
    recipe = recipe_of(('suffix = "T2w"', 'suffix = ["T1w", "T2w", "T2star"]'), fields=CONTRAST)
    cases = read_cases([source_at(tree.folder)], recipe)
    assert {case.images[0].name: case.values[0] for case in cases} == {f"sub-01_{c}.nii.gz": c for c in ("T1w", "T2w", "T2star")}
    assert recipe.checkpoint_channels()[0].suffix == ""


FIELDS = """
[[fields]]
name = "field strength"
column = "MagneticFieldStrength"
values = ["1.5", "3"]
unknown = true

[[fields]]
name = "TE"
column = "EchoTime"
kind = "continuous"
minimum = 0
maximum = 200
unit = "ms"
unknown = true

[[fields]]
name = "sex"
values = ["female", "male"]
unknown = true

[[fields]]
name = "age group"
column = "age"
values = ["child", "adult", "old"]
bins = [18, 65]
unit = "years"
unknown = true

[[fields]]
name = "state"
values = ["before", "after"]
unknown = true
"""


def test_metadata_are_what_the_dock_would_fill_in(tree: Tree) -> None:
    tree.image("sub-01/ses-a/anat/sub-01_ses-a_T2w", "dseg")
    tree.image("sub-02/ses-a/anat/sub-02_ses-a_T2w", "dseg")
    tree.write("dataset_description.json", '{"Name": "x", "BIDSVersion": "1.8.0"}')
    tree.write("T2w.json", json.dumps({"EchoTime": 0.08, "MagneticFieldStrength": 1.5}))
    tree.write("sub-02/ses-a/anat/sub-02_ses-a_T2w.json", json.dumps({"MagneticFieldStrength": 3}))
    tree.write("participants.tsv", "participant_id\tsex\tage\nsub-01\t1\t780\nsub-02\t2\tn/a\n")
    levels = {"sex": {"Levels": {"1": "male", "2": "female"}}, "age": {"Units": "months"}}
    tree.write("participants.json", json.dumps(levels))
    tree.write("sub-01/sub-01_sessions.tsv", "session_id\tstate\nses-a\tafter\n")
    recipe = recipe_of(fields=FIELDS)
    cases = read_cases([source_at(tree.folder)], recipe)
    assert [dict(case.metadata) for case in cases] == [
        {"field strength": "1.5", "TE": 80.0, "sex": "male", "age group": "old", "state": "after"},
        {"field strength": "3", "TE": 80.0, "sex": "female", "age group": UNKNOWN, "state": UNKNOWN},
    ]
    for case in cases:
        dock = find_metadata(case.images[0], recipe.metadata_schema())
        assert {name: found.value for name, found in dock.values.items()} == {k: v for k, v in case.metadata.items() if v != UNKNOWN}
    record = read_records(source_at(tree.folder), recipe)[0]
    assert (record.cells["age"], record.origins["age"]) == ("780", "participants.tsv")
    assert record.origins["EchoTime"] == "T2w.json"


def test_what_the_recipe_does_not_take_is_refused_and_what_is_clamped_is_told(tree: Tree) -> None:
    tree.image("sub-01/anat/sub-01_T2w", "dseg")
    tree.write("participants.tsv", "participant_id\tage\nsub-01\t130\n")
    field = '[[fields]]\nname = "age"\nkind = "continuous"\nminimum = 0\nmaximum = 100\nunit = "years"\n'
    with pytest.raises(ManifestError, match=r"participants\.tsv says age is 130, outside of what this model was trained on; give a number"):
        tree.read(recipe_of(fields=field))
    clamped = recipe_of(fields=field + 'outside = "clamp"\n')
    assert read_cases([source_at(tree.folder)], clamped)[0].metadata == {"age": 100}
    assert "100 is used instead" in read_records(source_at(tree.folder), clamped)[0].notices[0]


def test_images_without_a_mask_are_refused_or_left_out(tree: Tree) -> None:
    tree.image("sub-01/anat/sub-01_T2w", "dseg")
    tree.image("sub-02/anat/sub-02_T2w")
    with pytest.raises(ManifestError, match=r"sub-02_T2w\.nii\.gz: sub-02 has no mask; add it"):
        tree.read(recipe_of())
    recipe = recipe_of(("[data]", '[data]\nunlabelled = "skip"'))
    told: list[str] = []
    assert [case.subject for case in read_cases([source_at(tree.folder)], recipe, tell=told.append)] == ["sub-01"]
    assert told == ["1 image(s) without a mask are left out, as data.unlabelled says."]
    shutil.rmtree(tree.folder / "derivatives")
    with pytest.raises(ManifestError, match=r"no case with a mask; correct the data of the recipe, or data\.mask_suffix"):
        tree.read(recipe)


def test_a_channel_without_a_suffix_is_told(tree: Tree) -> None:
    tree.image("sub-01/anat/sub-01_T2w", "dseg")
    with pytest.raises(ManifestError, match="Channel MR has no suffix, by which its images are found in a BIDS folder"):
        tree.read(recipe_of(('suffix = "T2w"\n', "")))


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared data are not here")
def test_contrasts_of_a_real_spine() -> None:
    changes = (('suffix = "T2w"', 'suffix = ["T1w", "T2w", "T2star"]'), ("[data]", '[data]\nunlabelled = "skip"'))
    cases = read_cases([source_at(REAL)], recipe_of(*changes, fields=CONTRAST))
    assert {case.mask.name: case.values for case in cases} == {
        f"sub-unf01_{contrast}_seg-manual.nii.gz": (contrast,) for contrast in ("T1w", "T2w", "T2star")
    }

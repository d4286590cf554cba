from pathlib import Path

import numpy as np
import pytest

from napari_film import nifti
from napari_film.errors import InputError
from napari_film.training.cache import Cache
from napari_film.training.cases.case import ManifestError
from napari_film.training.cases.mask import read_mask
from napari_film.training.cases.reading import read_cases, read_records, source_at
from napari_film.training.dataset import TrainingSlices, prepare_cases
from napari_film.training.recipe import Recipe, RecipeError, load_recipe, parse_recipe
from napari_film.training.sampling import BalancedSampler, make_pools
from napari_film.volume import Volume

from .conftest import TARGET_RECIPE, write_bids
from .test_table import HEADING, ROW, write_table

TWO = TARGET_RECIPE.replace(
    'bids = "data"',
    """
[[data.sources]]
bids = "a"
labelled = ["large"]
name = "A"

[[data.sources]]
bids = "b"
labelled = ["small"]
cells = { site = "north" }
""",
).replace("epochs = 2", "epochs = 2\naugmentation = false")


def load(folder: Path, text: str = TWO) -> Recipe:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(str(path))[0]


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two data sets of the same three names, each to be taken as labelled for one value only."""
    for name in ("a", "b"):
        write_bids(tmp_path / name, subjects=3)
    return tmp_path


def test_one_name_in_two_data_sets_is_two_subjects(two: Path) -> None:
    cases = read_cases((recipe := load(two)).data.all_sources(), recipe)
    assert [case.subject for case in cases] == [f"{name}.sub-0{n}" for name in ("A", "data1") for n in (1, 2, 3)]
    assert [case.source for case in cases] == ["A"] * 3 + ["data1"] * 3
    assert [case.values for case in cases] == [("large",)] * 3 + [("small",)] * 3


def test_a_data_set_without_a_name_takes_none_that_another_has(two: Path) -> None:
    cases = read_cases((recipe := load(two, TWO.replace('name = "A"', 'name = "data1"'))).data.all_sources(), recipe)
    assert {case.source for case in cases} == {"data1", "data2"}


def test_data_sets_may_share_their_subjects(two: Path) -> None:
    recipe = load(two, TWO.replace("[data]", "[data]\nshared_subjects = true"))
    cases = read_cases(recipe.data.all_sources(), recipe)
    assert {case.subject for case in cases} == {"sub-01", "sub-02", "sub-03"}


def test_cells_hold_for_a_whole_data_set(two: Path) -> None:
    site = '[[fields]]\nname = "site"\nvalues = ["north", "south"]\nunknown = true\n\n[preprocessing]'
    recipe = load(two, TWO.replace("[preprocessing]", site))
    cases = read_cases(recipe.data.all_sources(), recipe)
    assert [case.metadata["site"] for case in cases] == ["unknown"] * 3 + ["north"] * 3
    assert read_records(recipe.data.all_sources()[1], recipe)[0].origins["site"] == "the recipe"


def test_a_label_that_a_data_set_lacks_is_never_shown_as_background(two: Path, tmp_path: Path) -> None:
    """All that training sees of a case is under the value that is labelled in it: where b has no large label, large is not asked of it."""
    for mask in (two / "b").rglob("*_dseg.nii.gz"):
        volume = nifti.read(mask)
        nifti.write(mask, np.where(np.asarray(volume.data) == 2, 2, 0).astype(np.uint8), like=volume)
    recipe = load(two)
    prepared = prepare_cases(read_cases(recipe.data.all_sources(), recipe), recipe, Cache(tmp_path / "cache"))
    pools = make_pools([{value: case.shows(recipe, value) for value in case.case.values} for case in prepared])
    slices = TrainingSlices(prepared, recipe)
    seen = set()
    for epoch in range(4):
        sampler = BalancedSampler(pools, samples=24, foreground=0.5, seed=0)
        sampler.set_epoch(epoch)
        for sample in sampler:
            case = prepared[sample.case]
            seen.add((case.case.source, sample.value))
            _, condition, truth, _ = slices[sample]
            assert condition.tolist() == ([1.0, 0.0] if case.case.source == "A" else [0.0, 1.0])
            assert bool(truth.any()) == bool(case.shows(recipe, sample.value)[sample.slice])
    assert seen == {("A", "large"), ("data1", "small")}


def test_a_table_and_a_tree_go_into_one_run(two: Path) -> None:
    table = two / "more.tsv"
    write_table(table, ["x", "x.nii.gz", "m.nii.gz"], heading=["subject", "image", "mask"], delimiter="\t")
    recipe = load(two, TWO.replace('bids = "b"', 'table = "more.tsv"'))
    assert [case.subject for case in read_cases(recipe.data.all_sources(), recipe)][-1] == "data1.x"


def test_a_data_set_in_place_of_the_recipes_keeps_how_its_files_are_called() -> None:
    recipe = parse_recipe(TARGET_RECIPE.replace('bids = "data"', 'bids = "data"\nmask_suffix = "lesion"\nlabels = "expert"'), name="r")
    source = source_at(Path(__file__).parent, like=recipe.data.all_sources()[0])
    assert (source.mask_suffixes, source.labels, source.bids) == (("lesion",), ("expert",), Path(__file__).parent)


def test_a_field_that_nobody_speaks_of_is_told_even_where_it_may_be_unknown(tmp_path: Path, context_recipe: Recipe) -> None:
    column = HEADING.index("tumor_type")
    table = write_table(tmp_path / "cases.csv", ROW, heading=[*HEADING[:column], "tumour", *HEADING[column + 1 :]])
    with pytest.raises(ManifestError, match="No case says anything of tumor_type, which field 'tumor_type' is read from; name its column"):
        read_cases([source_at(table)], context_recipe)


def test_a_source_is_not_read_before_its_phantom_is_drawn(context_recipe: Recipe) -> None:
    phantom = parse_recipe(TARGET_RECIPE.replace('bids = "data"', 'phantom = { kind = "abdomen", subjects = 3 }'), name="r")
    with pytest.raises(ValueError, match="drawn before it is read"):
        read_records(phantom.data.all_sources()[0], phantom)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "A"', 'name = "B"\nbids2 = 1', r"data\.sources\.1\.bids2 is not a key of a recipe; allowed here: bids, table, phantom"),
        ("cells =", 'name = "A"\ncells =', r"data: two of the sources have one name: A, A"),
        ('bids = "b"', "", r"data\.sources\.2: give one of bids, table and phantom"),
        ('bids = "b"', 'bids = "b"\ntable = "b.csv"', r"data\.sources\.2: give one of bids, table and phantom"),
        ("[data]", '[data]\nbids = "c"', r"data: bids stands beside sources; give one data set's keys"),
        ('labelled = ["small"]', 'labelled = ["tiny"]', r"labelled names 'tiny', which organ does not have; choose from: large, small"),
    ],
)
def test_wrong_sources_are_told(old: str, new: str, message: str) -> None:
    assert old in TWO
    with pytest.raises(RecipeError, match=message):
        parse_recipe(TWO.replace(old, new, 1), name="r.toml")


def write_mask(path: Path, values: np.ndarray) -> Path:
    nifti.write(path, values, like=Volume(values, np.eye(4), path.name))
    return path


def test_a_soft_mask_is_refused_unless_it_is_asked_for(tmp_path: Path) -> None:
    values = np.zeros((4, 5, 6), dtype=np.float32)
    values[1], values[2], values[3] = 0.25, 0.5, 1
    soft = write_mask(tmp_path / "soft.nii.gz", values)
    with pytest.raises(
        InputError, match=r"^soft\.nii\.gz holds fractional values such as 0\.25, .* set data\.soft_masks = true in the recipe"
    ):
        read_mask(soft)
    read = read_mask(soft, soft=True)
    assert read.data.dtype == np.uint8
    np.testing.assert_array_equal(read.data, values >= 0.5)
    np.testing.assert_array_equal(read.affine, np.eye(4))


def test_whole_numbers_stored_as_fractions_are_whole(tmp_path: Path) -> None:
    values = np.zeros((4, 5, 6), dtype=np.float32)
    values[1], values[2] = 1, 3
    for soft in (False, True):
        np.testing.assert_array_equal(read_mask(write_mask(tmp_path / "m.nii.gz", values), soft=soft).data, values)


def test_a_soft_mask_holds_parts(tmp_path: Path) -> None:
    values = np.full((4, 5, 6), 1.5, dtype=np.float32)
    with pytest.raises(InputError, match=r"m\.nii\.gz holds fractional values outside of 0 to 1"):
        read_mask(write_mask(tmp_path / "m.nii.gz", values), soft=True)

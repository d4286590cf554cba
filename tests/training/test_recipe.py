from collections.abc import Callable
from pathlib import Path

import pytest

from napari_film.fields import UNKNOWN
from napari_film.training.recipe import Recipe, RecipeError, bundled_recipes, load_recipe, parse_recipe

from .conftest import CONTEXT_RECIPE, TARGET_RECIPE


@pytest.mark.parametrize("name", bundled_recipes())
def test_bundled_recipes_are_valid(name: str) -> None:
    recipe, text = load_recipe(name)
    assert recipe.model.name == name
    assert recipe.architecture().condition == recipe.metadata_schema().width
    assert parse_recipe(text, name="copy") == recipe


def test_film_everywhere_decoder_and_none() -> None:
    def places(film: str) -> tuple[str, ...]:
        text = CONTEXT_RECIPE.replace("depth = 1", f"depth = 1\nfilm = {film}")
        return parse_recipe(text, name="r").architecture().places

    assert places('"everywhere"') == ("film",) * 4
    assert places('"decoder"') == ("none", "none", "film", "film")
    assert places('"none"') == ("none",) * 4
    assert places("[true, false, false, true]") == ("film", "none", "none", "film")
    parse_recipe(CONTEXT_RECIPE.replace("depth = 1", 'depth = 1\nplaces = "decoder"'), name="r")


@pytest.mark.parametrize("kind", ["film", "inside", "guide"])
def test_places_by_a_word_and_a_kind_or_one_by_one(kind: str) -> None:
    def places(keys: str) -> tuple[str, ...]:
        return parse_recipe(CONTEXT_RECIPE.replace("depth = 1", f"depth = 1\n{keys}"), name="r").architecture().places

    assert places(f'conditioning = "{kind}"') == (kind,) * 4
    assert places(f'places = "bottom"\nconditioning = "{kind}"') == ("none", kind, "none", "none")
    assert places(f'places = ["none", "film", "{kind}", "none"]') == ("none", "film", kind, "none")
    with pytest.raises(RecipeError, match="conditioning stands beside a list of places"):
        places(f'places = ["none", "film", "guide", "none"]\nconditioning = "{kind}"')


def test_a_target_field_is_the_class_and_names_labels() -> None:
    recipe = parse_recipe(TARGET_RECIPE, name="r")
    assert recipe.class_names() == ("organ",)
    assert recipe.class_labels("large") == ((1, 2),)
    assert recipe.class_labels("small") == ((2,),)


def test_context_has_classes_and_unknown() -> None:
    recipe = parse_recipe(CONTEXT_RECIPE, name="r")
    assert recipe.class_names() == ("core",)
    assert recipe.metadata_schema().fields[0].resolve(UNKNOWN) == (UNKNOWN, None)


def test_bids_is_relative_to_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(CONTEXT_RECIPE, encoding="utf-8")
    assert load_recipe(str(path))[0].data.bids == tmp_path / "data"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("epochs = 2", "epoch = 2"), r"^r\.toml: training\.epoch is not a key of a recipe; allowed here: epochs, samples"),
        (("epochs = 2", "epochs = 'two'"), r"^r\.toml: training\.epochs is 'two'; input should be a valid integer"),
        (("epochs = 2", "epochs = 0"), r"training\.epochs is 0; input should be greater than or equal to 1"),
        (
            ('"sagittal"', '"oblique"'),
            r"slice_axis is 'oblique'; input should be 'axial', 'coronal', 'sagittal' or 'acquired'",
        ),
        (
            ("depth = 1", 'depth = 1\nfilm = "head"'),
            r"model: places has 'head'; give one of everywhere, decoder, bottom, none, or a list",
        ),
        (("depth = 1", "depth = 1\nfilm = [true]"), r"model: places has 1 words; a network of depth 1 has 4 places"),
        (('name = "tiny"\n', ""), r"model\.name is missing"),
        (('name = "tiny"', 'name = "../tiny"'), r"model\.name is '\.\./tiny'"),
        (('suffix = "T2w"', 'sufix = "T2w"'), r"channels\.2\.suffix is missing|channels\.2\.sufix is not a key"),
        (("unknown = true", "unknown = true\nlabels = { astrocytoma = [1] }"), r"fields\.1: labels belong to a target field"),
        (("unknown = true", 'kind = "ordinal"'), r"fields\.1: kind should be 'categorical' or 'continuous'"),
        (
            ("unknown = true", "unknown = true\nminimum = 0"),
            r"fields\.1\.minimum is not a key of a recipe; allowed here: name, description",
        ),
        (('[[classes]]\nname = "core"\nlabels = [1]', ""), r"\[\[classes\]\] is missing"),
        (("patch = [16, 16]", "patch = [15, 16]"), r"patch \(15, 16\) does not have sides that are multiples of 2"),
        (("epochs = 2", "epochs = 2\nsplit = [0.9, 0.2, 0.2]"), r"training\.split: .* are not three parts of 1"),
        (('bids = "data"', ""), r"data: give one of bids, table and phantom"),
        (('bids = "data"', 'bids = "data"\nlabels = 3'), r"data\.labels: 3 is neither a text nor a list of texts"),
        (('bids = "data"', 'bids = "data"\nlabelled = ["x"]'), r"data: labelled names values of a target field, and the recipe has none"),
        (('suffix = "T2w"', "suffix = 3"), r"channels\.2\.suffix: 3 is neither a text nor a list of texts"),
        (("epochs = 2", 'epochs = 2\nsplit = "none"'), r"training\.split: 'none' are not three parts of 1 .*, nor \"same\""),
        (("unknown = true", "bins = [1]"), r"fields\.1: field 'tumor_type' has 1 bins between 3 values; one fewer is needed"),
        (("unknown = true", 'unit = "mm"'), r"fields\.1: unit belongs to a number: give bins, or kind = 'continuous'"),
        (("unknown = true", 'mirror = { astrocytoma = "ependymoma" }'), r"fields\.1: mirror belongs to a field with spatial"),
        (("unknown = true", 'spatial = "left"'), r"fields\.1\.spatial\.1 is 'left'; input should be 'left-right', 'front-back', 'up-down'"),
        (
            ("unknown = true", 'spatial = "left-right"\nmirror = { astrocytoma = "glioma" }'),
            r"fields\.1: mirror names 'glioma', which is not among the values: astrocytoma",
        ),
        (
            (
                "unknown = true",
                'spatial = "left-right"\nmirror = { astrocytoma = "ependymoma", hemangioblastoma = "ependymoma" }',
            ),
            r"fields\.1: mirror gives two values one mirror image; write each pair once",
        ),
        (
            ("unknown = true", 'spatial = "left-right"\nmirror = { sideways = {} }'),
            r"fields\.1\.mirror: sideways stands among tables; give pairs",
        ),
        (
            ("epochs = 2", 'epochs = 2\naugmentation = "rotation"'),
            r"training\.augmentation: 'rotation' is not true, false or \"intensity\"",
        ),
        (("[model]", "[model"), r"^r\.toml is not valid TOML"),
        (("[model]", 'colour = "red"\n[model]'), r"colour is not a key of a recipe; allowed here: model, data, channels"),
    ],
)
def test_a_wrong_recipe_is_told_in_one_sentence(change: tuple[str, str], message: str) -> None:
    assert change[0] in CONTEXT_RECIPE
    with pytest.raises(RecipeError, match=message) as told:
        parse_recipe(CONTEXT_RECIPE.replace(*change), name="r.toml")
    assert "\n" not in str(told.value)


def test_a_target_cannot_be_unknown_or_lack_film() -> None:
    with pytest.raises(RecipeError, match="cannot be unknown"):
        parse_recipe(TARGET_RECIPE.replace('role = "target"', 'role = "target"\nunknown = true'), name="r")
    with pytest.raises(RecipeError, match="could not be told organ"):
        parse_recipe(TARGET_RECIPE.replace("depth = 1", 'depth = 1\nplaces = "none"'), name="r")
    with pytest.raises(RecipeError, match="labels needs one entry for each of: large, small"):
        parse_recipe(TARGET_RECIPE.replace("small = [2]", "tiny = [2]"), name="r")


def test_a_missing_recipe_lists_the_bundled_ones() -> None:
    with pytest.raises(
        RecipeError,
        match=r"spine is no file and no recipe of this package; .* one of: abdomen, cardiac, clevr_seg, spinal_tumor",
    ):
        load_recipe("spine")


def test_a_binary_file_is_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot be read as text"):
        load_recipe(str(path))


def test_recipe_writer_reaches_the_loader(write_recipe: Callable[..., Path]) -> None:
    assert load_recipe(str(write_recipe(("epochs = 2", "epochs = 7"))))[0].training.epochs == 7


def with_fields(fields: str) -> Recipe:
    return parse_recipe(CONTEXT_RECIPE.replace("[preprocessing]", f"{fields}\n\n[preprocessing]"), name="r.toml")


def test_a_column_is_another_name_of_its_field_in_the_checkpoint() -> None:
    age = '[[fields]]\nname = "years"\nkind = "continuous"\ncolumn = "age"\nminimum = 0\nmaximum = 100\n'
    group = '[[fields]]\nname = "group"\ncolumn = "age"\nvalues = ["young", "old"]\nbins = [40]\n'
    assert with_fields(age).metadata_schema()["years"].aliases == ("age",)
    both = with_fields(age + group).metadata_schema()  # whose of the two it is in a file cannot be told
    assert (both["years"].aliases, both["group"].aliases) == ((), ())
    target = parse_recipe(TARGET_RECIPE.replace('role = "target"', 'role = "target"\ncolumn = "labelled"'), name="r")
    assert target.metadata_schema()["organ"].aliases == ()


def test_values_of_a_mirrored_image() -> None:
    side = '[[fields]]\nname = "side"\nvalues = ["left", "right", "both"]\nunknown = true\nspatial = "left-right"\n'
    place = '[[fields]]\nname = "x"\nkind = "continuous"\nminimum = -1\nmaximum = 1\nunknown = true\nspatial = "left-right"\n'
    field = with_fields(side + 'mirror = { left = "right" }').fields[1]
    assert [field.mirrored(value, "left-right") for value in ("left", "right", "both", UNKNOWN)] == ["right", "left", "both", UNKNOWN]
    assert field.movable("left-right")
    assert field.mirrored("left", "up-down") == "left"
    assert not with_fields(side).fields[1].movable("left-right")
    number = with_fields(place + "mirror = true").fields[1]
    assert [number.mirrored(value, "left-right") for value in (0.25, -1.0, UNKNOWN)] == [-0.25, 1.0, UNKNOWN]
    with pytest.raises(RecipeError, match=r"fields\.2: mirror needs a range that is the same on both sides of 0; it is 0 to 1"):
        with_fields(place.replace("-1", "0") + "mirror = true")
    assert with_fields('[[fields]]\nname = "a"\nvalues = ["b"]').fields[1].movable("left-right")


def test_a_soft_mask_is_one_structure() -> None:
    soft = CONTEXT_RECIPE.replace('bids = "data"', 'bids = "data"\nsoft_masks = true')
    assert parse_recipe(soft, name="r").data.soft_masks
    with pytest.raises(RecipeError, match=r"data\.soft_masks: a soft mask holds one structure, whose label is 1"):
        parse_recipe(soft.replace("labels = [1]", "labels = [1, 2]"), name="r")
    with pytest.raises(RecipeError, match=r"data\.soft_masks: a soft mask holds one structure"):
        parse_recipe(TARGET_RECIPE.replace('bids = "data"', 'bids = "data"\nsoft_masks = true'), name="r")


def test_one_file_may_hold_all_channels() -> None:
    recipe = parse_recipe(CONTEXT_RECIPE.replace('"sagittal"', '"sagittal"\nfourth_axis = "channels"'), name="r")
    assert [channel.name for channel in recipe.image_channels()] == ["T1w"]
    assert recipe.architecture().channels == 2
    assert recipe.checkpoint_preprocessing().fourth_axis == "channels"

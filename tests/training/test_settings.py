import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_film.training.recipe import RecipeError, load_recipe, parse_recipe
from napari_film.training.recipe.reading import without_paths

from .conftest import CONTEXT_RECIPE, TARGET_RECIPE


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("training.epochs=3", lambda recipe: recipe.training.epochs == 3),
        ("training.learning_rate = 2e-4", lambda recipe: recipe.training.learning_rate == 2e-4),
        ("model.places=decoder", lambda recipe: recipe.model.places == "decoder"),
        ('model.places="decoder"', lambda recipe: recipe.model.places == "decoder"),
        ("training.patch=[32, 32]", lambda recipe: recipe.training.patch == (32, 32)),
        ("training.patch.2=24", lambda recipe: recipe.training.patch == (16, 24)),
        ("training.augmentation=false", lambda recipe: not recipe.training.augmentation),
        ("fields.tumor_type.unknown=false", lambda recipe: not recipe.fields[0].unknown),
        ("fields.1.column=histology", lambda recipe: recipe.fields[0].column == "histology"),
        ("channels.T2w.method=window", lambda recipe: False),
        ('channels."T2w".scope="volume"', lambda recipe: recipe.channels[1].scope == "volume"),
        ("channels.2.name=Gd-e T1w", lambda recipe: recipe.channels[1].name == "Gd-e T1w"),
    ],
)
def test_a_setting_changes_what_it_names(setting: str, found: Callable[[object], bool], write_recipe: Callable[..., Path]) -> None:
    path = str(write_recipe())
    if setting.endswith("method=window"):  # which then lacks its window
        with pytest.raises(RecipeError, match=r"^recipe\.toml with --set channels\.T2w\.method=window: channels\.2: .*window"):
            load_recipe(path, [setting])
        return
    before, _ = load_recipe(path)
    recipe, text = load_recipe(path, [setting])
    assert found(recipe)
    assert not found(before)
    assert text.startswith(f"# recipe.toml with --set {setting}\n")
    assert parse_recipe(text, name="again") == recipe


def test_settings_come_one_after_the_other(write_recipe: Callable[..., Path]) -> None:
    recipe, text = load_recipe(str(write_recipe()), ["training.seed=1", "model.width=8", "training.seed=2"])
    assert (recipe.training.seed, recipe.model.width) == (2, 8)
    assert tomllib.loads(text)["training"]["seed"] == 2


def test_a_bundled_recipe_can_be_changed() -> None:
    assert load_recipe("abdomen", ["data.phantom.subjects=6"])[0].data.phantom.subjects == 6  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.epochs", r"^--set training\.epochs: this is no KEY=VALUE; write for example --set training\.epochs=20"),
        ("=3", r"this is no KEY=VALUE"),
        ("training..epochs=3", r"this is no KEY=VALUE"),
        ("training.epoch=3", r"training\.epoch is not a key of a recipe; allowed here: epochs, samples"),
        ("training.epochs=three", r"training\.epochs is 'three'; input should be a valid integer"),
        ("training.epochs=", r"no value in TOML|training\.epochs is ''"),
        ("training.patch=[16", r"^--set training\.patch=\[16: \[16 is no value in TOML"),
        ("model.name.first=x", r"^--set model\.name\.first=x: model\.name is 'tiny' and has no keys"),
        ("fields.age.unknown=true", r"^--set fields\.age\.unknown=true: fields has no entry 'age'; it has tumor_type"),
        ("fields.2.unknown=true", r"fields has no entry '2'; it has tumor_type"),
        ("training.prior=some", r"training\.prior is 'some'; input should be 'known' or 'none'"),
    ],
)
def test_a_wrong_setting_is_told_in_one_sentence(setting: str, message: str, write_recipe: Callable[..., Path]) -> None:
    with pytest.raises(RecipeError, match=message) as told:
        load_recipe(str(write_recipe()), [setting])
    assert "\n" not in str(told.value)


def test_without_prior_every_context_field_is_unknown() -> None:
    recipe = parse_recipe(CONTEXT_RECIPE.replace("unknown = true", "").replace("seed = 3", 'seed = 3\nprior = "none"'), name="r")
    assert [field.unknown for field in recipe.metadata_schema()] == [True]
    with pytest.raises(RecipeError, match=r'training\.prior is "none", so the network could not be told organ; use "known"'):
        parse_recipe(TARGET_RECIPE.replace("batch = 4", 'batch = 4\nprior = "none"'), name="r")


def test_paths_to_data_are_left_out_and_comments_stay() -> None:
    path = "bids = '/scans/Anna M\u00fcller'  # ours"
    text = "# our recipe\n" + CONTEXT_RECIPE.replace('bids = "data"', path)
    kept = without_paths(text)
    assert "Anna" not in kept
    assert kept.startswith("# our recipe\n")
    assert 'bids = "bids"  # ours' in kept
    assert parse_recipe(kept, name="r").training == parse_recipe(text, name="r").training


def test_paths_of_several_data_sets_are_left_out_however_they_are_written() -> None:
    one = 'bids = "data"'
    several = 'sources = [{ table = "a/x.csv" }, { "table" = "a/x.csv" }, { bids = "../b" }]'
    kept = tomllib.loads(without_paths(CONTEXT_RECIPE.replace(one, several)))
    assert kept["data"]["sources"] == [{"table": "table-1"}, {"table": "table-2"}, {"bids": "bids-3"}]


def test_a_recipe_without_paths_is_kept_as_it_is() -> None:
    _, text = load_recipe("spinal_tumor")
    assert without_paths(text) == text

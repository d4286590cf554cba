from pathlib import Path

import pytest
from rich.console import Console

from napari_film.errors import InputError
from napari_film.training.data import find_cases
from napari_film.training.fit import fit
from napari_film.training.recipe import Recipe, load_recipe

from .conftest import write_bids

CONSOLE = Console(quiet=True)


def test_the_data_set_is_named_by_its_description(tmp_path: Path, context_recipe: Recipe) -> None:
    folder = write_bids(tmp_path / "secret_name", subjects=3)
    cases, origin = find_cases(context_recipe, tmp_path, data=folder, console=CONSOLE)
    assert (len(cases), origin) == (3, "a data set without a name")
    (folder / "dataset_description.json").write_text('{"Name": "Three", "GeneratedBy": [{"Parameters": {"seed": 1}}]}', encoding="utf-8")
    assert find_cases(context_recipe, tmp_path, data=folder, console=CONSOLE)[1] == "Three (seed 1)"


def test_a_phantom_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def draw(kind: str, directory: Path, **options: object) -> Path:
        drawn.append(options)
        return write_bids(directory, subjects=3)

    monkeypatch.setattr("napari_film.training.data.write_phantom", draw)
    recipe, _ = load_recipe("spinal_tumor")
    unfinished = tmp_path / "phantom-spinal_tumor-90-seed1.unfinished"
    unfinished.mkdir()
    (unfinished / "half").write_text("", encoding="utf-8")
    for _ in range(2):
        cases, _ = find_cases(recipe, tmp_path, data=None, console=CONSOLE)
        assert len(cases) == 3
    assert len(drawn) == 1
    assert drawn[0]["seed"] == 1
    assert not unfinished.exists()


def test_phantoms_with_tables_are_drawn_and_read(tmp_path: Path) -> None:
    recipe, _ = load_recipe("clevr_seg", ["data.phantom.subjects=3"])
    cases, origin = find_cases(recipe, tmp_path, data=None, console=CONSOLE)
    assert [case.split for case in cases] == ["train", "validation", "test"]
    assert "clevr_seg" in origin
    assert all(case.values == recipe.fields[0].values for case in cases)  # type: ignore[union-attr]
    other, _ = load_recipe("clevr_seg", ["data.phantom.subjects=3", "data.phantom.table=location.tsv"])
    assert len(find_cases(other, tmp_path, data=None, console=CONSOLE)[0]) > len(cases)
    none, _ = load_recipe("clevr_seg", ["data.phantom.subjects=3", "data.phantom.table=weight.tsv"])
    with pytest.raises(InputError, match=r"The phantom clevr_seg has no table weight\.tsv; it has colour\.tsv, labels\.tsv, location\.tsv"):
        find_cases(none, tmp_path, data=None, console=CONSOLE)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "subjects"), [("clevr_seg", 8), ("cardiac", 5)])
def test_a_bundled_recipe_draws_trains_and_scores(name: str, subjects: int, tmp_path: Path) -> None:
    settings = [f"data.phantom.subjects={subjects}", "training.epochs=1", "training.samples=8", "training.batch=4"]
    recipe, text = load_recipe(name, settings)
    fitted = fit(recipe, text, tmp_path / "run")
    assert fitted.scores["epochs"] == 1
    assert set(fitted.scores["tables"]["test"]) == set(recipe.class_names())

"""Which checkpoints are trainings of one experiment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_film.comparison.experiment import ExperimentError, check_one_experiment, distinct_names, read_experiment
from napari_film.fields import CategoricalField
from napari_film.header import CheckpointError, Header

RECIPE = '[model]\nname = "tiny"\n[data]\nphantom = {{ kind = "a", seed = 1 }}\n[training]\nepochs = {epochs}\nseed = {seed}\n'


@pytest.fixture(scope="module")
def trained(make_header: Callable, site: CategoricalField) -> Callable[..., Header]:
    """Give a maker of headers as a training leaves them."""

    def make(seed: int | None, *, epochs: int = 4, recipe: str | None = None, data: str = "abc", **options: Any) -> Header:
        text = RECIPE.format(epochs=epochs, seed=seed) if recipe is None else recipe
        return make_header(site, header={"provenance": {"recipe": text, "seed": seed, "data_hash": data}}, **options)

    return make


def test_other_seeds_of_one_recipe_are_one_experiment(trained: Callable) -> None:
    check_one_experiment({"a": trained(0), "b": trained(1), "c": trained(2)})
    check_one_experiment({"a": trained(0, recipe="not toml ["), "b": trained(1, recipe="not toml [")})


def test_what_differs_is_named(trained: Callable, make_header: Callable) -> None:
    def refused(match: str, *others: Header) -> None:
        with pytest.raises(ExperimentError, match=match):
            check_one_experiment({"first": trained(0)} | {f"other {number}": other for number, other in enumerate(others)})

    refused("at least two checkpoints of one experiment, and 1 is given")
    refused("other 0 and first were both trained with seed 0; choose checkpoints of different seeds", trained(0))
    refused("other 1 and other 0 were both trained with seed 1", trained(1), trained(1))
    refused("other 1 and first were trained on different data", trained(1), trained(2, data="abd"))
    refused(r"other 0 and first differ in their recipe \(training.epochs\); only training.seed may differ", trained(1, epochs=5))
    refused(r"differ in their recipe \(its text\)", trained(1, recipe="not toml ["))
    refused(
        r"differ in their recipe \(data.phantom.seed\)",
        trained(1, recipe=RECIPE.format(epochs=4, seed=1).replace("seed = 1 }", "seed = 2 }")),
    )
    refused("differ in their architecture", trained(1, width=8))
    refused("differ in their classes", trained(1, classes=("organ",)))
    refused("differ in their preprocessing", trained(1, preprocessing={"slice_axis": "coronal"}))
    refused("other 0 does not say with which seed and data it was trained", trained(None))
    refused("other 0 does not say with which seed and data", trained(1, data=""))
    unlike = trained(1).model_copy(update={"metadata_schema": make_header().metadata_schema})
    refused("differ in their metadata fields", unlike)
    with pytest.raises(ExperimentError, match="and none is given"):
        check_one_experiment({})


def test_files_are_read_and_named_so_that_they_can_be_told_apart(make_checkpoint: Callable, site: CategoricalField, tmp_path: Path) -> None:
    paths = [tmp_path / f"seed{seed}" / "best.safetensors" for seed in (0, 1)]
    for seed, path in enumerate(paths):
        made = make_checkpoint(site, header={"provenance": {"seed": seed, "data_hash": "abc"}})
        path.parent.mkdir()
        path.write_bytes(made.read_bytes())
    headers = read_experiment(paths)
    assert {name: header.provenance.seed for name, header in headers.items()} == {
        "seed0/best.safetensors": 0,
        "seed1/best.safetensors": 1,
    }
    with pytest.raises(ExperimentError, match=r"best\.safetensors is named twice"):
        read_experiment([paths[0], paths[1], tmp_path / "seed1" / ".." / "seed0" / "best.safetensors"])
    with pytest.raises(CheckpointError, match=r"gone\.safetensors does not exist"):
        read_experiment([paths[0], tmp_path / "gone.safetensors"])


def test_names_are_as_short_as_tells_them_apart() -> None:
    assert distinct_names([]) == ()
    assert distinct_names([Path("/a/x.st"), Path("/a/y.st")]) == ("x.st", "y.st")
    assert distinct_names([Path("/r/1/m/x"), Path("/r/2/m/x"), Path("/r/2/m/y")]) == ("1/m/x", "2/m/x", "y")

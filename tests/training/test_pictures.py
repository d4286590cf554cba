import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_film.models.unet import ConditionedUNet
from napari_film.training.cache import Cache
from napari_film.training.cases.reading import read_cases
from napari_film.training.dataset import prepare_cases
from napari_film.training.fit import fit
from napari_film.training.module import TrainingModule
from napari_film.training.pictures import choose, curves, overlays
from napari_film.training.prepared import PreparedCase
from napari_film.training.recipe import Recipe, load_recipe

from .conftest import TYPES


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[[Recipe], tuple[PreparedCase, ...]]:
    return lambda recipe: prepare_cases(read_cases(recipe.data.all_sources(), recipe), recipe, Cache(tmp_path / "cache"))


def module_of(recipe: Recipe) -> TrainingModule:
    torch.manual_seed(0)
    return TrainingModule(ConditionedUNet(recipe.architecture()), recipe, validation_cases=3)


def test_a_row_for_each_true_value_and_a_column_for_each_that_can_be_told(
    context_recipe: Recipe, prepared: Callable[[Recipe], tuple[PreparedCase, ...]]
) -> None:
    examples = choose(prepared(context_recipe), context_recipe)
    assert [example.value for example in examples] == list(TYPES)
    for example in examples:
        sizes = example.case.truth(context_recipe, example.value).sum(axis=(1, 2, 3))
        assert sizes[example.number] == sizes.max() > 0
        assert example.value in example.case.case.values
    module = module_of(context_recipe).train()
    figure = overlays(examples, module, "epoch 7")
    assert module.training
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 12
    assert titles[0].startswith("astrocytoma\nDice ")
    assert titles[3].startswith("astrocytoma\ntold unknown\nDice ")
    assert figure.get_suptitle() == "validation slices, epoch 7"


def test_the_outlines_are_those_of_truth_and_mask(context_recipe: Recipe, prepared: Callable[[Recipe], tuple[PreparedCase, ...]]) -> None:
    example = choose(prepared(context_recipe), context_recipe)[0]
    module = module_of(context_recipe)
    with torch.no_grad():
        module.network.head.bias.fill_(1e4)  # everything is mask
    axes = overlays([example], module, "").axes[0]
    truth = example.case.truth_of(example.number, context_recipe, example.value)[0]
    rows, columns = np.nonzero(truth)
    of_truth, of_mask = (collection.get_paths()[0].vertices for collection in axes.collections)
    assert (of_truth.min(axis=0) == [columns.min() - 0.5, rows.min() - 0.5]).all()
    assert (of_truth.max(axis=0) == [columns.max() + 0.5, rows.max() + 0.5]).all()
    assert (of_mask.max(axis=0) == [truth.shape[1] - 0.5, truth.shape[0] - 0.5]).all()


def test_a_target_is_asked_for_by_its_own_name_alone(target_recipe: Recipe, prepared: Callable[[Recipe], tuple[PreparedCase, ...]]) -> None:
    examples = choose(prepared(target_recipe), target_recipe)
    figure = overlays(examples, module_of(target_recipe), "")
    assert [axes.get_title().partition("\n")[0] for axes in figure.axes] == ["large", "small"]


def test_curves_have_every_epoch_and_every_value() -> None:
    rows = [{"epoch": 1, "loss": 0.9}, {"epoch": 2, "loss": 0.7, "dice": 0.4, "dice/a": 0.3, "dice/b": 0.5}]
    left, right = curves(rows).axes
    assert left.lines[0].get_xydata().tolist() == [[1, 0.9], [2, 0.7]]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["mean", "a", "b"]
    assert right.get_title() == "best: 0.400 in epoch 2"


def test_pictures_are_drawn_and_change_nothing(write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    for name, pictures in (("with", "true"), ("without", "false")):
        recipe, text = load_recipe(str(write_recipe()), [f"training.pictures={pictures}", "training.tensorboard=false"])
        fit(recipe, text, tmp_path / name)
    assert (tmp_path / "with" / "metrics.csv").read_bytes() == (tmp_path / "without" / "metrics.csv").read_bytes()
    assert not (tmp_path / "without" / "pictures").exists()
    for name in ("curves.png", "overlays.png"):
        content = (tmp_path / "with" / "pictures" / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert all(side > 200 for side in struct.unpack(">II", content[16:24]))

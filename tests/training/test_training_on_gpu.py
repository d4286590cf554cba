"""Training on an NVIDIA GPU: `pytest -m gpu`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_film.checkpoint import load_checkpoint
from napari_film.inference.predictor import Predictor
from napari_film.nifti import read
from napari_film.training.fit import fit
from napari_film.training.recipe import load_recipe

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_learns_there_and_its_checkpoint_is_used_anywhere(write_recipe: Callable[..., Path], tmp_path: Path, precision: str) -> None:
    path = write_recipe(
        ("epochs = 2", f'epochs = 20\nprecision = "{precision}"'), ("width = 4", "width = 16"), ("samples = 24", "samples = 96")
    )
    recipe, text = load_recipe(str(path))
    torch.cuda.reset_peak_memory_stats()
    fitted = fit(recipe, text, tmp_path / "run", cache=tmp_path / "cache")
    assert torch.cuda.max_memory_allocated() > 0
    table = fitted.scores["tables"]["validation"]["core"]
    assert np.mean([table[value][value] for value in table]) > 0.6
    case = fitted.split.test[0]
    predictor = Predictor(load_checkpoint(fitted.checkpoint), device="cpu", precision="float32")
    mask = predictor.predict([read(image) for image in case.images], {"tumor_type": case.values[0]}).mask()
    truth = read(case.mask).data == 1
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.5

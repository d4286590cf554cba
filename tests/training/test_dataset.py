from pathlib import Path

import numpy as np
import pytest
import torch

from napari_film import nifti
from napari_film.training.cache import Cache
from napari_film.training.cases.reading import read_cases
from napari_film.training.dataset import TrainingSlices, prepare_cases
from napari_film.training.prepared import PreparedCase, open_case
from napari_film.training.recipe import Recipe
from napari_film.training.sampling import Sample


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def cases(bids: Path, context_recipe: Recipe, cache: Cache) -> tuple[PreparedCase, ...]:
    return prepare_cases(read_cases(context_recipe.data.all_sources(), context_recipe), context_recipe, cache)


def test_slices_are_what_inference_sees(bids: Path, context_recipe: Recipe, cases: tuple[PreparedCase, ...]) -> None:
    case = read_cases(context_recipe.data.all_sources(), context_recipe)[2]
    prepared = open_case(case, context_recipe)
    for k in range(prepared.network_shape[0]):
        np.testing.assert_array_equal(cases[2].images[k], prepared.image(k).astype(np.float16))
    labels = prepared.labels(nifti.read(case.mask))
    np.testing.assert_array_equal(cases[2].labels[:, : labels.shape[1], : labels.shape[2]], labels)
    assert cases[2].labels.shape[1:] == cases[2].images.shape[2:]


def test_truth_follows_the_value(bids: Path, target_recipe: Recipe, cache: Cache) -> None:
    case = prepare_cases(read_cases(target_recipe.data.all_sources(), target_recipe)[:1], target_recipe, cache)[0]
    large, small = (case.truth(target_recipe, value) for value in ("large", "small"))
    np.testing.assert_array_equal(large[:, 0], case.labels > 0)
    np.testing.assert_array_equal(small[:, 0], case.labels == 2)
    for value, truth in (("large", large), ("small", small)):
        assert 0 < case.shows(target_recipe, value).sum() < len(truth)
        np.testing.assert_array_equal(case.shows(target_recipe, value), truth.any(axis=(1, 2, 3)))
        for index in range(len(truth)):
            np.testing.assert_array_equal(case.truth_of(index, target_recipe, value), truth[index])


def test_a_sample_is_drawn_anew_every_epoch_and_again_the_same(context_recipe: Recipe, cases: tuple[PreparedCase, ...]) -> None:
    slices = TrainingSlices(cases, context_recipe)
    first, again = (slices[Sample(0, 2, "astrocytoma", 4, 7)] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for other in (Sample(0, 2, "astrocytoma", 5, 7), Sample(0, 2, "astrocytoma", 4, 8)):
        assert not torch.equal(first[0], slices[other][0])
    image, condition, truth, position = first
    assert image.shape == (2, 16, 16)
    assert condition.shape == (4,)
    assert truth.shape == (1, 16, 16)
    assert position.shape == (5,)
    assert image.dtype == condition.dtype == truth.dtype == position.dtype == torch.float32


def test_unknown_is_sampled_as_often_as_the_recipe_says(context_recipe: Recipe, cases: tuple[PreparedCase, ...]) -> None:
    slices = TrainingSlices(cases, context_recipe)
    conditions = torch.stack([slices[Sample(1, 2, "ependymoma", 0, index)][1] for index in range(400)])
    assert torch.equal(conditions.sum(dim=1), torch.ones(400))
    shares = conditions.mean(dim=0)
    assert shares[0] == shares[2] == 0
    assert shares[3] == pytest.approx(0.25, abs=0.07)


def test_a_target_is_never_unknown(bids: Path, target_recipe: Recipe, cache: Cache) -> None:
    slices = TrainingSlices(
        prepare_cases(read_cases(target_recipe.data.all_sources(), target_recipe)[:1], target_recipe, cache), target_recipe
    )
    assert {tuple(slices[Sample(0, 0, "small", 0, index)][1].tolist()) for index in range(20)} == {(0.0, 1.0)}

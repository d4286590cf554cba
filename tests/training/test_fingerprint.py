"""The fingerprint is that of the images as they are stored, whatever the network is shown."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_film.training.cache import Cache
from napari_film.training.cases.reading import read_cases
from napari_film.training.fingerprint import measure, take_fingerprint
from napari_film.training.recipe import Recipe
from napari_film.volume import Volume


def test_it_is_taken_from_the_stored_files(bids: Path, context_recipe: Recipe, tmp_path: Path) -> None:
    cases = read_cases(context_recipe.data.all_sources(), context_recipe)[2:7]
    cache = Cache(tmp_path)
    fingerprint = take_fingerprint([cache.prepared(case, context_recipe) for case in cases], context_recipe)
    for channel, found in enumerate(fingerprint.intensity):
        stored = [np.asarray(nibabel.load(case.images[channel]).dataobj) for case in cases]
        low, middle, high = zip(*(np.percentile(one, (0.5, 50, 99.5)) for one in stored), strict=True)
        assert (found.low, found.median, found.high) == pytest.approx((min(low), np.median(middle), max(high)), abs=1e-3)
    assert [(axis.low, axis.median, axis.high) for axis in fingerprint.spacing] == [(3, 3, 3), (1, 1, 1), (1, 1, 1)]
    assert [axis.median for axis in fingerprint.size] == [6, 20, 20]
    assert fingerprint.subjects == 5
    assert fingerprint.metadata == {"tumor_type": {"astrocytoma": 2, "ependymoma": 1, "hemangioblastoma": 2}}


def test_it_is_the_same_when_the_cache_has_it_already(bids: Path, context_recipe: Recipe, tmp_path: Path) -> None:
    cases = read_cases(context_recipe.data.all_sources(), context_recipe)
    first, second = (take_fingerprint([Cache(tmp_path).prepared(case, context_recipe) for case in cases], context_recipe) for _ in range(2))
    assert first == second


def test_axes_are_those_of_the_patient() -> None:
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = -5, 1.5, 0.5, 1  # stored along S (downwards), R, A
    measures = measure([Volume(np.arange(4 * 6 * 8).reshape(4, 6, 8), affine)])
    assert measures.spacing == (1.5, 0.5, 5)
    assert measures.size == (6, 8, 4)
    assert measures.intensity[0][1] == pytest.approx((4 * 6 * 8 - 1) / 2)


def test_axes_of_acquired_slices_are_columns_rows_and_slices() -> None:
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = -5, 1.5, 0.5, 1  # slices 5 mm thick stand first in the file
    measures = measure([Volume(np.arange(4 * 6 * 8).reshape(4, 6, 8), affine)], "acquired")
    assert measures.spacing == (1.5, 0.5, 5)
    assert measures.size == (6, 8, 4)
    measures = measure([Volume(np.arange(4 * 6 * 8).reshape(6, 8, 4), affine[:, [1, 2, 0, 3]])], "acquired")
    assert measures.spacing == (1.5, 0.5, 5)
    assert measures.size == (6, 8, 4)
    turned = affine @ np.array([[0, 0, -1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    assert measure([Volume(np.zeros((6, 8, 4)), turned)], "acquired").spacing == (1.5, 0.5, 5)

"""What is shown of a slice."""

import numpy as np

from napari_film.training.recipe import load_recipe
from napari_film.training.seen import as_seen, seen_channels


def test_pictures_in_colour_and_the_first_of_other_channels() -> None:
    assert seen_channels(load_recipe("clevr_seg")[0]) == (0, 1, 2)
    assert seen_channels(load_recipe("spinal_tumor")[0]) == (0,)


def test_grey_runs_from_black_to_white_and_colours_keep_their_hue() -> None:
    ramp = np.linspace(-300, 700, 1001, dtype=np.float32).reshape(1, 7, 143)
    grey = as_seen(ramp)
    assert grey.shape == (7, 143)
    assert (grey.min(), grey.max()) == (0, 1)
    np.testing.assert_allclose(grey[3, 71], 0.5, atol=1e-3)
    red = np.zeros((3, 4, 5))
    red[0, 1:3, 1:4] = 200
    shown = as_seen(red)
    assert shown.shape == (4, 5, 3)
    assert shown[2, 2].tolist() == [1, 0, 0]
    assert shown[0, 0].tolist() == [0, 0, 0]


def test_an_even_slice_is_black() -> None:
    assert as_seen(np.full((1, 3, 3), 7.0)).tolist() == [[0] * 3] * 3

"""People with each kind of colour blindness tell the colours of the difference apart."""

from itertools import combinations

import numpy as np
import pytest

from napari_film.plugin.difference_colours import COLOUR_A, COLOUR_B, DIFFERENCE_COLOURS

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
SIGHT = {
    "trichromacy": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# sRGB to XYZ under D65, IEC 61966-2-1.
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
MID_GREY = np.full(3, 0.5)


def srgb(code):
    return np.array([int(code[first : first + 2], 16) for first in (1, 3, 5)]) / 255


def over_grey(colour, opacity=0.6):
    """As a screen blends a layer over an image: in sRGB."""
    return opacity * colour + (1 - opacity) * MID_GREY


def seen(colour, sight):
    """CIELAB of an sRGB colour as ``sight`` lets it be seen."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.asarray(SIGHT[sight]) @ linear, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def least(codes, sight, shown=lambda colour: colour):
    """The least distance between two of the colours."""
    places = [seen(shown(srgb(code)), sight) for code in codes]
    return min(np.linalg.norm(one - other) for one, other in combinations(places, 2))


@pytest.mark.parametrize("sight", SIGHT)
def test_each_two_are_told_apart(sight):
    codes = [colour.code for colour in DIFFERENCE_COLOURS]
    assert least(codes, sight) >= 40
    assert least(codes, sight, over_grey) >= 30


def test_the_bound_tells_colours_that_are_confused():
    """Red and green, the classic; and Okabe and Ito's reddish purple beside the two, which the violet is here instead of."""
    assert least(("#D55E00", "#6B8E23"), "trichromacy") > 40 > least(("#D55E00", "#6B8E23"), "deuteranopia")
    assert least((COLOUR_A, COLOUR_B, "#CC79A7"), "tritanopia") < 20


def test_cielab_of_known_colours():
    assert seen(srgb("#FFFFFF"), "trichromacy") == pytest.approx([100, 0, 0], abs=1e-6)
    assert seen(srgb("#FF0000"), "trichromacy") == pytest.approx([53.24, 80.09, 67.20], abs=0.01)


def test_names_and_parts():
    assert [colour.part for colour in DIFFERENCE_COLOURS] == ["both", "only A", "only B"]
    assert len({colour.name for colour in DIFFERENCE_COLOURS}) == 3
    assert [colour.code for colour in DIFFERENCE_COLOURS[1:]] == [COLOUR_A, COLOUR_B]

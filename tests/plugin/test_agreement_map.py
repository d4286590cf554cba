"""The matrix shows each Dice where the mouse finds it, legibly."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QSize

from napari_film.plugin.agreement_map import AgreementMap
from napari_film.plugin.heat_image import heat_image

SCORES = np.array([[1, 0.25, 0.5], [0.25, 1, 0.75], [0.5, 0.75, 1]])


@pytest.fixture
def matrix(qtbot):
    widget = AgreementMap()
    qtbot.addWidget(widget)
    widget.resize(360, 160)
    widget.setValue(["astrocytoma", "ependymoma_grade_2", "a very long name indeed that nobody can read here"], SCORES)
    widget.show()
    return widget


@pytest.mark.parametrize("size", [QSize(360, 160), QSize(700, 90), QSize(130, 40)])
def test_the_mouse_finds_each_cell(matrix, size):
    matrix.resize(size)
    names = ["astrocytoma", "ependymoma grade 2", "a very long name indeed that nobody can read here"]
    for row, column in np.ndindex(3, 3):
        middle = matrix.rectOf(row, column).center()
        assert matrix.rect().contains(middle)
        assert matrix.textAt(middle) == f"{names[row]} and {names[column]}: Dice {SCORES[row, column]:.3f}"
    assert matrix.textAt(QPoint(0, 0)) == ""
    assert matrix.textAt(QPoint(size.width() - 1, size.height() - 1)) == ""


def test_each_cell_has_the_colour_of_its_dice(matrix):
    image = matrix.grab().toImage()
    ratio = matrix.devicePixelRatio()
    expected = heat_image(SCORES)
    for row, column in np.ndindex(3, 3):
        corner = matrix.rectOf(row, column).topLeft() + QPoint(3, 3)
        assert image.pixelColor(corner * ratio) == expected.pixelColor(column, row)


def test_forty_masks_are_seen_at_once(matrix):
    names = [f"value_{number}" for number in range(40)]
    matrix.setValue(names, np.eye(40))
    matrix.resize(300, 110)
    assert matrix.minimumSizeHint().height() <= 110
    image = matrix.grab().toImage()
    ends = [image.pixelColor(matrix.rectOf(place, place).center()) for place in (0, 39)]
    assert ends == [heat_image(np.ones((1, 1))).pixelColor(0, 0)] * 2
    assert matrix.textAt(matrix.rectOf(7, 7).center()) == "value 7 and value 7: Dice 1.000"


def test_nothing_is_shown_where_there_is_nothing(matrix):
    matrix.setValue([], None)
    assert matrix.value() is None
    assert matrix.textAt(QPoint(100, 80)) == ""
    assert matrix.minimumSizeHint() == QSize(0, 0)
    matrix.grab()

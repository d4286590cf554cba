"""The panel shows γ and β where it says it does, and says so where the mouse is."""

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QHelpEvent, QMouseEvent, QWheelEvent
from qtpy.QtWidgets import QApplication, QLabel, QToolTip

from napari_film.inference.film_space import FiLMSpace, film_space
from napari_film.plugin.distance_map import DistanceMap
from napari_film.plugin.film_map import Cell, FiLMMap
from napari_film.plugin.film_panel import LEGEND, NO_FILM, NO_MODEL, NO_VALUES, ONE_VALUE, FiLMPanel
from napari_film.plugin.heat_image import heat_image, ink_on


def space_of(values, channels, seed=0):
    rng = np.random.default_rng(seed)
    places = tuple(f"place {number}" for number in range(len(channels)))
    gamma, beta = (tuple(rng.random((values, count)).astype(np.float32) for count in channels) for _ in range(2))
    return FiLMSpace(tuple(f"value_{number}" for number in range(values)), places, gamma, beta)


@pytest.fixture
def panel(qtbot):
    panel = FiLMPanel()
    qtbot.addWidget(panel)
    panel.resize(900, 240)
    panel.show()
    return panel


def map_of(panel):
    return panel.findChild(FiLMMap, "film_map")


def distances_of(panel):
    return panel.findChild(DistanceMap, "film_distances")


def move(widget, position):
    """Move the mouse there, as Qt tells a widget of it; a cursor of the test's own display does not always move."""
    none = Qt.MouseButton.NoButton
    where = QPointF(position)
    event = QMouseEvent(QEvent.Type.MouseMove, where, widget.mapToGlobal(where), none, none, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(widget, event)


def empty_text(panel):
    label = panel.findChild(QLabel, "film_inside_empty")
    return label.text() if label.isVisible() else ""


def all_cells(space):
    for place, part in enumerate(space.gamma):
        for kind in "γβ":
            for value in range(part.shape[0]):
                for channel in range(part.shape[1]):
                    yield Cell(kind, place, channel, value)


@pytest.mark.parametrize("size", [(900, 240), (600, 180), (1400, 300)])
def test_every_cell_is_painted_and_read_where_it_stands(panel, qtbot, size):
    panel.resize(*size)
    space = space_of(3, (7, 40, 64, 1))
    panel.setSpace(space)
    shown = map_of(panel)
    picture = shown.viewport().grab().toImage()
    seen = 0
    for cell in all_cells(space):
        middle = shown.rectOf(cell).center()
        assert shown.cellAt(middle) == cell
        gamma, beta = (part[cell.place][cell.value, cell.channel] for part in (space.gamma, space.beta))
        words = f"place {cell.place}, channel {cell.channel + 1}, value {cell.value}: γ {gamma:.3f}, β {beta:.3f}"
        assert shown.textAt(middle) == words
        if picture.rect().contains(middle):
            wanted = heat_image(np.array([[gamma if cell.kind == "γ" else beta]])).pixelColor(0, 0)
            assert picture.pixelColor(middle) == wanted, cell
            seen += 1
    assert seen > 500 or size == (600, 180)


def test_the_mouse_reads_in_the_line_below_and_in_the_tooltip(panel, qtbot):
    space = space_of(2, (4, 8))
    panel.setSpace(space)
    shown = map_of(panel)
    assert panel.status() == LEGEND
    middle = shown.rectOf(Cell("β", 1, 6, 1)).center()
    words = f"place 1, channel 7, value 1: γ {space.gamma[1][1, 6]:.3f}, β {space.beta[1][1, 6]:.3f}"
    move(shown.viewport(), middle)
    assert panel.status() == words
    event = QHelpEvent(QEvent.Type.ToolTip, middle, shown.viewport().mapToGlobal(middle))
    QApplication.sendEvent(shown.viewport(), event)
    assert QToolTip.text() == words
    QApplication.sendEvent(shown.viewport(), QEvent(QEvent.Type.Leave))
    assert panel.status() == LEGEND


def test_above_a_block_stands_how_much_it_listens(panel):
    ends = np.array([[0] * 4, [1] * 4], dtype=np.float32)
    same = np.full((2, 4), 0.5, dtype=np.float32)
    panel.setSpace(FiLMSpace(("a", "b"), ("encoder 1", "bottom"), (ends, same), (ends, same)))
    shown = map_of(panel)
    heads = [QPoint(shown.rectOf(Cell("γ", place, 0, 0)).center().x(), 12) for place in (0, 1)]
    assert [shown.textAt(head) for head in heads] == [
        "encoder 1 listens: γ and β spread by 0.500 over the values",
        "bottom listens: γ and β spread by 0.000 over the values",
    ]
    top = shown.rectOf(Cell("γ", 0, 0, 0)).top()
    picture = shown.viewport().grab().toImage()
    empty = picture.pixelColor(1, 1)
    bars = [[picture.pixelColor(head.x(), y) != empty for y in range(top - 18, top - 4)] for head in heads]
    assert all(bars[0])
    assert not any(bars[1])


def test_between_cells_there_is_nothing_to_read(panel):
    panel.setSpace(space_of(2, (4, 8)))
    shown = map_of(panel)
    first, second = shown.rectOf(Cell("γ", 0, 3, 0)), shown.rectOf(Cell("γ", 1, 0, 0))
    between = QPoint((first.right() + second.left()) // 2, first.center().y())
    below = QPoint(first.center().x(), (shown.rectOf(Cell("γ", 0, 3, 1)).bottom() + shown.rectOf(Cell("β", 0, 3, 0)).top()) // 2)
    for nowhere in (between, below, QPoint(2, first.center().y()), QPoint(first.x(), shown.rectOf(Cell("β", 0, 0, 1)).bottom() + 9)):
        assert shown.cellAt(nowhere) is None
        assert shown.textAt(nowhere) == ""


def test_a_large_network_is_scrolled_through(panel, qtbot):
    channels = (64, 128, 256, 512, 1024, 2048, 1024, 512, 256, 128, 64, 1)
    space = space_of(40, channels)
    panel.setSpace(space)
    shown = map_of(panel)
    across, down = shown.horizontalScrollBar(), shown.verticalScrollBar()
    assert across.maximum() > sum(channels) - 900
    assert down.maximum() > 0
    last = Cell("β", 11, 0, 39)
    assert not shown.viewport().rect().contains(shown.rectOf(last).center())
    across.setValue(across.maximum())
    down.setValue(down.maximum())
    place = shown.rectOf(last)
    assert shown.viewport().rect().contains(place.center())
    assert shown.textAt(place.center()).startswith("place 11, channel 1, value 39:")
    wanted = heat_image(space.beta[11][39:]).pixelColor(0, 0)
    assert shown.viewport().grab().toImage().pixelColor(place.center()) == wanted
    deepest = shown.rectOf(Cell("β", 5, 2047, 39))
    assert deepest.width() == 1


def test_the_wheel_scrolls_along_the_channels_where_there_is_nothing_below(panel):
    panel.setSpace(space_of(2, (64, 2048)))
    shown = map_of(panel)
    centre = QPointF(shown.viewport().rect().center())
    no_button = Qt.MouseButton.NoButton
    turn = QWheelEvent(
        centre, centre, QPoint(), QPoint(0, -120), no_button, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False
    )
    QApplication.sendEvent(shown.viewport(), turn)
    assert shown.horizontalScrollBar().value() > 0


def test_distances_are_painted_and_read(panel, qtbot):
    space = space_of(3, (5, 9))
    panel.setSpace(space)
    shown = distances_of(panel)
    distances = space.distances()
    picture = shown.grab().toImage()
    for row in range(3):
        for column in range(3):
            rect = shown.rectOf(row, column)
            assert shown.cellAt(rect.center()) == (row, column)
            text = shown.textAt(rect.center())
            assert text == f"value {row} and value {column}: distance {distances[row, column]:.3f} (root mean square over all γ and β)"
            scaled = np.array([[distances[row, column] / distances.max()]])
            assert picture.pixelColor(rect.topLeft() + QPoint(2, 2)) == heat_image(scaled).pixelColor(0, 0)
    move(shown, shown.rectOf(2, 0).center())
    assert panel.status().startswith("value 2 and value 0")
    assert shown.textAt(QPoint(0, 0)) == ""


def test_what_is_empty_says_why(panel):
    assert (empty_text(panel), panel.status()) == (NO_MODEL, "")
    panel.setSpace(FiLMSpace(("a",), (), (), ()))
    assert (empty_text(panel), panel.status()) == (NO_FILM, "")
    assert "has no FiLM" in NO_FILM  # as other ways to be told metadata have none
    panel.setSpace(space_of(0, (4,)))
    assert empty_text(panel) == NO_VALUES
    panel.setSpace(space_of(1, (4,)))
    assert (empty_text(panel), panel.status()) == ("", ONE_VALUE)
    assert not distances_of(panel).isVisible()
    panel.setSpace(space_of(2, (4,)))
    assert (empty_text(panel), panel.status()) == ("", LEGEND)
    assert distances_of(panel).isVisible()
    panel.setSpace(None)
    assert panel.space() is None
    assert empty_text(panel) == NO_MODEL
    assert not map_of(panel).isVisible()


def test_while_something_is_read_nothing_old_is_read_out(panel):
    panel.setBusy("Reading the model…")
    assert empty_text(panel) == "Reading the model…"
    space = space_of(2, (4,))
    panel.setSpace(space)
    assert panel.status() == "Reading the model…"
    shown = map_of(panel)
    assert not shown.isEnabled()
    shown.hovered.emit("place 0, channel 1, value 0: γ 0, β 0")
    assert panel.status() == "Reading the model…"
    panel.setBusy(None)
    assert panel.status() == LEGEND
    assert shown.isEnabled()


def test_a_real_checkpoint(panel, make_checkpoint, tumor):
    space = film_space(make_checkpoint(tumor), {value: tumor.encode(value) for value in tumor.values})
    panel.setSpace(space)
    assert panel.space() is space
    text = map_of(panel).textAt(map_of(panel).rectOf(Cell("γ", 4, 2, 1)).center())
    assert text == f"decoder 2, channel 3, ependymoma: γ {space.gamma[4][1, 2]:.3f}, β {space.beta[4][1, 2]:.3f}"


def test_colours_go_one_way_and_ink_is_read_on_them():
    image = heat_image(np.linspace(-0.1, 1.1, 200)[None])
    lightness = [image.pixelColor(x, 0).lightnessF() for x in range(200)]
    assert lightness[0] < 0.3 < lightness[-1]
    assert (ink_on(0), ink_on(1)) == (QColor("white"), QColor("black"))

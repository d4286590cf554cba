"""The panel shows a comparison, sorts it as numbers, copies and saves it, and edits what masks are held against."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QFont
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel, QPushButton, QWidget

from napari_film.comparison.table import Comparison, Row
from napari_film.errors import InputError
from napari_film.plugin.agreement_map import AgreementMap
from napari_film.plugin.dropdown import Dropdown
from napari_film.plugin.number_box import NumberBox
from napari_film.plugin.numbers_panel import NumbersPanel
from napari_film.plugin.numbers_table import NumbersTable

ROWS = (
    Row("astrocytoma", 9.5, 12, 1.0, 0.5, 0.25, 3.0),
    Row("ependymoma_grade_2", 100.25, 2, 0.5, 0.75, 0.5, 12.0),
    Row("none", 0.0, 0, 0.0, 0.0, 0.0, math.inf),
)
COMPARISON = Comparison(ROWS, np.eye(3), 1, 1.5, ("One thing to know.",))


@pytest.fixture
def panel(qtbot):
    panel = NumbersPanel()
    qtbot.addWidget(panel)
    panel.resize(900, 220)
    panel.show()
    return panel


@pytest.fixture
def table(panel):
    panel.setComparison(COMPARISON)
    return panel.findChild(NumbersTable)


def column(table: NumbersTable, number: int) -> list[str]:
    model = table.model()
    return [model.index(row, number).data() for row in range(model.rowCount())]


def titles(table: NumbersTable) -> list[str]:
    model = table.model()
    return [model.headerData(number, Qt.Orientation.Horizontal) for number in range(model.columnCount())]


def click_heading(qtbot, table: NumbersTable, number: int) -> None:
    header = table.horizontalHeader()
    place = header.rect().center()
    place.setX(header.sectionViewportPosition(number) + header.sectionSize(number) // 2)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)


def button(panel: NumbersPanel, name: str) -> QPushButton:
    found = panel.findChild(QPushButton, name)
    assert found is not None
    return found


def status(panel: NumbersPanel) -> str:
    line = panel.findChild(QLabel, "film_numbers_status")
    assert line is not None
    return line.text() if line.isVisible() else ""


def test_a_table_of_what_was_asked_for(table):
    assert titles(table) == ["Mask", "Volume (ml)", "Parts", "Dice A", "Dice ref.", "NSD (1.5 mm)", "HD95 (mm)"]
    assert column(table, 0) == ["astrocytoma", "★ ependymoma grade 2", "none"]
    assert column(table, 1) == ["9.500", "100.2", "0.000"]
    assert column(table, 6) == ["3.000", "12.00", "–"]
    model = table.model()
    assert "One of the two masks is empty" in model.index(2, 6).data(Qt.ItemDataRole.ToolTipRole)
    assert model.index(1, 6).data(Qt.ItemDataRole.ToolTipRole) is None
    fonts = [model.index(row, 0).data(Qt.ItemDataRole.FontRole) for row in range(3)]
    assert [isinstance(font, QFont) and font.bold() for font in fonts] == [False, True, False]


def test_a_heading_sorts_by_worth_and_what_is_no_number_comes_last(qtbot, table):
    names = ["astrocytoma", "★ ependymoma grade 2", "none"]
    for number, ascending in ((1, [2, 0, 1]), (2, [2, 1, 0]), (6, [0, 1, 2])):
        seen = []
        for _ in range(2):
            click_heading(qtbot, table, number)
            seen.append(column(table, 0))
        forwards = [names[place] for place in ascending]
        backwards = [names[1], names[0], names[2]] if number == 6 else forwards[::-1]
        assert sorted(seen) == sorted([forwards, backwards])
        assert seen[0] != seen[1]


def test_a_new_comparison_is_sorted_as_the_last_one(table, panel):
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    panel.setComparison(Comparison((Row("a", 1.0, 1), Row("b", 3.0, 1), Row("c", 2.0, 1))))
    assert column(table, 0) == ["b", "c", "a"]
    table.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
    assert column(table, 0) == ["a", "b", "c"]


def test_what_is_selected_stays_selected_when_it_is_sorted(table):
    table.setCurrentIndex(table.model().index(0, 1))
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert table.currentIndex().data() == "9.500"


def test_the_best_is_told_with_its_limits(panel, table):
    assert status(panel) == (
        "★ ependymoma grade 2 fits the reference best. That is no diagnostic evidence: a mask can fit for other reasons. One thing to know."
    )
    panel.setNotices(["Another."])
    assert status(panel).endswith("One thing to know. Another.")
    panel.setComparison(Comparison(ROWS[:2]))
    assert status(panel) == "Another."
    panel.setNotices([])
    assert status(panel) == ""


def test_what_is_done_stands_before_what_was_found(panel, table, qtbot):
    told = []
    panel.compare_clicked.connect(lambda: told.append("compare"))
    panel.cancel_clicked.connect(lambda: told.append("cancel"))
    compare = button(panel, "film_compare")
    qtbot.mouseClick(compare, Qt.MouseButton.LeftButton)
    panel.setBusy("3 of 5 values are computed.")
    assert (compare.text(), status(panel)) == ("Cancel", "3 of 5 values are computed.")
    assert not panel.findChild(Dropdown, "film_reference").isEnabled()
    qtbot.mouseClick(compare, Qt.MouseButton.LeftButton)
    panel.setBusy(None)
    assert compare.text() == "Compare"
    assert status(panel).startswith("★")
    assert panel.findChild(Dropdown, "film_reference").isEnabled()
    assert told == ["compare", "cancel"]


def test_before_the_first_comparison_it_says_what_to_do(panel):
    empty = panel.findChild(QLabel, "film_numbers_empty")
    assert empty.isVisible()
    assert empty.text().startswith("Press Compare")
    assert not button(panel, "film_copy_numbers").isEnabled()
    assert not button(panel, "film_save_numbers").isEnabled()
    panel.setComparison(COMPARISON)
    assert not empty.isVisible()
    assert panel.comparison() is COMPARISON
    panel.setComparison(Comparison((), notices=("Cancelled: 0 of 3 are compared.",)))
    assert empty.isVisible()
    assert status(panel) == "Cancelled: 0 of 3 are compared."
    with pytest.raises(InputError, match=r"no numbers to save; press Compare first"):
        panel.save(Path("never.csv"))


def test_the_map_is_there_where_masks_agree(panel, table):
    matrix = panel.findChild(AgreementMap)
    assert matrix.isVisible()
    assert np.array_equal(matrix.value(), np.eye(3))
    panel.setComparison(Comparison(ROWS))
    assert not matrix.isVisible()


def test_copied_as_it_is_shown(panel, table, qtbot):
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    qtbot.mouseClick(button(panel, "film_copy_numbers"), Qt.MouseButton.LeftButton)
    lines = QApplication.clipboard().text().splitlines()
    assert lines[0] == "Name\tVolume (ml)\tParts\tDice A\tDice ref.\tNSD (1.5 mm)\tHD95 (mm)"
    assert [line.split("\t")[0] for line in lines[1:]] == ["ependymoma_grade_2", "astrocytoma", "none"]


def test_a_selection_is_copied_with_its_headings(table, qtbot):
    table.selectColumn(1)
    qtbot.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == "Volume (ml)\n9.500\n100.2\n0.000"
    table.clearSelection()
    table.setCurrentIndex(table.model().index(0, 2))
    qtbot.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == "12"


def test_letters_are_left_to_the_window(qtbot, panel, table):
    keys = []

    class Window(QWidget):
        def keyPressEvent(self, event):
            keys.append(event.key())

    window = Window()
    qtbot.addWidget(window)
    panel.setParent(window)
    table.setCurrentIndex(table.model().index(0, 0))
    qtbot.keyClick(table, Qt.Key.Key_N)  # the first letter of a name
    qtbot.keyClick(table, Qt.Key.Key_Down)
    assert keys == [Qt.Key.Key_N]
    assert table.currentIndex().row() == 1
    panel.setParent(None)


@pytest.mark.parametrize("name", ["film_compare", "film_copy_numbers", "film_save_numbers"])
def test_a_click_leaves_the_keyboard_to_the_canvas(panel, name):
    assert button(panel, name).focusPolicy() == Qt.FocusPolicy.TabFocus


def test_saved_in_full(panel, table, qtbot, tmp_path, monkeypatch):
    path = tmp_path / "numbers.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    qtbot.mouseClick(button(panel, "film_save_numbers"), Qt.MouseButton.LeftButton)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [row["name"] for row in rows] == ["astrocytoma", "ependymoma_grade_2", "none"]
    assert [float(row["hausdorff95_mm"]) for row in rows] == [3.0, 12.0, math.inf]


def test_a_cancelled_dialog_saves_nothing(panel, table, qtbot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    qtbot.mouseClick(button(panel, "film_save_numbers"), Qt.MouseButton.LeftButton)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_a_sentence(panel, table, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "nowhere" / "numbers.csv"), ""))
    with qtbot.waitSignal(panel.failed) as told:
        qtbot.mouseClick(button(panel, "film_save_numbers"), Qt.MouseButton.LeftButton)
    assert told.args == ["The folder of numbers.csv does not exist; make it first or name another one."]


def test_a_reference_and_its_label_are_chosen(panel):
    told = []
    panel.referenceChanged.connect(lambda name: told.append(("reference", name)))
    panel.labelChanged.connect(lambda label: told.append(("label", label)))
    panel.toleranceChanged.connect(lambda tolerance: told.append(("tolerance", tolerance)))
    assert (panel.reference(), panel.label(), panel.tolerance()) == (None, None, 2.0)
    assert not panel.findChild(Dropdown, "film_reference_label").isEnabled()
    panel.setReferences(["truth", "other"])
    panel.setLabels({1: "spleen", 4: ""})
    assert told == []
    panel.setReference("truth")
    panel.setLabel(4)
    panel.setTolerance(3.5)
    assert (panel.reference(), panel.label(), panel.tolerance()) == ("truth", 4, 3.5)
    labels = panel.findChild(Dropdown, "film_reference_label")
    assert labels.isEnabled()
    assert [labels.itemText(place) for place in range(labels.count())] == ["everything above 0", "1 spleen", "4"]
    panel.setReferences(["other", "truth", "third"])  # the chosen one stays
    assert told == [("reference", "truth"), ("label", 4), ("tolerance", 3.5)]
    told.clear()
    panel.setReferences(["other"])
    panel.setLabels({})
    assert told == [("reference", None), ("label", None)]


def test_another_choice_makes_numbers_old(panel, table):
    panel.setReferences(["truth"])
    assert not status(panel).startswith("These numbers are of an earlier choice")
    panel.setReference("truth")
    assert status(panel).startswith("These numbers are of an earlier choice; press Compare for those of this one.")
    panel.setComparison(COMPARISON)
    assert status(panel).startswith("★")
    panel.findChild(NumberBox, "film_tolerance").stepUp()
    assert panel.tolerance() == 2.5
    assert status(panel).startswith("These numbers are of an earlier choice")


def test_different_structures_are_held_against_nothing(panel):
    names = ["film_reference", "film_reference_label", "film_tolerance"]
    panel.setOffersReference(False)
    assert not any(panel.findChild(QWidget, name).isVisible() for name in names)
    assert any("different structures" in label.text() for label in panel.findChildren(QLabel) if label.isVisible())
    panel.setOffersReference(True)
    assert all(panel.findChild(QWidget, name).isVisible() for name in names)

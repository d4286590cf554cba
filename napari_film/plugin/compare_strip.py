"""The strip of A and B at the bottom of the dock: flip, step, outline, hide, fade, difference."""

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap, QResizeEvent
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_film.plugin.difference_colours import COLOUR_A, COLOUR_B, DIFFERENCE_COLOURS
from napari_film.plugin.dropdown import Dropdown
from napari_film.plugin.metadata_form import spoken
from napari_film.plugin.slider import Slider

_SWATCH = 12  # px
_GAP = 4  # px
_FADE = "Fade from mask A (left) to mask B (right)."


class CompareStrip(QWidget):
    """Shows what it is told and says what a person does; its setters emit nothing.

    Each key is printed on its button; who presses it there calls the same slot.
    """

    slotChosen = Signal(str)  # "A" or "B"
    flipClicked = Signal()
    stepClicked = Signal(int)  # -1 or 1
    fieldChosen = Signal(str)
    outlineToggled = Signal(bool)
    hideToggled = Signal(bool)
    fadeChanged = Signal(int)  # 0 is A alone, 100 is B alone
    differenceToggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._available = True
        self._slots = {name: _SlotButton(name) for name in ("A", "B")}
        self._exclusive = QButtonGroup(self)
        for name, slot in self._slots.items():
            slot.setObjectName(f"film_slot_{name.lower()}")
            slot.clicked.connect(lambda _=False, name=name: self.slotChosen.emit(name))
            self._exclusive.addButton(slot)
        self._flip = _button("Flip (T)", "film_flip", "Show the other of the masks A and B.")
        self._flip.clicked.connect(lambda: self.flipClicked.emit())
        self._back = _button("◀ (,)", "film_step_back", "")
        self._back.clicked.connect(lambda: self.stepClicked.emit(-1))
        self._on = _button("(.) ▶", "film_step_on", "")
        self._on.clicked.connect(lambda: self.stepClicked.emit(1))
        self._field = Dropdown()
        self._field.setObjectName("film_step_field")
        self._field.setToolTip("The field whose values the two arrows step through.")
        self._field.activated.connect(self._field_activated)
        self._outline = _button("Outline (G)", "film_outline", "Show outlines instead of filled masks.", checkable=True)
        self._outline.toggled.connect(self.outlineToggled)
        self._hide = _button("Hide (H)", "film_hide", "Hide the masks to see the image alone.", checkable=True)
        self._hide.toggled.connect(self.hideToggled)
        self._fade = Slider(0, 100)
        self._fade.setObjectName("film_fade")
        self._fade.setToolTip(_FADE)
        self._fade.valueChanged.connect(self.fadeChanged)
        self._difference = _button("Difference (D)", "film_difference", "Show where the masks A and B differ.", checkable=True)
        self._difference.toggled.connect(self._difference_toggled)
        self._legend = _legend()
        self._why = QLabel()
        self._why.setObjectName("film_strip_why")
        self._why.setWordWrap(True)
        self._why.hide()
        self._lay_out()
        self.setColours(COLOUR_A, COLOUR_B)
        self.setTexts("", "")
        self.setSlot("A")
        self.setFields((), None)
        self._show_legend()

    def setSlot(self, slot: str) -> None:
        """Show which of "A" and "B" is in view."""
        self._slots[slot].setChecked(True)

    def setTexts(self, a: str, b: str) -> None:
        """Show what the masks of A and B are called."""
        self._slots["A"].setMaskName(a)
        self._slots["B"].setMaskName(b)

    def setColours(self, a: str, b: str) -> None:
        """Show the colours of A and B, each as #RRGGBB."""
        self._slots["A"].setIcon(swatch(a))
        self._slots["B"].setIcon(swatch(b))

    def setFields(self, names: Sequence[str], chosen: str | None) -> None:
        """Offer the fields that can be stepped through; ``chosen`` is one of them, or None where there are none."""
        self._names = tuple(names)
        self._field.clear()
        for name in self._names:
            self._field.addItem(spoken(name), name)
        self._field.setCurrentIndex(self._field.findData(chosen))
        self._field.setVisible(len(self._names) > 1)
        self._describe_steps()
        self._enable()

    def setFade(self, percent: int) -> None:
        """Show how far the view has faded from A (0) to B (100)."""
        self._fade.show_value(percent)

    def setOutline(self, on: bool) -> None:
        """Show whether masks are outlined."""
        _check(self._outline, on)

    def setMasksHidden(self, on: bool) -> None:
        """Show whether the masks are hidden."""
        _check(self._hide, on)

    def setDifference(self, on: bool) -> None:
        """Show whether the difference is in view."""
        _check(self._difference, on)
        self._show_legend()

    def setAvailable(self, on: bool, why: str = "") -> None:
        """Let a person use the strip, or say in a sentence why not."""
        self._available = on
        self._why.setText("" if on else why)
        self._why.setVisible(not on and bool(why))
        self._enable()

    def _lay_out(self) -> None:
        rows: list[list[tuple[QWidget, int]]] = [
            [(self._slots["A"], 1), (self._slots["B"], 1), (self._flip, 0)],
            [(self._back, 0), (self._on, 0), (self._field, 1), (self._outline, 0)],
            [(QLabel("A"), 0), (self._fade, 1), (QLabel("B"), 0), (self._hide, 0), (self._difference, 0)],
        ]
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(_GAP)
        for row in rows:
            line = QHBoxLayout()
            line.setSpacing(_GAP)
            for widget, stretch in row:
                line.addWidget(widget, stretch)
            column.addLayout(line)
        column.addWidget(self._legend)
        column.addWidget(self._why)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def _enable(self) -> None:
        for widget in (*self._slots.values(), self._flip, self._field, self._outline, self._hide, self._fade, self._difference):
            widget.setEnabled(self._available)
        for arrow in (self._back, self._on):
            arrow.setEnabled(self._available and bool(self._names))

    def _field_activated(self, index: int) -> None:
        self._describe_steps()
        self.fieldChosen.emit(str(self._field.itemData(index)))

    def _describe_steps(self) -> None:
        name = self._field.currentData()
        of = f"value of {spoken(str(name))}." if name is not None else ""
        self._back.setToolTip(f"Show the previous {of}" if of else "This model takes no metadata to step through.")
        self._on.setToolTip(f"Show the next {of}" if of else "This model takes no metadata to step through.")

    def _difference_toggled(self, on: bool) -> None:
        self._show_legend()
        self.differenceToggled.emit(on)

    def _show_legend(self) -> None:
        self._legend.setVisible(self._difference.isChecked())


class _SlotButton(QPushButton):
    """Names a slot and its mask; a long name is cut off, and stands in the tooltip whole."""

    def __init__(self, slot: str) -> None:
        super().__init__()
        self._slot = slot
        self._mask = ""
        self.setCheckable(True)
        self.setIconSize(QSize(_SWATCH, _SWATCH))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # a long name must not widen the dock
        self.setMinimumWidth(60)

    def setMaskName(self, text: str) -> None:
        """Show what the slot's mask is called."""
        self._mask = text
        self.setToolTip(f"Show mask {self._slot}{f': {text}' if text else ''}.")
        self._elide()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Cut the name off anew."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        whole = f"{self._slot} {self._mask}".rstrip()
        room = self.width() - _SWATCH - 16  # beside the swatch and the borders
        self.setText(self.fontMetrics().elidedText(whole, Qt.TextElideMode.ElideRight, room).replace("&", "&&"))


def swatch(code: str) -> QIcon:
    """Give a small square of the colour #RRGGBB."""
    square = QPixmap(_SWATCH, _SWATCH)
    square.fill(QColor(code))
    icon = QIcon(square)
    icon.addPixmap(square, QIcon.Mode.Disabled)  # a colour that is greyed out names no mask
    return icon


def _button(text: str, name: str, tip: str, *, checkable: bool = False) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.setCheckable(checkable)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def _check(button: QPushButton, on: bool) -> None:
    blocked = button.blockSignals(True)
    button.setChecked(on)
    button.blockSignals(blocked)


def _legend() -> QWidget:
    """Name the colours of the difference."""
    legend = QWidget()
    legend.setObjectName("film_difference_legend")
    line = QHBoxLayout(legend)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(_GAP)
    for colour in DIFFERENCE_COLOURS:
        square = QLabel()
        square.setPixmap(swatch(colour.code).pixmap(_SWATCH, _SWATCH))
        name = QLabel(colour.part)
        name.setToolTip(f"{colour.part}: {colour.name}")
        line.addWidget(square)
        line.addWidget(name)
        line.addSpacing(2 * _GAP)
    line.addStretch()
    return legend

"""What a hand feels when it changes what is shown, all of it kept: 300 slices of 512 x 512, three condition values.

Each change of the mask is followed, or preceded, by a bare ``refresh()`` of the layer that then is in view, in the same
window; so whatever else the machine did hits both. A display and a process of its own:
``xvfb-run -a python -m benchmarks.swap swaps`` prints one line of JSON.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QSlider

from benchmarks.figures import Figure, quotient_figure, time_figure
from benchmarks.settings import FIELD, VALUES, Setting
from benchmarks.window import Frames, Reaction, child, opened, run, settle, until_idle

if TYPE_CHECKING:
    from napari_film.plugin.segment_widget import SegmentWidget

_SETTING = Setting(depth=1, features=1, channels=1, height=512, width=512)
_ALLOWED = 1.5  # times a bare refresh
_ROUNDS = 4
_SWAPS = 100  # of a kind in a round
_95 = 94  # of the 99 cuts into hundredths

Pair = tuple[Reaction, Reaction]


def swaps(*, quick: bool) -> list[Figure]:
    """Another value by the dropdown, by the keys T and the comma, a step of the fade and of the threshold; against a refresh."""
    viewer, widget, _ = opened(_SETTING)
    frames = Frames(widget)
    widget.segment()
    until_idle(widget)
    figures = [_first_sight(widget, frames)]
    rounds, count = (2, 10) if quick else (_ROUNDS, _SWAPS)
    for name, (start, deeds) in _hands(widget, frames.canvas).items():
        start()
        settle()
        _pairs(widget, frames, deeds, 3)
        claimed = None if name == "threshold step" else _ALLOWED
        figures += _figures(name, [_pairs(widget, frames, deeds, count) for _ in range(rounds)], claimed)
    figures += _plain(widget, frames, count)
    widget.close_session()
    viewer.close()
    return figures


def _hands(widget: SegmentWidget, canvas: Any) -> dict[str, tuple[Callable[[], None], Iterator[Callable[[], None]]]]:
    """Give, by name, what is done before, and the deeds one after the other."""
    dropdown: QComboBox = child(widget, QComboBox, FIELD)
    fade: QSlider = child(widget, QSlider, "film_fade")
    threshold: QSlider = child(widget, QSlider, "film_threshold")

    def choose(index: int) -> Callable[[], None]:
        def deed() -> None:
            dropdown.setCurrentIndex(index)
            dropdown.activated.emit(index)

        return deed

    def press(key: Qt.Key) -> Callable[[], None]:
        return lambda: QTest.keyClick(canvas, key)

    def slide(slider: QSlider, value: int) -> Callable[[], None]:
        return lambda: slider.setValue(value)

    def nothing() -> None:
        pass

    return {
        "dropdown": (nothing, cycle([choose((1 + number) % len(VALUES)) for number in range(len(VALUES))])),
        "key , or .": (nothing, cycle([press(key) for key in (Qt.Key.Key_Period,) * 4 + (Qt.Key.Key_Comma,) * 4])),
        "key T": (nothing, cycle([press(Qt.Key.Key_T)])),
        "threshold step": (nothing, cycle([slide(threshold, value) for value in (*range(100, 160, 4), *range(160, 100, -4))])),
        "fade step": (slide(fade, 48), cycle([slide(fade, value) for value in (*range(50, 80, 2), *range(80, 20, -2), *range(20, 50, 2))])),
    }


def _pairs(widget: SegmentWidget, frames: Frames, deeds: Iterator[Callable[[], None]], count: int) -> list[Pair]:
    """Let deeds and bare refreshes take turns, each first every other time."""
    pairs = []
    for number in range(count):
        bare = frames.after(_refresh(widget)) if number % 2 else None
        changed = frames.after(next(deeds))
        pairs.append((changed, bare or frames.after(_refresh(widget))))
    return pairs


def _refresh(widget: SegmentWidget) -> Callable[[], None]:
    layer = widget.views.slots.layer(widget.session.slot)
    if layer is None or not layer.visible:
        raise LookupError("the shown mask has no layer in view")
    return lambda: layer.refresh()


def _figures(name: str, rounds: Sequence[Sequence[Pair]], claimed: float | None) -> list[Figure]:
    changed, bare = zip(*(pair for pairs in rounds for pair in pairs), strict=True)
    figures = [
        quotient_figure(f"{name} / bare refresh, {words}", _each(rounds, 0, middle), _each(rounds, 1, middle), at_most=claimed)
        for words, middle in (("median", statistics.median), ("95th percentile", _high))
    ]
    for what, reactions in ((name, changed), (f"bare refresh beside {name}", bare)):
        drawn = [reaction.drawn for reaction in reactions]
        figures += [
            time_figure(f"{what}, until drawn", drawn),
            time_figure(f"{what}, until drawn, 95th percentile", [_high(drawn)]),
            time_figure(f"{what}, until the last frame", [reaction.rested for reaction in reactions]),
            time_figure(f"{what}, main thread", [reaction.main for reaction in reactions]),
        ]
    return figures


def _each(rounds: Sequence[Sequence[Pair]], side: int, middle: Callable[[Sequence[float]], float]) -> list[float]:
    return [middle([pair[side].drawn for pair in pairs]) for pairs in rounds]


def _high(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[_95]


def _first_sight(widget: SegmentWidget, frames: Frames) -> Figure:
    """B seen for the first time: napari makes a layer. Once in a process, since there is one first time."""
    seconds = frames.after(widget.workbench.flip).drawn
    widget.workbench.flip()
    settle()
    return time_figure("first sight of B, until drawn", [seconds])


def _plain(widget: SegmentWidget, frames: Frames, count: int) -> list[Figure]:
    """The same mask as an array in a layer of napari's own, all masks of ours hidden."""
    copy = widget.views.keep()
    if copy is None:
        raise LookupError("there is no mask to copy")
    widget.views.set_hidden(True)
    settle()
    reactions = [frames.after(lambda: copy.refresh()) for _ in range(count)]
    return [time_figure("bare refresh of a copy, until drawn", [reaction.drawn for reaction in reactions])]


if __name__ == "__main__":
    run([swaps])

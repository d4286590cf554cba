"""How late the main thread is while the engine computes: a beat every 10 ms over a session played by a script.

    lateness of a beat = time since the beat before it - 10 ms, or 0

The script scrolls through 300 slices of 512 x 512, 20 a second, and every second swaps the condition value. The same window
plays it in turn with and without inference: without, all slices are marked as computed beforehand, so that nothing
else differs. A display and a process of its own: ``xvfb-run -a python -m benchmarks.responsiveness NAME``.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtTest import QTest

from benchmarks.figures import Figure, time_figure
from benchmarks.settings import FIELD, VALUES, Setting
from benchmarks.window import SHAPE, canvas_beside, live, opened, run, settle, until

if TYPE_CHECKING:
    import napari

    from napari_film.plugin.segment_widget import SegmentWidget

_BEAT = 0.01  # s
_STEP = 0.05  # s between slices
_SWAP = 20  # steps between swaps
_ROUNDS = 6
_LASTS = 10.0  # s
_AHEAD = 2.0  # s of the script before torch is imported
_95 = 94  # of the 99 cuts into hundredths
_EXCESS = {"95th percentile": 6.0, "worst": 30.0}  # ms
_WIDE = Setting(depth=4, features=32, channels=1, height=512, width=512)
_NARROW = Setting(depth=2, features=4, channels=1, height=512, width=512)


class Lateness(BaseModel, frozen=True):
    """Of the beats of one playing, in seconds."""

    high: float
    worst: float

    @classmethod
    def of(cls, beats: Sequence[float]) -> Lateness:
        """Take the times of the beats."""
        late = [max(0.0, after - before - _BEAT) for before, after in pairwise(beats)]
        return cls(high=statistics.quantiles(late, n=100, method="inclusive")[_95], worst=max(late))


def wide(*, quick: bool) -> list[Figure]:
    """A network that takes its time over a slice: depth 4, width 32."""
    return _compared(_WIDE, quick=quick)


def narrow(*, quick: bool) -> list[Figure]:
    """One whose slices come by the dozen every second, each an event for the main thread: depth 2, width 4."""
    return _compared(_NARROW, quick=quick)


def importing(*, quick: bool) -> list[Figure]:
    """From the first *Segment* of all to the first slice: torch is imported, the checkpoint read, the network made."""
    viewer, widget, _ = opened(_WIDE)
    _choose_float32()
    marks: dict[str, float] = {}
    session = widget.session
    session.plan_changed.connect(lambda plan: marks.setdefault("opened", time.perf_counter()) if plan is not None else None)
    session.slice_changed.connect(lambda _: marks.setdefault("slice", time.perf_counter()))

    def begin() -> None:
        if "torch" in sys.modules:
            raise RuntimeError("torch was imported before the first Segment")
        marks["begin"] = time.perf_counter()
        widget.segment()

    QTimer.singleShot(round(1000 * _AHEAD), begin)
    beats = _play(viewer, widget, swaps=False, lasts=_AHEAD + 3, longer=lambda: "slice" not in marks)
    before = Lateness.of([beat for beat in beats if beat < marks["begin"]])
    clicked = Lateness.of([beat for beat in beats if marks["begin"] - _BEAT < beat < marks["opened"]])
    session.cancel()
    widget.close_session()
    viewer.close()
    return [
        time_figure("before it, worst lateness", [before.worst]),
        time_figure("from Segment to the opened model, 95th percentile of lateness", [clicked.high]),
        time_figure("from Segment to the opened model, worst lateness", [clicked.worst]),
        time_figure("from Segment to the opened model", [marks["opened"] - marks["begin"]]),
    ]


def _compared(setting: Setting, *, quick: bool) -> list[Figure]:
    viewer, widget, _ = opened(setting)
    _choose_float32()
    widget.segment()
    until(lambda: widget.session.results is not None and bool(widget.session.results.computed.any()))
    widget.session.cancel()
    _play(viewer, widget, lasts=2)
    found: dict[bool, list[Lateness]] = {False: [], True: []}
    slices = 0
    for number in range(2 if quick else _ROUNDS):
        for computing in (False, True) if number % 2 else (True, False):
            _prepare(widget, computed=not computing)
            beats = _play(viewer, widget, lasts=4 if quick else _LASTS)
            found[computing].append(Lateness.of(beats))
            slices += _pause(widget) if computing else 0
    widget.close_session()
    viewer.close()
    figures = []
    for what, values in {
        "95th percentile": {computing: [one.high for one in found[computing]] for computing in found},
        "worst": {computing: [one.worst for one in found[computing]] for computing in found},
    }.items():
        excess = [with_ - without for with_, without in zip(values[True], values[False], strict=True)]
        figures += [
            time_figure(f"lateness, {what}: nothing running", values[False]),
            time_figure(f"lateness, {what}: with inference", values[True]),
            time_figure(f"lateness, {what}: excess", excess, at_most=_EXCESS[what]),
        ]
    return figures


def _prepare(widget: SegmentWidget, *, computed: bool) -> None:
    """Have everything computed, as far as the session can tell, or nothing, and then compute it."""
    session = widget.session
    results = session.results
    if results is None:
        raise LookupError("no images are open")
    for condition in (*results.conditions, *results.choice.others()):
        kept = results.store.reserve(results.opened.key(condition), 1, SHAPE)
        kept.computed[:] = computed
    value = str(session.metadata[FIELD])
    session.set_metadata({FIELD: VALUES[(1 + VALUES.index(value)) % len(VALUES)]})
    if computed:
        until(lambda: session.state.value == "ready")
    else:
        until(lambda: session.state.value == "running")
    settle()


def _pause(widget: SegmentWidget) -> int:
    """Stop computing, wait until the engine rests, and give how many slices it has computed."""
    results = widget.session.results
    if results is None or widget.session.state.value not in ("running", "ahead"):
        raise RuntimeError("inference ended before the script did")
    widget.session.cancel()
    live(2)
    keys = [results.opened.key(condition) for condition in (*results.conditions, *results.choice.others())]
    return sum(int(kept.computed.sum()) for key in keys if (kept := results.store.get(key)) is not None)


def _play(
    viewer: napari.Viewer, widget: SegmentWidget, *, lasts: float, swaps: bool = True, longer: Callable[[], bool] = lambda: False
) -> list[float]:
    """Play the script for ``lasts`` seconds, and as long as ``longer`` says; gives the times of the beats."""
    canvas = canvas_beside(widget)
    beats: list[float] = []
    steps = _there_and_back()
    loop = QEventLoop()
    end = time.perf_counter() + lasts

    def step() -> None:
        number, place = next(steps)
        if swaps and number % _SWAP == _SWAP - 1:
            QTest.keyClick(canvas, Qt.Key.Key_Period)
        else:
            viewer.dims.set_current_step(0, place)
        if time.perf_counter() > end and not longer():
            loop.quit()

    timers = _timer(_BEAT, lambda: beats.append(time.perf_counter())), _timer(_STEP, step)
    loop.exec()
    for timer in timers:
        timer.stop()
    return beats


def _timer(interval: float, action: Callable[[], Any]) -> QTimer:
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.setInterval(round(1000 * interval))
    timer.timeout.connect(action)
    timer.start()
    return timer


def _there_and_back() -> Iterator[tuple[int, int]]:
    """Give the numbers of the steps, and slices from the middle up, down and up again."""
    number, place, by = 0, SHAPE[0] // 2, 1
    while True:
        yield number, place
        by = -by if not SHAPE[0] // 4 < place + by < 3 * SHAPE[0] // 4 else by
        number, place = number + 1, place + by


def _choose_float32() -> None:
    """Keep the plan as it is while beats are counted: no check of precisions, no other plan."""
    from napari_film.plugin import segment_widget
    from napari_film.plugin.preferences import Preferences

    segment_widget.preferences = lambda: Preferences(device="cpu", precision="float32")


if __name__ == "__main__":
    run([wide, narrow, importing])

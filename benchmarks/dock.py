"""What a person waits for in the window: the dock to open, a file to be read, the first slice after *Segment*.

Each function needs a display and a process of its own: ``xvfb-run -a python -m benchmarks.dock NAME`` prints one line of JSON.
Times end when the canvas was drawn.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QWidget

from benchmarks.figures import Figure, time_figure
from benchmarks.settings import DEPTH_5, VALUES, Setting, one_hot
from benchmarks.window import SHAPE, Frames, body, live, opened, run, settle, until, window

if TYPE_CHECKING:
    from napari_film.plugin.segment_widget import SegmentWidget

_RUNS = 7
_OPENING = 300.0  # ms that the dock takes beyond an empty one of napari's
_NARROW = Setting(depth=2, features=4, channels=1, height=512, width=512)


def open_dock(*, quick: bool) -> list[Figure]:
    """From asking for the dock by its name in the menu to having it painted, beside an empty dock of napari's own."""
    viewer = window()
    empty = [_timed(partial(viewer.window.add_dock_widget, QWidget(), name=f"empty {number}"))[1] for number in range(3)]
    (_, widget), ours = _timed(lambda: viewer.window.add_plugin_dock_widget("napari-film", "FiLM segmentation"))
    widget.close_session()
    viewer.close()
    beyond = ours - statistics.median(empty)
    return [time_figure("empty dock", empty), time_figure("our dock", [ours]), time_figure("beyond napari", [beyond], at_most=_OPENING)]


def read_volume(*, quick: bool) -> list[Figure]:
    """The first file that is read, imports included: 512 x 512 x 300 int16, not compressed, and once more."""
    from napari_film import Volume, write

    viewer = window()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ct.nii"
        data = body().T
        write(path, data, like=Volume(data, np.diag([0.8, 0.8, 1.0, 1.0])), dtype=data.dtype)
        seconds = [_timed(lambda: viewer.open(path, plugin="napari-film"))[1] for _ in range(2)]
        viewer.close()
    return [time_figure(what, [value]) for what, value in zip(("first file", "second file"), seconds, strict=True)]


def segment_wide(*, quick: bool) -> list[Figure]:
    """From *Segment* to the visible slice, 300 slices of 512 x 512 at their own spacing: width 64, depth 5."""
    return _segment(DEPTH_5, 2 if quick else _RUNS)


def segment_narrow(*, quick: bool) -> list[Figure]:
    """As `segment_wide` with a network so small that what is not the network's shows: width 4, depth 2."""
    return _segment(_NARROW, 2 if quick else _RUNS)


def _segment(setting: Setting, count: int) -> list[Figure]:
    viewer, widget, image = opened(setting)
    session, frames = widget.session, Frames(widget)
    marks: dict[str, float] = {}

    def mark(name: str) -> None:
        marks.setdefault(name, time.perf_counter())

    session.plan_changed.connect(lambda plan: mark("opened") if plan is not None else None)
    session.slice_changed.connect(lambda _: mark("slice arrived"))
    place = SHAPE[0] // 2
    alone = _network(setting)
    runs: list[dict[str, float]] = []
    for number in range(1 + count):
        image.data[0, 0, 0] = number  # another content, so that nothing is kept of it
        settle()
        viewer.dims.set_current_step(0, place)
        settle()
        marks.clear()
        start = time.perf_counter()
        widget.segment()
        mark("click returned")
        until(partial(_drawn, widget, place, marks, frames))
        mark("drawn")
        session.cancel()
        live(2 * (marks["drawn"] - start))  # the engine ends the slice at hand
        session.forget()
        runs.append({name: moment - start for name, moment in marks.items()} | {"one slice": alone()})
    widget.close_session()
    viewer.close()
    each = {name: [values[name] for values in runs[1:]] for name in runs[0]}
    allowed = 1.3 * 1000 * statistics.median(each["one slice"]) + 50
    figures = [time_figure(name, seconds, at_most=allowed if name == "drawn" else None) for name, seconds in each.items()]
    return [time_figure("first of all", [runs[0]["drawn"]]), *figures]


def _drawn(widget: SegmentWidget, place: int, marks: dict[str, float], frames: Frames) -> bool:
    """Whether the visible slice's mask stands in the layer and the canvas was drawn since."""
    from napari_film.inference.masks import NOT_COMPUTED

    mask = widget.views.slots.layer("A")
    if mask is None or "slice arrived" not in marks or (np.asarray(mask.data[place]) == NOT_COMPUTED).any():
        return False
    return frames.last > marks["slice arrived"]


def _network(setting: Setting) -> Callable[[], float]:
    """Give what runs the network on one slice in float32 on this thread, and says how many seconds that took."""
    import torch

    from benchmarks.networks import make_network
    from napari_film.inference.specialised import SpecialisedUNet

    network = SpecialisedUNet(make_network(setting))
    image = torch.randn(1, setting.channels, setting.height, setting.width)

    def run_it() -> float:
        start = time.perf_counter()
        network.probabilities(network.front(image), one_hot(len(VALUES)))
        return time.perf_counter() - start

    run_it()
    return run_it


def _timed(deed: Callable[[], Any]) -> tuple[Any, float]:
    """Give what ``deed`` gives, and the seconds until it was done and everything painted that it changed."""
    start = time.perf_counter()
    result = deed()
    settle()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    run([open_dock, read_volume, segment_wide, segment_narrow])

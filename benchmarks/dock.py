"""What a person waits for in the window: the dock to open, the first slice after *Segment*, another condition value.

Each function needs a display and a process of its own: ``xvfb-run -a python -m benchmarks.dock NAME`` prints one line of JSON.
Times are in milliseconds and end when the canvas was drawn: what Qt calls a swapped frame.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QApplication, QWidget

from benchmarks.files import write_checkpoint
from benchmarks.settings import DEPTH_5, FIELD, VALUES, Setting, one_hot

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_film.plugin.segment_widget import SegmentWidget

_WINDOW = (1360, 860)  # px
_SHAPE = (300, 512, 512)  # S, A, R
_PATIENCE = 300.0  # s
_QUIET = 0.002  # s that an idle event loop takes at most
_RUNS = 7
_NARROW = Setting(depth=2, features=4, channels=1, height=512, width=512)

Figures = dict[str, float]


def open_dock() -> Figures:
    """From asking for the dock by its name in the menu to having it painted, beside an empty dock of napari's own."""
    viewer = _window()
    empty = [_timed(partial(viewer.window.add_dock_widget, QWidget(), name=f"empty {number}"))[1] for number in range(3)]
    (_, widget), ours = _timed(lambda: viewer.window.add_plugin_dock_widget("napari-film", "FiLM segmentation"))
    figures = {"empty dock": statistics.median(empty), "our dock": ours, "beyond napari": ours - statistics.median(empty)}
    widget.close_session()
    viewer.close()
    return figures


def read_volume() -> Figures:
    """The first file that is read, imports included: 512 x 512 x 300 int16, not compressed, and once more."""
    from napari_film import Volume, write

    viewer = _window()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ct.nii"
        data = _body().T
        write(path, data, like=Volume(data, np.diag([0.8, 0.8, 1.0, 1.0])), dtype=data.dtype)
        first = _timed(lambda: viewer.open(path, plugin="napari-film"))[1]
        second = _timed(lambda: viewer.open(path, plugin="napari-film"))[1]
        figures = {"first file": first, "second file": second}
        viewer.close()
    return figures


def segment_wide() -> Figures:
    """From *Segment* to the visible slice, 300 slices of 512 x 512 at their own spacing: width 64, depth 5."""
    return _segment(DEPTH_5)


def segment_narrow() -> Figures:
    """As `segment_wide` with a network so small that what is not the network's shows: width 4, depth 2."""
    return _segment(_NARROW)


def swap() -> Figures:
    """From another value in the dropdown to its mask in the window, all of it kept; 300 slices of 512 x 512."""
    viewer, widget, _ = _opened(Setting(depth=1, features=1, channels=1, height=512, width=512))
    session = widget.session
    widget.segment()
    _until(lambda: bool(session.predictions()) and session.state.value == "ready")
    values = (*VALUES[1:], VALUES[0])
    frames = _Frames(widget)
    swaps = []
    for number in range(3 * _RUNS):
        value = values[number % len(values)]
        start = time.perf_counter()
        widget.metadata_form.setValue({FIELD: value})
        _until(lambda start=start: frames.last > start)
        swaps.append(_ms(start, frames.last))
        _settle()
    bare = []
    mask = widget.layers.mask
    for _ in range(_RUNS):
        start = time.perf_counter()
        mask.refresh()
        _until(lambda start=start: frames.last > start)
        bare.append(_ms(start, frames.last))
        _settle()
    widget.close_session()
    viewer.close()
    return {"swap": statistics.median(swaps), "slowest swap": max(swaps), "napari's own refresh": statistics.median(bare)}


class _Frames:
    """When the canvas beside ``widget`` was drawn last."""

    def __init__(self, widget: QWidget) -> None:
        from qtpy.QtOpenGLWidgets import QOpenGLWidget

        self.last = 0.0
        (canvas,) = widget.window().centralWidget().findChildren(QOpenGLWidget)
        canvas.frameSwapped.connect(self._swapped)

    def _swapped(self) -> None:
        self.last = time.perf_counter()


def _segment(setting: Setting) -> Figures:
    viewer, widget, image = _opened(setting)
    session, frames = widget.session, _Frames(widget)
    marks: dict[str, float] = {}

    def mark(name: str) -> None:
        marks.setdefault(name, time.perf_counter())

    session.plan_changed.connect(lambda plan: mark("opened") if plan is not None else None)
    session.slice_changed.connect(lambda _: mark("slice arrived"))
    session.failed.connect(_stop)
    place = _SHAPE[0] // 2
    alone = _network(setting)
    runs: list[Figures] = []
    for run in range(1 + _RUNS):
        image.data[0, 0, 0] = run  # another content, so that nothing is kept of it
        _settle()
        viewer.dims.set_current_step(0, place)
        _settle()
        marks.clear()
        start = time.perf_counter()
        widget.segment()
        mark("click returned")
        _until(lambda: _drawn(widget, place, marks, frames))
        mark("drawn")
        session.cancel()
        _live(2 * (marks["drawn"] - start))  # the engine ends the slice at hand
        session.forget()
        runs.append({name: _ms(start, moment) for name, moment in marks.items()} | {"one slice": alone()})
    widget.close_session()
    viewer.close()
    figures = {name: statistics.median(run[name] for run in runs[1:]) for name in runs[0]}
    return {"first of all": runs[0]["drawn"], **figures, "allowed": 1.3 * figures["one slice"] + 50}


def _drawn(widget: "SegmentWidget", place: int, marks: dict[str, float], frames: _Frames) -> bool:
    """Whether the visible slice's mask stands in the layer and the canvas was drawn since."""
    from napari_film.inference.masks import NOT_COMPUTED

    mask = widget.layers.mask
    if mask is None or "slice arrived" not in marks or (np.asarray(mask.data[place]) == NOT_COMPUTED).any():
        return False
    return frames.last > marks["slice arrived"]


def _network(setting: Setting) -> Callable[[], float]:
    """Give what runs the network on one slice in float32 on this thread, and says how long that took."""
    import torch

    from benchmarks.networks import make_network
    from napari_film.inference.specialised import SpecialisedUNet

    network = SpecialisedUNet(make_network(setting))
    image = torch.randn(1, setting.channels, setting.height, setting.width)

    def run() -> float:
        start = time.perf_counter()
        network.probabilities(network.front(image), one_hot(len(VALUES)))
        return _ms(start, time.perf_counter())

    run()
    return run


def _opened(setting: Setting) -> "tuple[napari.Viewer, SegmentWidget, Image]":
    """Give a window with a volume and the dock, a model of random weights chosen."""
    from napari_film import Volume
    from napari_film.plugin.layers import layer_data_from_volume

    viewer = _window()
    volume = Volume(_body().T, np.diag([0.8, 0.8, 1.0, 1.0]), "ct.nii")
    data, arguments, _ = layer_data_from_volume(volume)
    image = viewer.add_image(data, **arguments)
    _, widget = viewer.window.add_plugin_dock_widget("napari-film", "FiLM segmentation")
    widget.session.set_checkpoint(write_checkpoint(setting, Path(tempfile.mkdtemp())))
    _settle()
    return viewer, widget, image


def _body() -> Any:
    """Give an int16 volume (S, A, R) of a round body in air, with noise."""
    chance = np.random.default_rng(0)
    rows, columns = np.mgrid[-1 : 1 : _SHAPE[1] * 1j, -1 : 1 : _SHAPE[2] * 1j]
    plane = np.where(rows**2 + columns**2 < 0.7, 60, -1000)
    noise = chance.integers(-40, 40, size=(16, *_SHAPE[1:]), dtype=np.int16)
    return np.stack([(plane + noise[number % 16]).astype(np.int16) for number in range(_SHAPE[0])])


def _window() -> "napari.Viewer":
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(*_WINDOW)
    _live(2)
    return viewer


def _timed(deed: Callable[[], Any]) -> tuple[Any, float]:
    """Give what ``deed`` gives, and the time until it was done and everything painted that it changed."""
    start = time.perf_counter()
    result = deed()
    _settle()
    return result, _ms(start, time.perf_counter())


def _live(seconds: float) -> None:
    """Process events for a while."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def _settle() -> None:
    """Process events until nothing takes time any more."""
    quiet = 0
    while quiet < 3:
        start = time.perf_counter()
        QApplication.sendPostedEvents()
        QApplication.processEvents()
        quiet = quiet + 1 if time.perf_counter() - start < _QUIET else 0


def _until(done: Callable[[], bool]) -> None:
    """Process events, as they come, until ``done``; between them the CPU is the engine's, as it is while an application waits."""
    end = time.perf_counter() + _PATIENCE
    while not done():
        if time.perf_counter() > end:
            raise TimeoutError("the window did not come to what was waited for")
        QApplication.processEvents()
        time.sleep(0.001)


def _stop(sentence: str) -> None:
    raise RuntimeError(sentence)


def _ms(start: float, end: float) -> float:
    return 1000 * (end - start)


NAMES: dict[str, Callable[[], Figures]] = {
    measure.__name__: measure for measure in (open_dock, read_volume, segment_wide, segment_narrow, swap)
}


if __name__ == "__main__":
    print(json.dumps({name: round(figure, 1) for name, figure in NAMES[sys.argv[1]]().items()}))

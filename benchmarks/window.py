"""A window with the dock in it, a volume and a model; a person's hands on it; and when it was drawn.

For processes of their own with a display; see `benchmarks.cases.window`. Times are in seconds. A frame counts from when Qt
calls it swapped: the window's pixels are then on their way to the display.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel
from qtpy.QtCore import QEvent, QEventLoop, QObject, QTimer
from qtpy.QtWidgets import QApplication, QWidget

from benchmarks.figures import FIGURES, Figure
from benchmarks.files import write_checkpoint
from benchmarks.settings import Setting
from benchmarks.side import state_folder

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_film.plugin.segment_widget import SegmentWidget

SHAPE = (300, 512, 512)  # S, A, R
_WINDOW = (1360, 860)  # px
_PATIENCE = 300.0  # s
_QUIET = 0.002  # s that an idle event loop takes at most
_REST = 0.02  # s without anything to do, after which a window has come to rest


class Reaction(BaseModel, frozen=True):
    """From a deed to the frame with the canvas that it brought about, until the window had come to rest, and the main thread's own time."""

    drawn: float
    rested: float
    main: float


class Frames(QObject):
    """When the canvas beside ``widget`` was drawn: when a frame was swapped for the first time after it was painted."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__()
        self.canvas = canvas_beside(widget)
        self.last = 0.0
        self._swapped_last = 0.0
        self._painted = False
        self.canvas.installEventFilter(self)
        self.canvas.frameSwapped.connect(self._swapped)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take note that the canvas is painted."""
        if event is not None and event.type() == QEvent.Type.Paint:
            self._painted = True
        return False

    def after(self, deed: Callable[[], Any]) -> Reaction:
        """Do ``deed`` and wait until the window has come to rest."""
        self._painted = False
        begun, start = time.thread_time(), time.perf_counter()
        deed()
        until(lambda: self.last > start)
        settle(rest=_REST)
        return Reaction(drawn=self.last - start, rested=self._swapped_last - start, main=time.thread_time() - begun)

    def _swapped(self) -> None:
        """The window's other parts may be swapped again, and the canvas with them as it was."""
        self._swapped_last = time.perf_counter()
        if self._painted:
            self._painted, self.last = False, self._swapped_last


def window() -> "napari.Viewer":
    """Give an empty window; what the dock remembers is not a person's own."""
    import napari

    os.environ["XDG_STATE_HOME"] = str(state_folder())
    viewer = napari.Viewer()
    viewer.window.resize(*_WINDOW)
    live(2)
    return viewer


def opened(setting: Setting) -> "tuple[napari.Viewer, SegmentWidget, Image]":
    """Give a window with a volume and the dock, a model of random weights chosen."""
    from napari_film import Volume
    from napari_film.plugin.layers import layer_data_from_volume

    viewer = window()
    volume = Volume(body().T, np.diag([0.8, 0.8, 1.0, 1.0]), "ct.nii")
    data, arguments, _ = layer_data_from_volume(volume)
    image = viewer.add_image(data, **arguments)
    _, widget = viewer.window.add_plugin_dock_widget("napari-film", "FiLM segmentation")
    widget.session.failed.connect(_stop)
    widget.choose_checkpoint(write_checkpoint(setting, Path(tempfile.mkdtemp(dir=state_folder()))))
    settle()
    return viewer, widget, image


def body() -> Any:
    """Give an int16 volume (S, A, R) of a round body in air, with noise."""
    chance = np.random.default_rng(0)
    rows, columns = np.mgrid[-1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
    plane = np.where(rows**2 + columns**2 < 0.7, 60, -1000)
    noise = chance.integers(-40, 40, size=(16, *SHAPE[1:]), dtype=np.int16)
    return np.stack([(plane + noise[number % 16]).astype(np.int16) for number in range(SHAPE[0])])


def canvas_beside(widget: QWidget) -> Any:
    """Give the canvas of the window that ``widget`` is docked in."""
    from qtpy.QtOpenGLWidgets import QOpenGLWidget

    (canvas,) = widget.window().centralWidget().findChildren(QOpenGLWidget)
    return canvas


def child(widget: QWidget, kind: type[QWidget], name: str) -> Any:
    """Give the part of the dock called ``name``."""
    found = widget.findChild(kind, name)
    if found is None:
        raise LookupError(f"the dock has no {name}")
    return found


def live(seconds: float) -> None:
    """Let the window do what it has to for a while."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def settle(*, rest: float = 0.0) -> None:
    """Process events until nothing takes time any more, and nothing new has come for ``rest`` seconds."""
    quiet, since = 0, time.perf_counter()
    while quiet < 3 or time.perf_counter() - since < rest:
        start = time.perf_counter()
        QApplication.sendPostedEvents()
        QApplication.processEvents()
        if time.perf_counter() - start < _QUIET:
            quiet += 1
            time.sleep(0.001 if rest else 0)
        else:
            quiet, since = 0, time.perf_counter()


def until(done: Callable[[], bool]) -> None:
    """Process events, as they come, until ``done``; between them the CPU is the engine's, as it is while an application waits."""
    end = time.perf_counter() + _PATIENCE
    while not done():
        if time.perf_counter() > end:
            raise TimeoutError("the window did not come to what was waited for")
        QApplication.processEvents()
        time.sleep(0.001)


def until_idle(widget: "SegmentWidget") -> None:
    """Wait until everything that is wanted was computed."""
    until(lambda: bool(widget.session.predictions()) and widget.session.state.value == "ready")
    settle()


def run(measures: Iterable[Callable[..., list[Figure]]]) -> None:
    """Run that of ``measures`` that the command line names, ``--quick`` with fewer repetitions, and print a line of JSON."""
    known = {measure.__name__: measure for measure in measures}
    figures = known[sys.argv[1]](quick="--quick" in sys.argv)
    print(FIGURES.dump_json(figures).decode())


def _stop(sentence: str) -> None:
    raise RuntimeError(sentence)

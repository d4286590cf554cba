"""The dock in a window, and a person's hands on it."""

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.utils.notifications import Notification, notification_manager
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractItemView, QApplication, QComboBox, QMainWindow, QPushButton, QWidget

from napari_film.checkpoint import load_checkpoint
from napari_film.inference.kept import Kept
from napari_film.inference.plan import Plan
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import joint_labels
from napari_film.inference.predictor import Predictor
from napari_film.inference.request import Opened
from napari_film.inference.runner import Runner
from napari_film.plugin import segment_widget
from napari_film.plugin.choice import Choice
from napari_film.plugin.composition import Composition, Share
from napari_film.plugin.layers import geometry_of, layer_data_from_volume
from napari_film.plugin.segment_widget import SegmentWidget
from napari_film.plugin.session import State
from napari_film.preprocessing import prepare
from napari_film.volume import Volume

PATIENCE = 60_000  # ms until a test gives up


class Dock:
    """A window with the dock, and what a person does there."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer = viewer
        self.qtbot = qtbot
        self.dock, self.widget = viewer.window.add_plugin_dock_widget("napari-film", "FiLM segmentation")
        assert isinstance(self.widget, SegmentWidget)
        self.session = self.widget.session
        self.slices: list[int] = []
        self.session.slice_changed.connect(self.slices.append)

    @property
    def mask(self) -> Labels | None:
        """The layer that shows the session's mask."""
        return self.widget.views.slots.layer(self.session.slot)

    def add(self, volume: Volume, **arguments: Any) -> Image:
        """Open an image."""
        data, given, _ = layer_data_from_volume(volume)
        return self.viewer.add_image(data, **{**given, **arguments})

    def child(self, kind: type[QWidget], name: str) -> Any:
        found = self.widget.findChild(kind, name)
        assert found is not None, name
        self.widget.show_tab(found)
        return found

    def click(self, name: str) -> None:
        """Click the button of that name."""
        self.qtbot.mouseClick(self.child(QPushButton, name), Qt.MouseButton.LeftButton)

    def click_segment(self) -> None:
        """Click the button, which says Segment or Cancel."""
        self.click("film_segment")

    def names(self) -> list[str]:
        """Names of the layers."""
        return [layer.name for layer in self.viewer.layers]

    def voxels(self, layer: Labels) -> NDArray[Any]:
        """The voxels of a layer as the session slices them."""
        return geometry_of(layer).to_sliced(np.asarray(layer.data), self.session.header.preprocessing.slice_axis)

    def pick(self, combo: str, text: str) -> None:
        """Open a dropdown and click a choice, as a mouse does."""
        box: QComboBox = self.child(QComboBox, combo)
        view: QAbstractItemView = box.view()

        chosen: list[int] = []
        box.activated.connect(chosen.append)

        def picked() -> bool:
            """Without a window manager the focus may come late, which closes a list that has just opened; then it is clicked again."""
            if not view.isVisible():
                self.qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(box.width() - 8, box.height() // 2))
                QApplication.processEvents()
            if view.isVisible():
                index = view.model().index(box.findText(text), 0)
                assert index.isValid(), text
                view.scrollTo(index)
                place = view.visualRect(index).center()
                self.qtbot.mouseMove(view.viewport(), place)
                view.setCurrentIndex(index)  # what the mouse is over is marked, and a click chooses that: the move alone may come late
                self.qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
                QApplication.processEvents()
            return bool(chosen)

        self.qtbot.waitUntil(picked)
        box.activated.disconnect(chosen.append)
        assert chosen == [box.findText(text)]

    def wait(self, done: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(done, timeout=PATIENCE)

    def wait_complete(self) -> None:
        """Wait for the whole mask."""
        self.wait(lambda: self.session.results is not None and self.session.results.complete and not self.widget.views.pending)

    def wait_idle(self) -> None:
        """Wait until nothing more is computed."""
        self.wait(lambda: self.session.state in (State.READY, State.FAILED))


@pytest.fixture(scope="module", autouse=True)
def others_leave_nothing_to_collect() -> None:
    """Set aside what is alive before a module's tests: napari collects garbage whenever a layer goes, through all there is."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_memory_of_files(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember used checkpoints in a folder of the test's own."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setattr("napari_film.recent.user_state_path", lambda *_: folder)
    monkeypatch.setattr("napari_film.plugin.remembered.user_state_path", lambda *_: folder)


@pytest.fixture
def no_engine_left() -> Iterator[None]:
    """Every thread of ours that a test started ends with it."""
    yield
    left = [thread for thread in threading.enumerate() if thread.name.startswith("napari-film")]
    for thread in left:
        thread.join(5)
    assert not any(thread.is_alive() for thread in left)


@pytest.fixture
def dock(no_engine_left: None, make_napari_viewer_proxy: Callable[..., Any], qtbot: Any) -> Iterator[Dock]:
    """A window that is really shown."""
    interval = QApplication.doubleClickInterval()
    QApplication.setDoubleClickInterval(0)  # so long a dropdown takes no click after the one that opened it
    yield Dock(make_napari_viewer_proxy(show=True), qtbot)
    QApplication.setDoubleClickInterval(interval)


class Gate:
    """Lets the engine compute a number of slices and no more."""

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self._steps = threading.Semaphore(0)
        self.stands = threading.Event()  # set while the engine has taken a slice and is held before it
        self.order: list[tuple[tuple[float, ...], int]] = []  # condition and slice, as they were begun

    def hold(self) -> None:
        """Stop the engine before its next slice."""
        self._free.clear()

    def let(self, count: int) -> None:
        """Let it compute ``count`` slices more."""
        for _ in range(count):
            self._steps.release()

    def open(self) -> None:
        """Let it go on for good."""
        self._free.set()
        self._steps.release()

    def wait(self, condition: tuple[float, ...], indices: Any) -> None:
        if not self._free.is_set():
            self.stands.set()
            assert self._steps.acquire(timeout=PATIENCE / 1000)
            self.stands.clear()
        self.order += [(condition, index) for index in indices]


@pytest.fixture
def unpainted(dock: Dock) -> None:
    """Take the canvas out of sight, so that nothing is drawn.

    Layers that come and go by the dozen crash vispy's drawing with OpenGL in software, under napari alone, too.
    """
    window = dock.widget.window()
    assert isinstance(window, QMainWindow)
    centre = window.centralWidget()
    assert centre is not None
    centre.hide()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Give a gate that every slice of the engine, and none of `Predictor`, has to pass."""
    gate = Gate()
    real = Runner.run

    def run(self: Runner, condition: tuple[float, ...], indices: Any, ahead: Any = ()) -> Iterator[tuple[int, Any]]:
        if threading.current_thread().name == "napari-film engine":
            gate.wait(condition, indices)
        yield from real(self, condition, indices, ahead)

    monkeypatch.setattr(Runner, "run", run)
    yield gate
    gate.open()


@pytest.fixture
def notified() -> Iterator[list[Notification]]:
    """What a person was told."""
    told: list[Notification] = []
    notification_manager.notification_ready.connect(told.append)
    yield told
    notification_manager.notification_ready.disconnect(told.append)


@pytest.fixture(scope="session")
def masks_by_predictor() -> Callable[..., np.ndarray]:
    """Give masks (N, H, W) as `Predictor` makes them: ``masks(checkpoint, volumes, *metadata)``."""

    def masks(checkpoint: Path, volumes: list[Volume], *metadata: dict[str, Any]) -> np.ndarray:
        predictor = Predictor(load_checkpoint(checkpoint), device="cpu")
        prepared = predictor.prepare(volumes)
        return joint_labels([predictor.predict(prepared, values) for values in metadata])

    return masks


@pytest.fixture(scope="session")
def compose() -> Callable[..., Composition]:
    """Give a maker of masks of random probabilities: ``compose(choice, volume, seed=0, missing=(), post=None)``."""

    def make(
        choice: Choice, volume: Volume, *, seed: int = 0, missing: Sequence[int] = (), post: Postprocessing | None = None
    ) -> Composition:
        rng = np.random.default_rng(seed)
        header = choice.header
        prepared = prepare([volume], header.preprocessing)

        def kept() -> Kept:
            computed = np.ones(prepared.shape[0], dtype=bool)
            computed[list(missing)] = False
            return Kept(rng.integers(0, 256, size=(len(header.classes), *prepared.shape), dtype=np.uint8), computed)

        opened = Opened(1, prepared, "image", "checkpoint", "preprocessing", Plan(device="cpu"), ())
        shares = tuple(
            Share(member.metadata, tuple((percent, kept()) for percent, _ in member.parts), (128,) * len(header.classes))
            for member in choice.members()
        )
        return Composition(opened, shares, post or Postprocessing(), choice.mixture)

    return make


@pytest.fixture
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the dock use the processor, wherever the test runs."""
    from napari_film.plugin.preferences import Preferences

    monkeypatch.setattr(segment_widget, "preferences", lambda: Preferences(device="cpu"))

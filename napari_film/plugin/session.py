"""The state of one dock: what is chosen, what is computed, what is shown. No Qt, no napari.

Belongs to the main thread alone. The engine's thread reaches it only through `Engine.poll`, which `drain` empties when
the owner was notified. A *generation* is one opening of images with a checkpoint: events of an older one are dropped,
and within one every slice is kept under the key that it was computed for, so no mask is ever shown under another
condition value's name.

States: EMPTY (no checkpoint) -> READY -> RUNNING (what is shown is being computed) -> AHEAD (other condition values are) -> READY;
FAILED until the next start; CLOSED for good.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_film.conditioning import Value
from napari_film.header import Header, read_header
from napari_film.inference.agenda import outward
from napari_film.inference.engine import Engine
from napari_film.inference.plan import DeviceName, Plan, PrecisionName
from napari_film.inference.prediction import Prediction
from napari_film.inference.request import Event, Failure, Finished, Opened, Replanned, Request, SliceResult
from napari_film.inference.store import ProbabilityStore
from napari_film.plugin.choice import Choice
from napari_film.plugin.results import Results
from napari_film.preprocessing import Prepared
from napari_film.volume import Volume


class State(Enum):
    """Where a session stands."""

    EMPTY = "empty"
    READY = "ready"
    RUNNING = "running"
    AHEAD = "ahead"
    FAILED = "failed"
    CLOSED = "closed"


class SegmentationSession:
    """One checkpoint, one patient's images, and the masks under all condition values seen so far.

    Parameters
    ----------
    notify
        Called on the engine's thread when `drain` has something to do.
    memory
        Bytes that kept probabilities may take.
    """

    state_changed = Signal(State)
    checkpoint_changed = Signal(object)  # Header or None
    metadata_changed = Signal(dict)
    shown_changed = Signal()  # another mask is shown, or the same one anew
    slice_changed = Signal(int)  # one slice of the shown mask was computed
    progress_changed = Signal(int, int)  # slices of the shown mask: computed, in all
    plan_changed = Signal(object)  # Plan or None
    released = Signal(bool)  # the opened images are let go; whether the shown mask was complete
    told = Signal(str)  # a sentence for the person
    failed = Signal(str)  # a sentence for the person: nothing goes on

    def __init__(self, *, notify: Callable[[], None], memory: int) -> None:
        self._engine = Engine(notify)
        self._store = ProbabilityStore(memory)
        self._state = State.EMPTY
        self._generation = 0
        self._checkpoint: Path | None = None
        self._choice: Choice | None = None
        self._visible = 0
        self._opened: Opened | None = None
        self._opening = False
        self._working = False
        self._sources: tuple[str, ...] = ()
        self._checked = ""

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    @property
    def header(self) -> Header | None:
        """Header of the chosen checkpoint."""
        return self._choice.header if self._choice else None

    @property
    def checkpoint(self) -> Path | None:
        """File of the chosen checkpoint."""
        return self._checkpoint

    @property
    def metadata(self) -> dict[str, Value]:
        """The chosen condition values."""
        return dict(self._choice.metadata) if self._choice else {}

    @property
    def all_values(self) -> bool:
        """Whether all values of the target field are shown in one mask."""
        return self._choice is not None and self._choice.all_values

    @property
    def prepared(self) -> Prepared | None:
        """The opened images; None until the first slice can be computed."""
        return self._opened.prepared if self._opened else None

    @property
    def plan(self) -> Plan | None:
        """How the network runs; None until it is loaded."""
        return self._opened.plan if self._opened else None

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should know about how the network runs."""
        return self._opened.notices if self._opened else ()

    @property
    def checked(self) -> str:
        """What a comparison of precisions has shown and changed: one of the notices; empty where nothing changed."""
        return self._checked if self._opened else ""

    @property
    def sources(self) -> tuple[str, ...]:
        """File names of the opened channels."""
        return self._sources

    @property
    def model_hash(self) -> str:
        """SHA-256 of the loaded checkpoint's file; empty until it is loaded."""
        return self._opened.checkpoint if self._opened else ""

    def set_memory(self, memory: int) -> None:
        """Change how many bytes kept probabilities may take."""
        self._store.set_limit(memory)

    def set_checkpoint(self, path: Path | None) -> None:
        """Choose a checkpoint; what was computed with another is dropped.

        Raises
        ------
        CheckpointError
            If the file cannot be used; the session then stays as it was.
        """
        if self._state is State.CLOSED:
            return
        header = read_header(path) if path is not None else None
        self.forget()
        self._checkpoint = path
        self._choice = Choice.first(header) if header else None
        self._set_state(State.READY if header else State.EMPTY)
        self.checkpoint_changed.emit(header)
        self.metadata_changed.emit(self.metadata)

    def set_metadata(self, values: Mapping[str, Value]) -> None:
        """Choose condition values; shows what is kept of them, and computes what is missing once a mask was asked for.

        Raises
        ------
        MetadataError
            If the schema does not take them; the session then stays as it was.
        """
        if self._choice is None:
            return
        choice, notices = self._choice.with_metadata(values)
        if choice == self._choice:
            return
        self._choice = choice
        for notice in notices:
            self.told.emit(notice)
        self.metadata_changed.emit(self.metadata)
        self._show()

    def set_all_values(self, on: bool) -> None:
        """Show all values of the target field in one mask, or the chosen one alone."""
        if self._choice is not None and self._choice.with_all_values(on) != self._choice:
            self._choice = self._choice.with_all_values(on)
            self._show()

    def set_visible(self, index: int) -> None:
        """Say which source slice (along N) is in view: it is computed first, then those around it."""
        if index == self._visible:
            return
        self._visible = index
        if self._working and self._opened:
            self._engine.reorder(self._generation, self._order(self._opened))

    def segment(self, volumes: Sequence[Volume], *, device: DeviceName = "auto", precision: PrecisionName = "auto") -> None:
        """Segment ``volumes``, one per channel, the reference first, under the chosen condition values."""
        if self._choice is None or self._checkpoint is None or self._state is State.CLOSED:
            return
        self.forget()
        self._sources = tuple(volume.name for volume in volumes)
        self._opening = self._working = True
        self._set_state(State.RUNNING)
        preprocessing = self._choice.header.preprocessing
        self._engine.open(self._generation, volumes, self._checkpoint, preprocessing, device=device, precision=precision)

    def cancel(self) -> None:
        """Stop; what was computed is kept."""
        self._engine.cancel()
        if self._opening:
            self.forget()
        self._working = False
        self._settle()

    def forget(self) -> None:
        """Let go of the opened images; nothing that is still on its way is taken.

        What was computed stays in the store, under keys that name the images' content and the checkpoint: the same
        images opened again are shown at once.
        """
        if self._state is State.CLOSED:
            return
        self._engine.cancel()
        results, opening = self.results, self._opening
        self._generation += 1
        self._opening = self._working = False
        self._opened = None
        self._sources = ()
        self._store.hold(())
        if results is not None or opening:
            self.released.emit(results is not None and results.complete)
            self.progress_changed.emit(0, 0)
            self.plan_changed.emit(None)
        self._settle()

    def drain(self) -> None:
        """Take what the engine has put up. To be called on the main thread after ``notify``."""
        for event in self._engine.poll():
            if self._state is State.CLOSED:
                return
            self._take(event)

    def close(self, timeout: float = 10.0) -> bool:
        """End the engine's thread; give whether it ended in time (seconds)."""
        if self._state is not State.CLOSED:
            self._generation += 1
            self._working = False
            self._opened = None
            self._store.clear()
            self._state = State.CLOSED  # told to nobody: the widgets that listened may be gone
        return self._engine.close(timeout)

    @property
    def results(self) -> Results | None:
        """What was computed, as the choice shows it; None until the images are open."""
        return Results(self._opened, self._choice, self._store) if self._opened and self._choice else None

    def predictions(self) -> list[Prediction]:
        """Give what is shown as predictions: one, or one per value of the target field; empty before images are open."""
        results = self.results
        return results.predictions() if results else []

    def mask(self, slices: slice = slice(None)) -> NDArray[np.uint8]:
        """Labels (N, H, W) of the shown mask in sliced layout; NOT_COMPUTED where it was not computed.

        Raises
        ------
        ValueError
            If no images are open.
        """
        results = self.results
        if results is None:
            raise ValueError("no images are open")
        return results.mask(slices)

    def _take(self, event: Event) -> None:
        generation = event.request.generation if isinstance(event, SliceResult) else event.generation
        if generation != self._generation:
            return
        if isinstance(event, SliceResult):
            self._keep(event)
        elif isinstance(event, Opened):
            self._opened, self._opening, self._checked = event, False, ""
            self.plan_changed.emit(event.plan)
            self._show()
        elif isinstance(event, Replanned) and self._opened:
            if event.plan.precision != self._opened.plan.precision:
                self._checked = event.notice
            self._opened = replace(self._opened, plan=event.plan, notices=(*self._opened.notices, event.notice))
            self.plan_changed.emit(event.plan)
            self._show(compute=self._working)  # asked for anew: what was wanted may have been said after the plan changed
        elif isinstance(event, Finished) and self._engine.idle:  # else it is the end of what was wanted before
            self._working = False
            self._settle()
        elif isinstance(event, Failure):
            self._engine.cancel()
            if self._opened is None:
                self.forget()
            self._working = False
            self._set_state(State.FAILED)
            self.failed.emit(event.message)

    def _keep(self, result: SliceResult) -> None:
        results = self.results
        if results is None or result.key != results.opened.key(result.request.condition):
            return
        self._store.put(result, results.opened.prepared.shape[0])
        if result.request.condition not in results.shown:
            return
        if results.has(result.index):
            self.slice_changed.emit(result.index)
        self.progress_changed.emit(*results.progress())
        self._settle()

    def _show(self, *, compute: bool = True) -> None:
        """Show the chosen condition values: what is kept of them at once, what is missing when it comes."""
        results = self.results
        if results is None:
            return
        self._store.hold(results.keys)
        if compute:  # before anything is drawn: the engine computes the first slice meanwhile
            done = {Request(self._generation, condition): slices for condition, slices in results.wanted().items()}
            self._working = True
            self._engine.submit(list(done), self._order(results.opened), together=len(results.shown), done=done)
        self.shown_changed.emit()
        self.progress_changed.emit(*results.progress())
        self._settle()

    def _order(self, opened: Opened) -> list[int]:
        count = opened.prepared.shape[0]
        return outward(min(max(self._visible, 0), count - 1), count)

    def _settle(self) -> None:
        if self._state in (State.CLOSED, State.EMPTY):
            return
        if not self._working:
            if self._state is not State.FAILED:
                self._set_state(State.READY)
            return
        results = self.results
        self._set_state(State.AHEAD if results is not None and results.complete else State.RUNNING)

    def _set_state(self, state: State) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)

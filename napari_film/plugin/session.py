"""The state of one dock: what is chosen, what is computed, what is shown. No Qt, no napari.

Belongs to the main thread alone; the engine's thread reaches it only through `drain`, which the owner calls when it was
notified. What is asked of the engine, and that nothing stale is taken from it, is `Computation`'s to see to.

There are two *slots*, A and B, each with a choice of metadata; the form edits one of them, and its mask is *shown*. Beside them
any number of choices can be *compared*: laid out, counted and mapped. States: EMPTY (no checkpoint) -> READY -> RUNNING (what is
shown is being computed) -> AHEAD (other condition values are) -> READY; FAILED until the next start, or a choice of which all is kept;
CLOSED for good.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_film.errors import InputError
from napari_film.fields import Value
from napari_film.header import Header, read_header
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import DeviceName, PrecisionName
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import Prediction
from napari_film.inference.request import Event, Failure, Opened, Replanned, SliceResult
from napari_film.plugin.choice import Choice, Condition
from napari_film.plugin.computation import Computation
from napari_film.plugin.results import Results
from napari_film.plugin.selection import Selection, Slot
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
    metadata_changed = Signal(dict)  # of the slot that is edited
    choices_changed = Signal()  # what is in the slots, and which of them is edited
    shown_changed = Signal()  # other masks are shown or compared, or the same ones anew
    arrived = Signal(object, int)  # condition and slice: one slice was computed
    slice_changed = Signal(int)  # one slice of the shown mask was computed
    progress_changed = Signal(int, int)  # slices of the shown mask: computed, in all
    compared_progress_changed = Signal(int, int)  # slices of all compared masks
    plan_changed = Signal(object)  # Plan or None
    released = Signal(bool)  # the opened images are let go; whether the shown mask was complete
    told = Signal(str)  # a sentence for the person
    failed = Signal(str)  # a sentence for the person: nothing goes on

    def __init__(self, *, notify: Callable[[], None], memory: int) -> None:
        self._computation = Computation(notify, memory)
        self._state = State.EMPTY
        self._checkpoint: Path | None = None
        self._selection: Selection | None = None
        self._postprocessing = Postprocessing()
        self._sources: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    @property
    def header(self) -> Header | None:
        """Header of the chosen checkpoint."""
        return self._selection.choice.header if self._selection else None

    @property
    def checkpoint(self) -> Path | None:
        """File of the chosen checkpoint."""
        return self._checkpoint

    @property
    def slot(self) -> Slot:
        """The slot that is edited, whose mask is shown."""
        return self._selection.slot if self._selection else "A"

    @property
    def choices(self) -> Mapping[Slot, Choice]:
        """What is chosen in each slot; empty without a checkpoint."""
        return dict(self._selection.choices) if self._selection else {}

    @property
    def choice(self) -> Choice | None:
        """What is chosen in the slot that is edited."""
        return self._selection.choice if self._selection else None

    @property
    def compared(self) -> tuple[Choice, ...]:
        """The choices that are compared beside the slots."""
        return self._selection.compared if self._selection else ()

    @property
    def metadata(self) -> dict[str, Value]:
        """The chosen condition values of the slot that is edited."""
        return dict(self.choice.metadata) if self.choice else {}

    @property
    def postprocessing(self) -> Postprocessing:
        """What makes masks of the probabilities."""
        return self._postprocessing

    @property
    def opened(self) -> Opened | None:
        """The opened images and the loaded model, how it runs, and what a person should know of that; None until both are there."""
        return self._computation.opened

    @property
    def prepared(self) -> Prepared | None:
        """The opened images; None until the first slice can be computed."""
        return self.opened.prepared if self.opened else None

    @property
    def checked(self) -> str:
        """What a comparison of precisions has shown and changed: one of the notices; empty where nothing changed."""
        return self._computation.checked if self.opened else ""

    @property
    def sources(self) -> tuple[str, ...]:
        """File names of the opened channels."""
        return self._sources

    @property
    def results(self) -> Results | None:
        """What was computed of the shown mask; None until the images are open."""
        return self.results_of(self.choice) if self.choice else None

    def results_of(self, choice: Choice) -> Results | None:
        """What was computed of the mask of ``choice``; None until the images are open."""
        return Results(self.opened, choice, self._computation.store, self._postprocessing) if self.opened else None

    def predictions(self) -> list[Prediction]:
        """Give what is shown as predictions: one, or one per value of the target field; empty before images are open."""
        results = self.results
        return results.predictions() if results else []

    def mask(self, slices: slice = slice(None)) -> NDArray[np.uint8]:
        """Labels (N, H, W) of the shown mask in sliced layout, before any clean-up; NOT_COMPUTED where it was not computed.

        Raises
        ------
        ValueError
            If no images are open.
        """
        results = self.results
        if results is None:
            raise ValueError("no images are open")
        return results.mask(slices)

    def set_memory(self, memory: int) -> None:
        """Change how many bytes kept probabilities may take."""
        self._computation.store.set_limit(memory)

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
        self._selection = Selection.first(header) if header else None
        self._set_state(State.READY if header else State.EMPTY)
        self.checkpoint_changed.emit(header)
        self.metadata_changed.emit(self.metadata)
        self.choices_changed.emit()

    def set_view(self, slot: Slot, *, both: bool) -> bool:
        """Edit ``slot`` and show its mask, or those of both; gives whether that is something else than before."""
        before = self._selection
        if before is None or (slot, both) == (before.slot, before.both):
            return False
        self._selection = replace(before, slot=slot, both=both)
        if slot != before.slot:
            self.metadata_changed.emit(self.metadata)
            self.choices_changed.emit()
        self._show()
        return True

    def set_metadata(self, values: Mapping[str, Value], slot: Slot | None = None) -> None:
        """Choose condition values of a slot, None the one that is edited; shows what is kept, computes what is missing.

        Raises
        ------
        MetadataError
            If the schema does not take them; the session then stays as it was.
        """
        if self._selection is None:
            return
        slot = slot or self._selection.slot
        choice, notices = self._selection.choices[slot].with_metadata(values)
        if choice != self._selection.choices[slot]:
            for notice in notices:
                self.told.emit(notice)
            self._choose(slot, choice)

    def step(self, name: str, by: int) -> None:
        """Choose the value ``by`` places further of the field ``name``."""
        if self.choice is not None:
            self._choose(self.slot, self.choice.stepped(name, by))

    def set_all_values(self, on: bool) -> None:
        """Show all values of the target field in one mask, or the chosen one alone."""
        if self.choice is not None:
            self._choose(self.slot, self.choice.with_all_values(on))

    def set_mixture(self, mixture: Mixture | None) -> None:
        """Show the mask of several values of a field by their weights, or of the chosen value alone; raises InputError."""
        if self.choice is not None:
            self._choose(self.slot, self.choice.with_mixture(mixture))

    def set_compared(self, choices: Sequence[Choice]) -> None:
        """Compare the masks of ``choices``; what is missing of them is computed once a mask was asked for.

        Raises
        ------
        InputError
            If they do not fit into the memory for kept masks together; the session then stays as it was.
        """
        if self._selection is None or (tuple(choices) == self._selection.compared and not self._is_missing(choices)):
            return
        selection = self._selection.with_compared(choices)
        needed, room = len(selection.needed()), self._computation.room()
        if choices and self.opened is not None and needed > room:
            raise InputError(
                f"{needed} results of {self._computation.nbytes / 1024**2:.0f} MB each are more than may be kept ({room}); "
                "choose fewer values, or raise the memory for kept masks in napari's Preferences."
            )
        self._selection = selection
        self._show()

    def set_postprocessing(self, postprocessing: Postprocessing) -> None:
        """Make masks of the probabilities in another way; the network does not run again."""
        if postprocessing != self._postprocessing:
            self._postprocessing = postprocessing
            if self.results is not None:
                self.shown_changed.emit()

    def set_visible(self, index: int) -> None:
        """Say which source slice (along N) is in view: it is computed first, then those around it."""
        self._computation.look_at(index)

    def segment(
        self, volumes: Sequence[Volume], *, notices: Sequence[str] = (), device: DeviceName = "auto", precision: PrecisionName = "auto"
    ) -> None:
        """Segment ``volumes``, one per channel, the reference first, under the chosen condition values.

        ``notices`` are what a person should know of how the volumes came to be; they are told and saved with the others.
        """
        header = self.header
        if header is None or self._checkpoint is None or self._state is State.CLOSED:
            return
        self.forget()
        self._sources = tuple(volume.name for volume in volumes)
        self._computation.open(volumes, self._checkpoint, header, notices=notices, device=device, precision=precision)
        self._set_state(State.RUNNING)

    def cancel(self) -> None:
        """Stop; what was computed is kept."""
        opening = self._computation.opening
        self._computation.cancel()
        if opening:
            self.forget()
        self._settle()

    def forget(self) -> None:
        """Let go of the opened images; nothing that is still on its way is taken.

        What was computed stays in the store, under keys that name the images' content and the checkpoint: the same
        images opened again are shown at once.
        """
        if self._state is State.CLOSED:
            return
        results, opening = self.results, self._computation.opening
        complete = results is not None and results.complete
        self._computation.forget()
        self._sources = ()
        if self._selection is not None:
            self._selection = self._selection.with_compared(())
        if results is not None or opening:
            self.released.emit(complete)
            self.progress_changed.emit(0, 0)
            self.compared_progress_changed.emit(0, 0)
            self.plan_changed.emit(None)
        self._settle()

    def drain(self) -> None:
        """Take what the engine has put up. To be called on the main thread after it notified."""
        came = False
        for event in self._computation.events():
            if self._state is State.CLOSED:
                return
            self._take(event)
            came = came or isinstance(event, SliceResult)
        if came:
            self._tell_progress()  # once for all that came

    def close(self, timeout: float = 10.0) -> bool:
        """End the engine's thread; give whether it ended in time (seconds)."""
        self._state = State.CLOSED  # told to nobody: the widgets that listened may be gone
        return self._computation.close(timeout)

    def _choose(self, slot: Slot, choice: Choice) -> None:
        if self._selection is None or choice == self._selection.choices[slot]:
            return
        self._selection = self._selection.with_choice(slot, choice)
        if slot == self._selection.slot:
            self.metadata_changed.emit(self.metadata)
        self.choices_changed.emit()
        self._show()

    def _take(self, event: Event) -> None:
        if isinstance(event, SliceResult):
            self._arrive(event.request.condition, event.index)
        elif isinstance(event, Opened):
            self.plan_changed.emit(event.plan)
            self._show()
        elif isinstance(event, Replanned):
            self.plan_changed.emit(event.plan)
            self._show(compute=self._computation.working)  # asked for anew: what was wanted may have been said after the plan changed
        elif isinstance(event, Failure):
            if self.opened is None:
                self.forget()
            self._set_state(State.FAILED)
            self.failed.emit(event.message)
        else:
            self._settle()

    def _arrive(self, condition: Condition, index: int) -> None:
        results = self.results
        if results is None:
            return
        self.arrived.emit(condition, index)
        if condition in results.conditions and results.has(index):
            self.slice_changed.emit(index)
        self._settle()

    def _show(self, *, compute: bool = True) -> None:
        """Show what is chosen: what is kept of it at once, what is missing when it comes."""
        selection, results = self._selection, self.results
        if selection is None or results is None:
            return
        self._computation.hold(selection.held())
        if compute:  # before anything is drawn: the engine computes the first slice meanwhile
            self._computation.want(selection.wanted(self._computation.room()), together=len(selection.in_view()))
            if self._state is State.FAILED and not self._computation.working:
                self._set_state(State.READY)  # what was chosen now is kept whole
        self.shown_changed.emit()
        self._tell_progress()
        self._settle()

    def _tell_progress(self) -> None:
        if self.results is not None:
            self.progress_changed.emit(*self.results.progress())
            self.compared_progress_changed.emit(*self._compared_progress())

    def _is_missing(self, choices: Sequence[Choice]) -> bool:
        """Whether something of ``choices`` is neither computed nor on its way: it was cancelled."""
        parts = [results for choice in choices if (results := self.results_of(choice))]
        return not self._computation.working and not all(results.complete for results in parts)

    def _compared_progress(self) -> tuple[int, int]:
        """Slices of all compared masks: computed, in all."""
        parts = [results.progress() for choice in self.compared if (results := self.results_of(choice))]
        return sum(done for done, _ in parts), sum(total for _, total in parts)

    def _settle(self) -> None:
        if self._state in (State.CLOSED, State.EMPTY):
            return
        if not self._computation.working:
            if self._state is not State.FAILED:
                self._set_state(State.READY)
            return
        results = self.results
        self._set_state(State.AHEAD if results is not None and results.complete else State.RUNNING)

    def _set_state(self, state: State) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)

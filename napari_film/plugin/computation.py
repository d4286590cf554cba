"""The engine's work on one opening, as the main thread sees it: what was asked for, and what has come. No Qt, no napari.

Belongs to the main thread. A *generation* is one opening of images with a checkpoint: events of an older one are dropped, and
within one every slice is put into the store under the key that it was computed for, and only if that is the key under which
it would be looked for now. So nothing is ever shown under another condition value's name.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_film.header import Header
from napari_film.inference.agenda import outward
from napari_film.inference.engine import Engine
from napari_film.inference.plan import DeviceName, PrecisionName
from napari_film.inference.request import Event, Failure, Finished, Opened, Replanned, Request, SliceResult
from napari_film.inference.store import ProbabilityStore
from napari_film.plugin.choice import Condition
from napari_film.volume import Volume


class Computation:
    """One engine, one store, and at most one opening.

    Parameters
    ----------
    notify
        Called on the engine's thread when `events` has something to give.
    memory
        Bytes that kept probabilities may take.
    """

    def __init__(self, notify: Callable[[], None], memory: int) -> None:
        self._engine = Engine(notify)
        self.store = ProbabilityStore(memory)
        self._generation = 0
        self._visible = 0
        self._classes = 0
        self._notices: tuple[str, ...] = ()
        self.opened: Opened | None = None
        self.opening = False
        self.working = False
        self.checked = ""

    def open(
        self,
        volumes: Sequence[Volume],
        checkpoint: Path,
        header: Header,
        *,
        notices: Sequence[str] = (),
        device: DeviceName = "auto",
        precision: PrecisionName = "auto",
    ) -> None:
        """Open ``volumes``, one per channel, the reference first; ``notices`` come before those of the engine."""
        self.opening = self.working = True
        self._notices = tuple(notices)
        self._classes = len(header.classes)
        self._engine.open(self._generation, volumes, checkpoint, header.preprocessing, device=device, precision=precision)

    def want(self, conditions: Sequence[Condition], *, together: int) -> None:
        """Have what is missing of ``conditions`` computed, the first ``together`` of them first; replaces what was wanted."""
        if self.opened is None:
            return
        done = {Request(self._generation, condition): self._computed(self.opened, condition) for condition in conditions}
        if not self.working and all(len(indices) == self.opened.prepared.shape[0] for indices in done.values()):
            return  # a swap of what is kept wakes no thread and changes no state, which would be painted twice
        self.working = True
        self._engine.submit(list(done), self._order(self.opened), together=together, done=done)

    def hold(self, conditions: Iterable[Condition]) -> None:
        """Let nothing of ``conditions`` go out of memory; arrays for them stand ready, for layers to look into."""
        opened = self.opened
        keys = [] if opened is None else [opened.key(condition) for condition in conditions]
        self.store.hold(keys)
        if opened is not None:
            for key in keys:
                self.store.reserve(key, self._classes, opened.prepared.shape)

    def room(self) -> int:
        """How many conditions' probabilities fit into memory at one time."""
        if self.opened is None:
            return 1
        return self.store.room_for(self.nbytes)

    @property
    def nbytes(self) -> int:
        """Bytes of the probabilities under one condition; 0 before images are open."""
        return 0 if self.opened is None else self._classes * math.prod(self.opened.prepared.shape)

    def look_at(self, index: int) -> None:
        """Compute source slice ``index`` (along N) first, then those around it."""
        if index == self._visible:
            return
        self._visible = index
        if self.working and self.opened:
            self._engine.reorder(self._generation, self._order(self.opened))

    def cancel(self) -> None:
        """Want nothing more; what was computed is kept, an opening that was not done is dropped."""
        self._engine.cancel()
        self.working = False

    def forget(self) -> None:
        """Let go of the opened images; nothing that is still on its way is taken, what was computed stays in the store."""
        self._engine.cancel()
        self._generation += 1
        self.opening = self.working = False
        self.opened = None
        self.store.hold(())

    def events(self) -> Iterator[Event]:
        """Take what has come, and give it: of this opening alone, and slices only where they are kept now."""
        for event in self._engine.poll():
            generation = event.request.generation if isinstance(event, SliceResult) else event.generation
            if generation == self._generation and self._take(event):
                yield event

    def close(self, timeout: float) -> bool:
        """End the engine's thread; give whether it ended in time (seconds)."""
        self._generation += 1
        self.working = False
        self.opened = None
        self.store.clear()
        return self._engine.close(timeout)

    def _take(self, event: Event) -> bool:
        """Bring what is known up to date; give whether the event still means something."""
        if isinstance(event, SliceResult):
            if self.opened is None or event.key != self.opened.key(event.request.condition):
                return False
            self.store.put(event, self.opened.prepared.shape[0])
        elif isinstance(event, Opened):
            self.opened = replace(event, notices=(*self._notices, *event.notices))
            self.opening, self.checked = False, ""
        elif isinstance(event, Replanned):
            if self.opened is None:
                return False
            if event.plan.precision != self.opened.plan.precision:
                self.checked = event.notice
            self.opened = replace(self.opened, plan=event.plan, notices=(*self.opened.notices, event.notice))
        elif isinstance(event, Finished):
            if not self._engine.idle:  # it is the end of what was wanted before
                return False
            self.working = False
        elif isinstance(event, Failure):
            self._engine.cancel()
            self.working = False
        return True

    def _computed(self, opened: Opened, condition: Condition) -> list[int]:
        kept = self.store.get(opened.key(condition))
        return [] if kept is None else np.flatnonzero(kept.computed).tolist()

    def _order(self, opened: Opened) -> list[int]:
        count = opened.prepared.shape[0]
        return outward(min(max(self._visible, 0), count - 1), count)

"""The engine as a stream: volumes, a checkpoint and conditions in, one result per slice and condition out.

One thread of its own loads the network, prepares slices and runs them; it lives from construction to `close`. The
owner's thread says what is wanted and collects events with `poll`. Between the two stand the `Agenda` (locked) and a
queue of immutable events, nothing else. A *generation* is one opening of volumes with a checkpoint; events of older
generations may still arrive and are the owner's to drop.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_film.errors import InputError
from napari_film.inference.agenda import Agenda, Idle, Slices
from napari_film.inference.background import stand_back
from napari_film.inference.opening import Opening
from napari_film.inference.plan import NO_MEMORY, DeviceName, Plan, PrecisionName
from napari_film.inference.request import (
    Event,
    Failure,
    Finished,
    Replanned,
    Request,
    SliceResult,
)
from napari_film.inference.torch_import import unobtrusive_import
from napari_film.preprocessing import Preprocessing
from napari_film.volume import Volume

if TYPE_CHECKING:
    from napari_film.inference.loaded import Loader

_log = logging.getLogger(__name__)


class Engine:
    """Runs one checkpoint over one patient's volumes at a time, in the background.

    Parameters
    ----------
    notify
        Called on the engine's thread after events were put up for `poll`; must return at once and not raise.
    """

    def __init__(self, notify: Callable[[], None] | None = None) -> None:
        self._notify = notify or (lambda: None)
        self._agenda = Agenda()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._opening: Opening | None = None  # this and the loader are the engine's thread's alone
        self._loader: Loader | None = None
        self._thread = threading.Thread(target=self._live, name="napari-film engine", daemon=True)
        self._thread.start()

    def open(
        self,
        generation: int,
        volumes: Sequence[Volume],
        checkpoint: Path,
        preprocessing: Preprocessing,
        *,
        device: DeviceName = "auto",
        precision: PrecisionName = "auto",
    ) -> None:
        """Prepare ``volumes`` and load ``checkpoint``; answers with `Opened` or `Failure`. Drops all earlier work."""
        self._agenda.run(partial(self._open, generation, tuple(volumes), checkpoint, preprocessing, device, precision))

    def submit(
        self, requests: Sequence[Request], order: Sequence[int], *, together: int = 1, done: Mapping[Request, Iterable[int]] | None = None
    ) -> None:
        """Want the slices of ``requests``, as `Agenda.submit`; replaces what was wanted."""
        self._agenda.submit(requests, order, together=together, done=done)

    def reorder(self, generation: int, order: Sequence[int]) -> None:
        """Change the order of the slices still to come."""
        self._agenda.reorder(generation, order)

    def cancel(self) -> None:
        """Want nothing more; at most one slice is still being computed."""
        self._agenda.cancel()

    @property
    def idle(self) -> bool:
        """Whether nothing is wanted that has not come yet; `Finished` may also tell of what was wanted before the last `submit`."""
        return self._agenda.idle

    def poll(self) -> Iterator[Event]:
        """Give the events that have come since the last time, without waiting."""
        while True:
            try:
                yield self._events.get_nowait()
            except queue.Empty:
                return

    def close(self, timeout: float = 10.0) -> bool:
        """End the thread after the slice at hand; give whether it ended in time (seconds)."""
        self._agenda.stop()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _live(self) -> None:
        while (work := self._agenda.take(self._opening.plan.batch if self._opening else 1)) is not None:
            if isinstance(work, Slices):
                self._compute(work)
            elif isinstance(work, Idle):
                if self._opening is not None:
                    self._opening.runner.rest()
                self._tell(Finished(work.generation))
            else:
                work()
        self._opening = self._loader = None

    def _tell(self, event: Event) -> None:
        self._events.put(event)
        self._notify()

    def _open(
        self,
        generation: int,
        volumes: tuple[Volume, ...],
        checkpoint: Path,
        preprocessing: Preprocessing,
        device: DeviceName,
        precision: PrecisionName,
    ) -> None:
        self._opening = None
        try:
            if self._loader is None:
                with unobtrusive_import():
                    from napari_film.inference.loaded import Loader  # and torch
                stand_back()
                self._loader = Loader()
            self._opening = Opening(generation, volumes, self._loader.load(checkpoint), preprocessing, device, precision)
        except InputError as error:
            self._tell(Failure(generation, str(error), error))
        except Exception as error:  # noqa: BLE001  # the thread must live on, whatever a file or a driver does
            self._tell(self._unexpected(generation, error))
        else:
            self._tell(self._opening.opened)

    def _compute(self, work: Slices) -> None:
        from napari_film.inference.runner import OutOfMemory

        opening = self._opening
        if opening is None or opening.generation != work.request.generation:
            self._agenda.cancel(work.request.generation)  # nothing is open that it could be asked of
            return
        try:
            key = opening.opened.key(work.request.condition)
            for index, q in opening.runner.run(work.request.condition, work.indices, work.ahead):
                self._tell(SliceResult(work.request, key, index, q))
            if opening.runner.change is not None:
                self._replan(opening, *opening.runner.change)
        except OutOfMemory as error:
            self._fall_back(opening, error)
        except InputError as error:
            self._agenda.cancel(opening.generation)
            self._tell(Failure(opening.generation, str(error), error))
        except Exception as error:  # noqa: BLE001  # as above
            self._agenda.cancel(opening.generation)
            self._tell(self._unexpected(opening.generation, error))

    def _fall_back(self, opening: Opening, error: BaseException) -> None:
        step = opening.plan.after_out_of_memory()
        if step is None:
            self._agenda.cancel(opening.generation)
            self._tell(Failure(opening.generation, NO_MEMORY, error))
            return
        self._replan(opening, *step)

    def _replan(self, opening: Opening, plan: Plan, notice: str) -> None:
        _log.info("%s", notice)
        opening.replan(plan)
        self._agenda.restart(opening.generation)
        self._tell(Replanned(opening.generation, plan, notice))

    @staticmethod
    def _unexpected(generation: int, error: BaseException) -> Failure:
        _log.error("inference failed", exc_info=error)
        return Failure(generation, f"Inference stopped unexpectedly ({type(error).__name__}: {error}); what was computed is kept.", error)

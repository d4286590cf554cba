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
from dataclasses import replace
from pathlib import Path

from napari_film.errors import InputError
from napari_film.inference.agenda import Agenda, Idle, Slices
from napari_film.inference.plan import NO_MEMORY, DeviceName, Plan, PrecisionName
from napari_film.inference.request import (
    Event,
    Failure,
    Fallback,
    Finished,
    Opened,
    Request,
    SliceResult,
    image_hash,
    text_hash,
)
from napari_film.preprocessing import Preprocessing, prepare
from napari_film.volume import Volume

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
        self._session: _Session | None = None  # the engine's thread alone
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
        self._agenda.run(lambda: self._open(generation, tuple(volumes), checkpoint, preprocessing, device, precision))

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
        while (work := self._agenda.take(self._session.plan.batch if self._session else 1)) is not None:
            if isinstance(work, Slices):
                self._compute(work)
            elif isinstance(work, Idle):
                self._tell(Finished(work.generation))
            else:
                work()
        self._session = None

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
        self._session = None
        try:
            self._session = _Session(generation, volumes, checkpoint, preprocessing, device, precision)
        except InputError as error:
            self._tell(Failure(generation, str(error), error))
        except Exception as error:  # noqa: BLE001  # the thread must live on, whatever a file or a driver does
            self._tell(self._unexpected(generation, error))
        else:
            self._tell(self._session.opened)

    def _compute(self, work: Slices) -> None:
        from napari_film.inference.runner import OutOfMemory

        session = self._session
        if session is None or session.generation != work.request.generation:
            self._agenda.cancel(work.request.generation)  # nothing is open that it could be asked of
            return
        try:
            key = session.opened.key(work.request.condition)
            for index, q in session.runner.run(work.request.condition, work.indices):
                self._tell(SliceResult(work.request, key, index, q))
        except OutOfMemory as error:
            self._fall_back(session, error)
        except InputError as error:
            self._agenda.cancel(session.generation)
            self._tell(Failure(session.generation, str(error), error))
        except Exception as error:  # noqa: BLE001  # as above
            self._agenda.cancel(session.generation)
            self._tell(self._unexpected(session.generation, error))

    def _fall_back(self, session: "_Session", error: BaseException) -> None:
        step = session.plan.after_out_of_memory()
        if step is None:
            self._agenda.cancel(session.generation)
            self._tell(Failure(session.generation, NO_MEMORY, error))
            return
        plan, notice = step
        _log.warning("%s", notice)
        session.replan(plan)
        self._agenda.restart(session.generation)
        self._tell(Fallback(session.generation, plan, notice))

    @staticmethod
    def _unexpected(generation: int, error: BaseException) -> Failure:
        _log.error("inference failed", exc_info=error)
        return Failure(generation, f"Inference stopped unexpectedly ({type(error).__name__}: {error}); what was computed is kept.", error)


class _Session:
    """What the engine's thread holds between an opening and the next."""

    def __init__(
        self,
        generation: int,
        volumes: tuple[Volume, ...],
        checkpoint: Path,
        preprocessing: Preprocessing,
        device: DeviceName,
        precision: PrecisionName,
    ) -> None:
        # torch is imported here, on the engine's thread, when the first model is loaded
        from napari_film.checkpoint import load_checkpoint
        from napari_film.inference.plan import make_plan
        from napari_film.inference.runner import Runner

        self.generation = generation
        self._prepared = prepare(volumes, preprocessing)
        self._checkpoint = load_checkpoint(checkpoint)
        if self._checkpoint.header.preprocessing != preprocessing:
            raise InputError(f"{checkpoint.name} has changed since it was chosen; choose it again.")
        plan, notices = make_plan(device, precision)
        self.runner = Runner(self._checkpoint, self._prepared, plan)
        self.opened = Opened(
            generation,
            self._prepared,
            image_hash(volumes),
            self._checkpoint.hash,
            text_hash(preprocessing.model_dump_json()),
            plan,
            notices,
        )

    @property
    def plan(self) -> Plan:
        return self.runner.plan

    def replan(self, plan: Plan) -> None:
        self.opened = replace(self.opened, plan=plan)
        from napari_film.inference.runner import Runner

        self.runner = Runner(self._checkpoint, self._prepared, plan)

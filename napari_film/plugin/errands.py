"""Work that would hold the window up, done by one thread of its own: clean-ups, tables, noise floors. No Qt, no napari.

The main thread submits work under a *topic*; work of the same topic that is still waiting is forgotten, and that which runs
is told to stop. Results come back to the main thread by `drain`, after ``notify`` rang, and only those of the topic's newest
work: an answer to an older question is never given.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from napari_film.errors import InputError
from napari_film.inference.background import stand_back

_log = logging.getLogger(__name__)
T = TypeVar("T")
Cancelled = Callable[[], bool]


@dataclass(frozen=True, eq=False)
class _Errand:
    topic: str
    work: Callable[[Cancelled], Any]
    done: Callable[[Any], None]
    failed: Callable[[str], None]
    stopped: threading.Event = field(default_factory=threading.Event)


class Errands:
    """One thread, started with the first errand, that runs one errand after the other.

    Parameters
    ----------
    notify
        Called on the thread when `drain` has something to do; must return at once and not raise.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._waiting: queue.SimpleQueue[_Errand | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._newest: dict[str, _Errand] = {}  # the main thread's alone
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(
        self, topic: str, work: Callable[[Cancelled], T], done: Callable[[T], None], failed: Callable[[str], None] = lambda _: None
    ) -> None:
        """Run ``work`` on the thread, then ``done`` with its result on the main thread, or ``failed`` with a sentence.

        ``work`` gets a function that says whether its answer is still wanted, and may return early when it is not.
        """
        if self._closed:
            return
        self.cancel(topic)
        errand = self._newest[topic] = _Errand(topic, work, done, failed)
        if self._thread is None:
            self._thread = threading.Thread(target=self._live, name="napari-film errands", daemon=True)
            self._thread.start()
        self._waiting.put(errand)

    def cancel(self, topic: str) -> None:
        """Let nothing come of what was submitted under ``topic``."""
        errand = self._newest.pop(topic, None)
        if errand is not None:
            errand.stopped.set()

    def busy(self, topic: str) -> bool:
        """Whether an answer is still to come under ``topic``."""
        return topic in self._newest

    def drain(self) -> None:
        """Hand over what was finished; to be called on the main thread."""
        while True:
            try:
                self._finished.get_nowait()()
            except queue.Empty:
                return

    def tell(self, step: Callable[[], None]) -> None:
        """Have ``step`` run on the main thread: how work says how far it is."""
        self._finished.put(step)
        self._notify()

    def close(self, timeout: float = 10.0) -> bool:
        """Stop what runs, and end the thread; give whether it ended in time (seconds)."""
        self._closed = True
        for topic in list(self._newest):
            self.cancel(topic)
        if self._thread is None:
            return True
        self._waiting.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _live(self) -> None:
        stand_back()
        while (errand := self._waiting.get()) is not None:
            if not errand.stopped.is_set():
                self._run(errand)
            del errand  # while it waits for the next, the thread keeps no masks alive

    def _run(self, errand: _Errand) -> None:
        try:
            answer = errand.work(errand.stopped.is_set)
        except InputError as error:
            self._answer(errand, errand.failed, str(error))
        except Exception as error:  # noqa: BLE001  # the thread must live on, whatever a file or memory does
            _log.error("an errand failed", exc_info=error)
            self._answer(errand, errand.failed, f"That stopped unexpectedly ({type(error).__name__}: {error}).")
        else:
            self._answer(errand, errand.done, answer)

    def _answer(self, errand: _Errand, deliver: Callable[[Any], None], answer: Any) -> None:
        def step() -> None:
            if self._newest.get(errand.topic) is errand:
                del self._newest[errand.topic]
                deliver(answer)

        self.tell(step)

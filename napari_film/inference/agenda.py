"""What the engine's thread shall do next: the one state that two threads write.

The main thread says what is wanted (`submit`, `reorder`, `cancel`, `stop`); the engine's thread takes work off it
(`take`) and waits on it. Every method holds the one lock for a moment and never calls out while it does.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from napari_film.inference.request import Request


@dataclass(frozen=True)
class Slices:
    """Work for one round: some source slices of one request, and which of its slices will be next."""

    request: Request
    indices: tuple[int, ...]
    ahead: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Idle:
    """All that was asked of a generation is done."""

    generation: int


@dataclass
class _Wanted:
    generation: int
    requests: tuple[Request, ...]
    together: int
    order: tuple[int, ...]
    done: dict[Request, set[int]]
    told_idle: bool = False


class Agenda:
    """Requests of the newest generation, the order of their slices, and an errand that comes before them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._errand: Callable[[], None] | None = None
        self._wanted: _Wanted | None = None
        self._stopped = False

    def run(self, errand: Callable[[], None]) -> None:
        """Have ``errand`` run on the engine's thread before any more slices; what was wanted before is dropped."""
        with self._condition:
            self._errand = errand
            self._wanted = None
            self._condition.notify()

    def submit(
        self, requests: Sequence[Request], order: Sequence[int], *, together: int = 1, done: Mapping[Request, Iterable[int]] | None = None
    ) -> None:
        """Want the slices of ``requests``, each in ``order``; replaces what was wanted.

        The first ``together`` requests go first, side by side: a slice of all of them, then the next slice. Then the others do.
        ``done`` names slices that need no computing.
        """
        wanted = None
        if requests:
            known = {request: set((done or {}).get(request, ())) for request in requests}
            wanted = _Wanted(requests[0].generation, tuple(requests), together, tuple(order), known)
        with self._condition:
            self._wanted = wanted
            self._condition.notify()

    def reorder(self, generation: int, order: Sequence[int]) -> None:
        """Change the order of the slices that are still to come."""
        with self._condition:
            if self._wanted and self._wanted.generation == generation:
                self._wanted.order = tuple(order)

    def restart(self, generation: int) -> None:
        """Want everything of ``generation`` anew."""
        with self._condition:
            if self._wanted and self._wanted.generation == generation:
                self._wanted.done = {request: set() for request in self._wanted.requests}

    def cancel(self, generation: int | None = None) -> None:
        """Want nothing more, or nothing more of ``generation``; a slice that is being computed is finished and delivered."""
        with self._condition:
            if self._wanted and generation in (None, self._wanted.generation):
                self._wanted = None

    def stop(self) -> None:
        """Let `take` answer None from now on."""
        with self._condition:
            self._stopped = True
            self._wanted = None
            self._errand = None
            self._condition.notify()

    @property
    def idle(self) -> bool:
        """Whether all that was wanted was given out, and said so."""
        with self._condition:
            return self._errand is None and (self._wanted is None or self._wanted.told_idle)

    def take(self, most: int) -> "Slices | Idle | Callable[[], None] | None":
        """Wait for work: an errand, at most ``most`` slices of one request, word of being idle, or None for the end."""
        with self._condition:
            while True:
                if self._stopped:
                    return None
                if self._errand:
                    errand, self._errand = self._errand, None
                    return errand
                if self._wanted and not self._wanted.told_idle:
                    return self._next(self._wanted, most)
                self._condition.wait()

    @staticmethod
    def _next(wanted: _Wanted, most: int) -> Slices | Idle:
        for group in (wanted.requests[: wanted.together], wanted.requests[wanted.together :]):
            missing = {request: [index for index in wanted.order if index not in wanted.done[request]] for request in group}
            open_requests = [request for request in group if missing[request]]
            if open_requests:
                # That whose next slice comes first: what conditions share of a slice is computed once while they go side by side.
                request = min(open_requests, key=lambda request: wanted.order.index(missing[request][0]))
                indices = tuple(missing[request][:most])
                wanted.done[request].update(indices)
                return Slices(request, indices, tuple(missing[request][most : 2 * most]))
        wanted.told_idle = True
        return Idle(wanted.generation)


def outward(start: int, count: int) -> list[int]:
    """0..count-1, beginning at ``start`` and going outward to both sides."""
    return sorted(range(count), key=lambda index: (abs(index - start), index))

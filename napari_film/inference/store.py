"""Kept probabilities, so that a condition value that was seen once comes back at once.

Belongs to the main thread alone; the engine's thread never sees it.
"""

from collections import OrderedDict
from collections.abc import Iterable

from napari_film.inference.kept import Kept
from napari_film.inference.request import ProbabilityKey, SliceResult


class ProbabilityStore:
    """Probabilities by key, at most ``limit`` bytes; the least recently seen goes first, and what is held never.

    Where nothing is held, the one seen last stays even if it is larger than the limit.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[ProbabilityKey, Kept] = OrderedDict()
        self._held: frozenset[ProbabilityKey] = frozenset()

    def put(self, result: SliceResult, slices: int) -> None:
        """Keep one slice of a volume of ``slices`` slices."""
        classes, height, width = result.q.shape
        self.reserve(result.key, classes, (slices, height, width)).put(result.index, result.q)

    def reserve(self, key: ProbabilityKey, classes: int, shape: tuple[int, int, int]) -> Kept:
        """Give what is kept under ``key``, or from now on an empty array for slices of a source of ``shape`` (N, H, W)."""
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = Kept.empty(classes, shape)
            self._make_room()
        return kept

    def get(self, key: ProbabilityKey) -> Kept | None:
        """Give what is kept under ``key`` and remember that it was seen just now."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def room_for(self, nbytes: int) -> int:
        """Volumes of ``nbytes`` that fit at one time; always one."""
        return max(1, self._limit // max(nbytes, 1))

    def set_limit(self, limit: int) -> None:
        """Change the limit in bytes; what no longer fits goes at once."""
        self._limit = limit
        self._make_room()

    def hold(self, keys: Iterable[ProbabilityKey]) -> None:
        """Let none of ``keys`` go from now on, however little room there is: what is shown must not vanish while it is computed."""
        self._held = frozenset(keys)
        self._make_room()  # for what was held before

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()

    @property
    def nbytes(self) -> int:
        """Bytes that are kept."""
        return sum(kept.q.nbytes for kept in self._kept.values())

    def _make_room(self) -> None:
        staying = self._held or frozenset([*self._kept][-1:])
        for key in [key for key in self._kept if key not in staying]:
            if self.nbytes <= self._limit:
                return
            del self._kept[key]

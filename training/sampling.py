"""Which slices an epoch shows, and in which order: as many of each condition value, keyed by seed and epoch.

Of each value's samples a fixed part shows something to segment, the rest does not, so that false positives cost. Within
both, every subject comes as often as the others, whatever the number of its slices.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

Slices = dict[int, NDArray[np.intp]]
"""Slices to draw from, by case."""


@dataclass(frozen=True)
class Sample:
    """Slice ``slice`` of case ``case`` under condition value ``value``, as number ``index`` of epoch ``epoch``."""

    case: int
    slice: int
    value: str
    epoch: int
    index: int


class Pool(NamedTuple):
    """Slices of one condition value: those that show something to segment, and those that do not."""

    foreground: Slices
    background: Slices


def make_pools(found: Sequence[Mapping[str, NDArray[np.bool_]]]) -> dict[str, Pool]:
    """Sort slices into pools; ``found[case][value]`` says for each slice whether it shows something to segment."""
    pools: dict[str, Pool] = defaultdict(lambda: Pool({}, {}))
    for case, values in enumerate(found):
        for value, shows in values.items():
            for slices, wanted in zip(pools[value], (True, False), strict=True):
                if (shows == wanted).any():
                    slices[case] = np.flatnonzero(shows == wanted)
    return dict(sorted(pools.items()))


class BalancedSampler(Sampler[Sample]):
    """``samples`` draws an epoch; ``set_epoch`` (which Lightning calls) chooses the epoch.

    Of ``processes`` that share an epoch each draws the whole of it, and the one of ``rank`` gives its share: every so-many-th. All
    shares are of one length, for which the first samples come again where the number cannot be divided.
    """

    def __init__(self, pools: Mapping[str, Pool], *, samples: int, foreground: float, seed: int, rank: int = 0, processes: int = 1) -> None:
        self.pools = dict(pools)
        self.samples = samples
        self.foreground = foreground
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose what the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.samples // self.processes)

    def __iter__(self) -> Iterator[Sample]:
        epoch = list(self._epoch())
        for index in range(self.rank, len(self) * self.processes, self.processes):
            yield epoch[index % len(epoch)]

    def _epoch(self) -> Iterator[Sample]:
        """Draw all samples of the epoch."""
        rng = np.random.default_rng([self.seed, self.epoch])
        drawn: list[tuple[int, int, str]] = []
        for number, (value, pool) in enumerate(self.pools.items()):
            count = self.samples * (number + 1) // len(self.pools) - self.samples * number // len(self.pools)
            showing = round(count * self.foreground) if pool.background else count
            if not pool.foreground:
                showing = 0
            drawn += [(*place, value) for place in _draw(pool.foreground, showing, rng)]
            drawn += [(*place, value) for place in _draw(pool.background, count - showing, rng)]
        for index, place in enumerate(rng.permutation(len(drawn))):
            case, number, value = drawn[place]
            yield Sample(case, number, value, self.epoch, index)


def _draw(slices: Slices, count: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Draw ``count`` slices: case after case in shuffled rounds, of each case one of its slices."""
    cases = np.array(sorted(slices), dtype=np.intp)
    order: list[int] = []
    while len(order) < count:
        order += [int(case) for case in rng.permutation(cases)]
    for case in order[:count]:
        yield case, int(rng.choice(slices[case]))

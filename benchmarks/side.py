"""One side of a comparison: a process of its own that is kept alive and asked for one round at a time.

So neither side's allocator, caches or threads touch the other's, and whatever else the machine does hits all sides alike.
The process is `benchmarks.worker`, or `benchmarks.pupil` for what is trained; a side knows no torch.
"""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, Literal, Self

from pydantic import BaseModel

from benchmarks.lesson import Lesson

REPOSITORY = Path(__file__).resolve().parents[1]

_KEPT = str(1 << 34)  # bytes: nothing is ever given back
_REST = 0.02  # s between rounds, in which the threads of the last side go to sleep
_WARM_UP = 2


class Work(BaseModel, frozen=True):
    """What a side does in one round.

    Parameters
    ----------
    kind
        The textbook network, ours, or the machine's ceiling: a 3x3 convolution of 256 channels in channels_last, 1 x 256 x 128 x 128.
    checkpoint
        Network of the first two.
    height, width, batch
        Of the images that it is given, seeded noise.
    values
        Condition values that ours computes of one front.
    steps
        How often a round repeats it; the mean counts.
    """

    program: ClassVar[str] = "benchmarks.worker"

    kind: Literal["textbook", "ours", "ceiling"]
    checkpoint: Path | None = None
    height: int = 0
    width: int = 0
    batch: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    values: int = 1
    steps: int = 1


class Round(BaseModel, frozen=True):
    """Seconds of one step, of its front alone (ours only), and the pages that the process had to ask the system for."""

    seconds: float
    front: float
    faults: float


class Memory(BaseModel, frozen=True):
    """Bytes: what importing torch and this project took, and the most that the process ever had."""

    imported: int
    peak: int


@cache
def state_folder() -> Path:
    """Where the dock remembers a person's choices while benchmarks run: a folder that goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="napari-film-benchmarks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def environment(*, memory_kept: bool = False) -> dict[str, str]:
    """Environment of a process without any allocator setting, or with glibc told to keep all memory that was ever freed.

    What a person's own dock remembers is neither read nor changed.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    plain["XDG_STATE_HOME"] = str(state_folder())
    return {**plain, "MALLOC_MMAP_THRESHOLD_": _KEPT, "MALLOC_TRIM_THRESHOLD_": _KEPT} if memory_kept else plain


class Side:
    """A process that does ``work``; to be used in a ``with``, which ends it."""

    def __init__(self, work: Work | Lesson, *, memory_kept: bool = False) -> None:
        self.work = work
        self._process = subprocess.Popen(
            [sys.executable, "-m", work.program, work.model_dump_json()],
            cwd=REPOSITORY,
            env=environment(memory_kept=memory_kept),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.threads = int(self._answer()["threads"])

    def round(self) -> Round:
        """Let it do its work once."""
        time.sleep(_REST)
        return Round.model_validate(self._ask("round"))

    def memory(self) -> Memory:
        """Tell what its memory has been so far."""
        return Memory.model_validate(self._ask("memory"))

    def save(self, path: Path) -> None:
        """Write what it computes to ``path``, .npy: (B, classes, H, W) float32."""
        self._ask(f"save {path}")

    def __enter__(self) -> Self:
        """Give itself; the process runs already."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the process."""
        _pipe(self._process.stdin).close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, what: str) -> Mapping[str, Any]:
        pipe = _pipe(self._process.stdin)
        pipe.write(f"{what}\n")
        pipe.flush()
        return self._answer()

    def _answer(self) -> Mapping[str, Any]:
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"the process of {self.work} ended with code {self._process.wait()}")
        answer: Mapping[str, Any] = json.loads(line)
        return answer


def interleave(sides: Mapping[str, Side], rounds: int) -> dict[str, list[Round]]:
    """Let all sides work in turn, ``rounds`` times after a warm-up; each round begins with another side."""
    names = list(sides)
    found: dict[str, list[Round]] = {name: [] for name in names}
    for number in range(_WARM_UP + rounds):
        first = number % len(names)
        for name in [*names[first:], *names[:first]]:
            answer = sides[name].round()
            if number >= _WARM_UP:
                found[name].append(answer)
    return found


def start(stack: ExitStack, works: Mapping[str, Work], *, memory_kept: bool = False) -> dict[str, Side]:
    """Start a side for each of ``works``; ``stack`` ends them."""
    return {name: stack.enter_context(Side(work, memory_kept=memory_kept)) for name, work in works.items()}


def seconds(rounds: Sequence[Round]) -> list[float]:
    """Seconds of each round."""
    return [answer.seconds for answer in rounds]


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None  # both were asked for
    return pipe

"""What a training step waits for its batch, by the number of processes that make batches beside it.

The rounds are long and their first steps are not counted: while another side works, processes fill their queue.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Figure, ratio_figure, time_figure
from benchmarks.lesson import Lesson
from benchmarks.settings import Setting
from benchmarks.side import Side, interleave, seconds

_WORKERS = (0, 1, 2)


def run(setting: Setting, *, batch: int, steps: int, quick: bool) -> tuple[list[Figure], list[str]]:
    """Train in float32 and bfloat16 with 0, 1 and 2 processes in turn, ``steps`` steps a round."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as name:
        for precision in ("float32", "bfloat16"):
            with ExitStack() as stack:
                sides = {}
                for workers in _WORKERS:
                    lesson = Lesson(
                        kind="ours", setting=setting, batch=batch, folder=Path(name), workers=workers, skip=8, steps=steps
                    ).model_copy(update={"precision": precision})
                    sides[f"{precision}, {workers} workers"] = stack.enter_context(Side(lesson))
                rounds = interleave(sides, 2 if quick else 7)
            alone = seconds(rounds[f"{precision}, 0 workers"])
            for name_of, answers in rounds.items():
                waiting = [answer.front for answer in answers]
                figures.append(ratio_figure(f"{name_of}: waiting for the batch, share of a step", waiting, seconds(answers), unit="%"))
            for name_of, answers in list(rounds.items())[1:]:
                figures.append(ratio_figure(f"{name_of}: times as fast as without workers", alone, seconds(answers)))
            figures += [time_figure(f"{name_of}: a step", seconds(answers)) for name_of, answers in rounds.items()]
    return figures, [f"{setting.words}, batch {batch}, all of the augmentation, two channels; {steps} steps a round."]

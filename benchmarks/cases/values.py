"""All K condition values of a slice against one, where the encoder has no FiLM, and where it is everywhere.

Two processes of ours in turn: one computes the front and one condition value, the other the front and all K. The first says what
the encoder (its front) and a decoder (the rest) cost; the second is to stay within (encoder + K decoders) + 5 %.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Figure, ratio_figure, time_figure
from benchmarks.files import write_checkpoint
from benchmarks.settings import VALUES, Setting
from benchmarks.side import Work, interleave, seconds, start

_MOST = 1.05


def run(setting: Setting, *, quick: bool) -> tuple[list[Figure], list[str]]:
    """Compare all values with one in turn, in float32."""
    count = len(VALUES)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        checkpoint = write_checkpoint(setting, Path(folder))
        works = {
            name: Work(kind="ours", checkpoint=checkpoint, height=setting.height, width=setting.width, values=values)
            for name, values in (("one", 1), ("all", count))
        }
        rounds = interleave(start(stack, works), 3 if quick else 15)
    one, every = seconds(rounds["one"]), seconds(rounds["all"])
    encoder = [answer.front for answer in rounds["one"]]
    decoder = [answer.seconds - answer.front for answer in rounds["one"]]
    parts = [front + count * value for front, value in zip(encoder, decoder, strict=True)]
    where = "decoder's units" if setting.film == "decoder" else "everywhere"
    figures = [
        ratio_figure(f"FiLM {where}: all {count} values / (encoder + {count} decoders)", every, parts, at_most=_MOST),
        ratio_figure(f"FiLM {where}: all {count} values / one value", every, one),
        time_figure(f"FiLM {where}: encoder (front)", encoder),
        time_figure(f"FiLM {where}: decoder (one more value)", decoder),
        time_figure(f"FiLM {where}: one value", one),
        time_figure(f"FiLM {where}: all {count} values", every),
    ]
    return figures, [f"{setting.words}, FiLM {where}, float32, condition values known already: γ and β were merged in the warm-up."]

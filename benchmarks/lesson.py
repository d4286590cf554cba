"""What is trained in a benchmark, told without torch: a recipe, and where the prepared cases lie.

The cases are drawn: blobs on noise, one case for each condition value, prepared into a cache that both sides share.
"""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel

from benchmarks.settings import FIELD, VALUES, Setting

SLICES = 8
"""Of each case."""


class Lesson(BaseModel, frozen=True):
    """What a side does in one round: ``steps`` training steps, after ``skip`` that are not counted.

    Parameters
    ----------
    kind
        The textbook's loop, or ours: `TrainingModule` on Lightning's Trainer, as `fit` runs it.
    setting, batch
        Network, size of the slices, slices a step.
    precision
        "bfloat16" is Lightning's bf16-mixed; ours alone.
    workers
        Processes that make batches; ours alone.
    folder
        Of the cases and their cache.
    """

    program: ClassVar[str] = "benchmarks.pupil"

    kind: Literal["textbook", "ours"]
    setting: Setting
    batch: int
    folder: Path
    precision: Literal["float32", "bfloat16"] = "float32"
    workers: int = 0
    skip: int = 0
    steps: int = 1

    def recipe(self) -> str:
        """TOML of the recipe: soft Dice over the batch, all of the augmentation."""
        channels = "\n".join(f'[[channels]]\nname = "channel {n}"\nsuffix = "channel{n}"' for n in range(self.setting.channels))
        values = ", ".join(f'"{value}"' for value in VALUES)
        labels = ", ".join(f"{value} = [{number}]" for number, value in enumerate(VALUES, start=1))
        return f"""
[model]
name = "benchmark"
depth = {self.setting.depth}
width = {self.setting.features}

[data]
table = "{self.folder / "cases.csv"}"

{channels}

[[fields]]
name = "{FIELD}"
role = "target"
values = [{values}]
labels = {{ {labels} }}

[preprocessing]
slice_axis = "axial"

[training]
samples = 4096
epochs = 100
batch = {self.batch}
precision = "{self.precision}"
"""

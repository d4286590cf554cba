"""What a training looks like on the way: learning curves, and outlines on a few validation slices.

Both are PNG files that each validation replaces. Axes: (h, w) a slice of the network grid, its first rows drawn at the bottom, so
that head or front is up; of slices as they were acquired at the top, as their files have them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import lightning
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from napari_film.atomic import atomic_path

from .cases.case import EVERYTHING, given_values
from .history import History, Row
from .module import MEAN_DICE, TrainingModule
from .prepared import PreparedCase
from .recipe import Recipe
from .scoring import dice_score
from .seen import as_seen, seen_channels

CURVES, OVERLAYS = "curves.png", "overlays.png"
MOST = 5
"""Rows and columns at most: a picture that nobody can read tells nothing."""

_PANEL = 3.2  # inches high
_TRUTH, _MASK = "#ffd000", "#00c8ff"  # apart for any eye, on dark and bright tissue


class Example(NamedTuple):
    """Slice ``number`` of ``case``, the one that shows most under ``value``, and the values it is segmented under."""

    case: PreparedCase
    number: int
    value: str
    told: tuple[str, ...]


class Pictures(lightning.Callback):
    """Draws both into ``folder`` after each validation."""

    def __init__(self, folder: Path, history: History, recipe: Recipe, validation: Sequence[PreparedCase]) -> None:
        self.folder = folder
        self.history = history
        self.recipe = recipe
        self.examples = choose(validation, recipe)
        self._validated = False

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Draw the overlays."""
        self._validated = True
        if trainer.is_global_zero and self.examples and isinstance(pl_module, TrainingModule):
            self.folder.mkdir(exist_ok=True)
            figure = overlays(self.examples, pl_module, f"epoch {trainer.current_epoch + 1}")
            _save(figure, self.folder / OVERLAYS)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Draw the curves, once the history has this epoch."""
        if self._validated and trainer.is_global_zero:
            self.folder.mkdir(exist_ok=True)
            _save(curves(self.history.rows), self.folder / CURVES)
        self._validated = False


def choose(cases: Sequence[PreparedCase], recipe: Recipe) -> list[Example]:
    """Find for each true value the first case that shows something, and the slice of it that shows most."""
    swapped = recipe.swapped()
    target = swapped is not None and swapped.role == "target"
    values = (EVERYTHING,) if swapped is None else swapped.field().choices
    examples = []
    for value in values:
        for case in cases:
            if value in case.case.values and case.shows(recipe, value).any():
                number = int(case.truth(recipe, value).sum(axis=(1, 2, 3)).argmax())
                examples.append(Example(case, number, value, (value,) if target else given_values(recipe)[:MOST]))
                break
    return examples[:MOST]


def overlays(examples: Sequence[Example], module: TrainingModule, title: str) -> Figure:
    """Draw the truth and the mask under each value as outlines on what is seen of it; a row for each example."""
    panels = [[(example, told) for told in example.told] for example in examples]
    if all(len(row) == 1 for row in panels):
        panels = [[panel for row in panels for panel in row]]
    columns = len(panels[0])
    shape = np.mean([example.case.shape[2:] for example in examples], axis=0)
    width = float(np.clip(_PANEL * shape[1] / shape[0], _PANEL / 2, 2 * _PANEL))
    figure = Figure(figsize=(width * columns + 0.3, (_PANEL + 0.6) * len(panels) + 0.6), facecolor="white", layout="constrained")
    axes = figure.subplots(len(panels), columns, squeeze=False)
    shown = seen_channels(module.recipe)
    training = module.training
    module.eval()
    for row, places in zip(panels, axes, strict=True):
        for (example, told), place in zip(row, places, strict=True):
            truth = example.case.truth_of(example.number, module.recipe, example.value)
            mask = module.segment(example.case, told, slice(example.number, example.number + 1))[0]
            _panel(place, as_seen([example.case.images[example.number, channel] for channel in shown]), truth, mask)
            if module.recipe.preprocessing.slice_axis == "acquired":
                place.invert_yaxis()
            dice = dice_score(mask, truth)
            words = [
                example.value,
                *([f"told {told}"] if told != example.value else []),
                *([f"Dice {dice:.2f}"] if dice is not None else []),
            ]
            place.set_title("\n".join(words), fontsize=8)
    module.train(training)
    figure.suptitle(f"validation slices, {title}", fontsize=9)
    lines = [Line2D([], [], color=_TRUTH, label="truth"), Line2D([], [], color=_MASK, label="mask")]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def curves(rows: Sequence[Row]) -> Figure:
    """Draw the loss of each epoch, and the Dice of each validation, mean and per value."""
    figure = Figure(figsize=(9, 3.6), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([row["epoch"] for row in rows], [row["loss"] for row in rows], color="black", marker=".", markersize=3)
    left.set(xlabel="epoch", ylabel="training loss")
    names = sorted({name for row in rows for name in row if name.startswith(MEAN_DICE)})
    for name in names:
        points = [(row["epoch"], row[name]) for row in rows if name in row]
        style = {"color": "black", "linewidth": 2.2} if name == MEAN_DICE else {"linewidth": 1.2}
        label = "mean" if name == MEAN_DICE else name.partition("/")[2]
        right.plot(*zip(*points, strict=True), marker=".", markersize=4, label=label, **style)
    best = max((row for row in rows if MEAN_DICE in row), key=lambda row: row[MEAN_DICE])
    right.axvline(best["epoch"], color="0.7", linewidth=1, zorder=0)
    right.set(
        xlabel="epoch", ylabel="validation Dice", ylim=(-0.02, 1.02), title=f"best: {best[MEAN_DICE]:.3f} in epoch {best['epoch']:.0f}"
    )
    right.title.set_fontsize(9)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    right.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


def _panel(axes: Axes, image: NDArray[np.float32], truth: NDArray[np.bool_], mask: NDArray[np.bool_]) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, origin="lower", interpolation="nearest")
    for outline, colour in ((truth, _TRUTH), (mask, _MASK)):
        for one in outline:
            if one.any():
                axes.contour(np.pad(one, 1).astype(float), levels=[0.5], colors=[colour], linewidths=1, extent=_extent(one.shape))
    axes.set_xlim(-0.5, image.shape[1] - 0.5)
    axes.set_ylim(-0.5, image.shape[0] - 0.5)
    axes.set_xticks([])
    axes.set_yticks([])


def _extent(shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Where the middles of the padded voxels lie: a mask at the border gets a closed outline."""
    return -1, shape[1], -1, shape[0]


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)

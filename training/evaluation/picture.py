"""The grid of pictures, true value by given value: what the metadata do to a mask, seen (the paper's Figure 5).

A row is one case, a column what the network was told; each picture is the slice with the most of the truth, the truth
outlined, the mask outlined over it, and the 3D Dice of the whole case.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from napari_film.comparison.surface import box
from napari_film.volume import slicing

from ..cases.case import Case
from ..recipe import Recipe
from ..scoring import truths_of
from ..seen import as_seen, seen_channels
from .parts import SEEN, group_of
from .score import Runner, Score

_TRUTH, _MASK = "#ffd84a", "#39c6ff"
_LEAST_MM = 40.0
_INCHES = 2.3
_SEEN = {
    "axial": "anterior is up, the patient's right is on the right",
    "coronal": "superior is up, the patient's right is on the right",
    "sagittal": "superior is up, anterior is on the right",
    "acquired": "as its file has it, the first row at the top",
}


@dataclass(frozen=True, eq=False)
class Row:
    """One case of the grid.

    ``image`` is (C, H, W), the channels that are shown; ``truth`` is (H, W), ``masks`` (H, W) by given value, ``dice`` the
    case's; ``step`` is mm along H and W.
    """

    true: str
    subject: str
    image: NDArray[np.floating[Any]]
    truth: NDArray[np.bool_]
    masks: Mapping[str, NDArray[np.bool_]]
    dice: Mapping[str, float]
    step: tuple[float, float]


def typical(scores: Sequence[Score], class_name: str) -> dict[str, Score]:
    """For each true value the case of median Dice when told it, the lower of two; the first model counts that tested it.

    Values come in the order in which they are given, so that a grid has its diagonal. Subjects that were trained on are shown where
    there are no others.
    """
    found: dict[str, list[Score]] = {}
    for score in scores:
        if score.class_name == class_name and score.given == score.true and score.measures.dice is not None:
            found.setdefault(score.true, []).append(score)
    chosen = {}
    order = [value for value in dict.fromkeys(score.given for score in scores) if value in found]
    for true in order:
        own = found[true]
        own = [score for score in own if group_of(score.part) != SEEN] or own
        first = [score for score in own if score.model == own[0].model]
        chosen[true] = sorted(first, key=lambda score: score.measures.dice or 0.0)[(len(first) - 1) // 2]
    return chosen


def make_rows(
    scores: Sequence[Score], class_name: str, cases: Sequence[Case], recipe: Recipe, runner_of: Callable[[str], Runner]
) -> list[Row]:
    """Segment the slice shown of each typical case again, under every value.

    Parameters
    ----------
    scores
        Of the whole evaluation.
    runner_of
        Gives the networks of a model by its name.
    """
    number = list(dict.fromkeys(score.class_name for score in scores)).index(class_name)
    rows = []
    for true, score in typical(scores, class_name).items():
        case, runner = cases[score.case], runner_of(score.model)
        prepared = runner.open(case)
        truth = prepared.from_source(truths_of(case, prepared.reference, recipe)[true][number])
        index = int(truth.sum(axis=(1, 2)).argmax())
        predictions = runner.predictions(prepared, case, order=[index])
        reference = prepared.reference.data
        planes = [reference if reference.ndim == 3 else reference[..., channel] for channel in seen_channels(recipe)]
        own = [s for s in scores if (s.model, s.case, s.true, s.class_name) == (score.model, score.case, true, class_name)]
        order = slicing(prepared.reference.grid, recipe.preprocessing.slice_axis)
        _, height, width = (prepared.reference.spacing[axis] for axis in order.axes)
        rows.append(
            Row(
                true,
                score.subject,
                np.stack([prepared.from_source(plane)[index] for plane in planes]).astype(np.float32),
                truth[index],
                {given: prepared.from_source(prediction.mask())[index] == number + 1 for given, prediction in predictions.items()},
                {s.given: s.measures.dice for s in own if s.measures.dice is not None},
                (height, width),
            )
        )
    return rows


def draw(rows: Sequence[Row], path: Path, *, title: str, slice_axis: str, target: bool) -> None:
    """Draw ``rows`` into a PNG at ``path``."""
    given = list(rows[0].masks)
    heights = [_height(row) for row in rows]
    size = (_INCHES * len(given) + 0.6, _INCHES * sum(heights) + 1.4)
    figure = Figure(figsize=size, dpi=150, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = np.asarray(figure.subplots(len(rows), len(given), squeeze=False, height_ratios=heights))
    for row, line in zip(rows, axes, strict=True):
        for value, place in zip(given, line, strict=True):
            _draw_one(place, row, value)
            if slice_axis == "acquired":
                place.invert_yaxis()
            if row is rows[0]:
                place.set_title(value, fontsize=9)
        line[0].set_ylabel(f"{row.true}\n({row.subject})", fontsize=9)
    outlines = [Line2D([], [], color=_TRUTH, linewidth=2.4, label="truth"), Line2D([], [], color=_MASK, label="mask")]
    axes[0, 0].legend(
        handles=outlines, loc="upper left", fontsize=7, facecolor="black", framealpha=0.6, edgecolor="none", labelcolor="white"
    )
    caption = (
        "Across: what the network was told; down: what is true (framed: told the truth). Each row is the case of median Dice for its "
        f"value, in its slice with the most of the truth ({_SEEN[slice_axis]}). Numbers are the 3D Dice of the case"
        f"{'; off the diagonal, its overlap with the truth of another structure' if target else ''}."
    )
    figure.suptitle(textwrap.fill(title, 28 * len(given)), fontsize=10)
    figure.supxlabel(textwrap.fill(caption, 38 * len(given)), fontsize=7)
    canvas.print_png(str(path))


def _height(row: Row) -> float:
    """Height of a row's pictures, in widths."""
    window = _window(row)
    tall, wide = ((side.stop - side.start) * step for side, step in zip(window, row.step, strict=True))
    return float(tall / wide)


def _draw_one(place: Axes, row: Row, given: str) -> None:
    window = _window(row)
    image, truth, mask = as_seen(row.image[:, *window]), row.truth[window], row.masks[given][window]
    place.imshow(image, cmap="gray", vmin=0, vmax=1, origin="lower", aspect=row.step[0] / row.step[1])
    for outline, colour, width in ((truth, _TRUTH, 2.4), (mask, _MASK, 1.0)):
        if outline.any():
            place.contour(outline.astype(float), levels=[0.5], colors=[colour], linewidths=[width])
    place.text(
        0.03,
        0.03,
        f"{row.dice[given]:.2f}" if given in row.dice else "–",
        transform=place.transAxes,
        color="white",
        fontsize=9,
        bbox={"facecolor": "black", "alpha": 0.6, "pad": 1.5, "linewidth": 0},
    )
    if given == row.true:
        for side in place.spines.values():
            side.set(edgecolor=_TRUTH, linewidth=2.5)
    place.set_xticks([])
    place.set_yticks([])


def _window(row: Row) -> tuple[slice, slice]:
    """What of the slice is shown: all that any outline needs, half as much again around it, at least 40 mm where there are."""
    seen = np.logical_or.reduce([row.truth, *row.masks.values()])
    sides = box(seen[None])[1:]
    middles = [(side.start + side.stop) / 2 for side in sides]
    half = max(*((side.stop - side.start) * step * 0.75 for side, step in zip(sides, row.step, strict=True)), _LEAST_MM / 2)
    found = []
    for middle, step, length in zip(middles, row.step, seen.shape, strict=True):
        reach = half / step
        start = int(min(max(0, np.floor(middle - reach)), max(0, np.floor(length - 2 * reach))))
        found.append(slice(start, int(min(length, np.ceil(start + 2 * reach)))))
    return found[0], found[1]

"""The numbers of several masks side by side, and how they are written down.

For a *context* field the masks are one structure under several condition values: they are held against A, against one
another, and against a reference where there is one. For a *target* field they are several structures, which have nothing to
agree on: volumes and components alone. Conventions, those for empty masks too, are those of `scores`.
"""

import csv
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_film.comparison.agreement import agreement
from napari_film.comparison.scores import component_count, dice, surface_scores, volume_ml
from napari_film.comparison.surface import Surface

TOLERANCE_MM = 2.0
"""How far apart two surfaces may be and still count as one. A voxel or two of most scans, so that a contour drawn one voxel
further out costs nothing; a person sets it to what two readers of the structure at hand differ by."""


@dataclass(frozen=True)
class Row:
    """The numbers of one mask; None where they were not asked for, inf for a distance to nothing."""

    name: str
    volume_ml: float
    components: int
    dice_a: float | None = None
    dice: float | None = None
    surface_dice: float | None = None
    hausdorff95: float | None = None


@dataclass(frozen=True)
class Column:
    """One number of a row: its attribute, its heading for a person and for a file, and what it means."""

    key: str
    title: str
    heading: str
    about: str


NUMBERS = (
    Column("volume_ml", "Volume (ml)", "volume_ml", "Volume of the mask."),
    Column("components", "Parts", "components", "Connected parts; voxels that touch by a corner are connected."),
    Column("dice_a", "Dice A", "dice_a", "Overlap with mask A: 1 where they are the same, 0 where they share nothing."),
    Column("dice", "Dice ref.", "dice_reference", "Overlap with the reference: 1 where they are the same, 0 where they share nothing."),
    Column(
        "surface_dice",
        "NSD",
        "surface_dice_reference",
        "Normalised surface distance to the reference, or surface Dice: the part of both surfaces that lies within the tolerance of "
        "the other, 1 where all of it does.",
    ),
    Column(
        "hausdorff95",
        "HD95 (mm)",
        "hausdorff95_mm",
        "95 % Hausdorff distance to the reference: 95 % of either surface lies closer to the other than this; – where one is empty.",
    ),
)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A row per mask, and what they say together.

    Parameters
    ----------
    rows
        In the order of the masks.
    agreement
        (K, K) Dice of each mask with each; None for a target field, for a single mask, or where it was cancelled.
    best
        The row that fits the reference best; None where there is no reference or no single one fits best.
    tolerance_mm
        Of the surface Dice.
    notices
        Sentences for a person.
    """

    rows: tuple[Row, ...]
    agreement: NDArray[np.float64] | None = None
    best: int | None = None
    tolerance_mm: float = TOLERANCE_MM
    notices: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The numbers that any row has; the title of the surface distance tells the tolerance."""
        return tuple(
            replace(column, title=f"{column.title} ({self.tolerance_mm:g} mm)") if column.key == "surface_dice" else column
            for column in NUMBERS
            if any(getattr(row, column.key) is not None for row in self.rows)
        )


def compare(
    masks: Mapping[str, NDArray[np.bool_]],
    spacing: tuple[float, float, float],
    *,
    a: NDArray[np.bool_] | None,
    reference: NDArray[np.bool_] | None,
    role: Literal["context", "target"],
    tolerance: float = TOLERANCE_MM,
    voxel_mm3: float | None = None,
    cancelled: Callable[[], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Hold masks against each other.

    Parameters
    ----------
    masks
        By name, all of one shape, (N, H, W) in any one layout. Each is asked for once, when it is its turn, so that a mapping
        may make them as they are asked for; but for one eighth of its size none is kept.
    spacing
        mm along their axes.
    a, reference
        Masks of the same shape; None where there is none. A target field has no use for them.
    role
        Of the field whose values the masks are.
    tolerance
        Of the surface Dice, mm.
    voxel_mm3
        Volume of a voxel; None for that of the spacing, which is the same but where voxels are sheared.
    cancelled
        Asked before each step; what was compared until then is given back.
    progress
        Told how many of how many steps are done.
    """
    if role == "target":
        a = reference = None
    together = role == "context" and len(masks) > 1
    truth = None if reference is None else Surface(reference, spacing)
    steps = len(masks) + together
    rows: list[Row] = []
    packed: list[NDArray[np.uint8]] = []
    for name in masks:
        if cancelled is not None and cancelled():
            break
        mask = masks[name]
        within, far = (None, None) if truth is None else surface_scores(Surface(mask, spacing), truth, tolerance=tolerance)
        rows.append(
            Row(
                name,
                volume_ml(mask, math.prod(spacing) if voxel_mm3 is None else voxel_mm3),
                component_count(mask),
                None if a is None else dice(mask, a),
                None if reference is None else dice(mask, reference),
                within,
                far,
            )
        )
        if together:
            packed.append(np.packbits(mask, axis=-1))
        if progress is not None:
            progress(len(rows), steps)
    if len(rows) < len(masks):
        return Comparison(tuple(rows), tolerance_mm=tolerance, notices=(f"Cancelled: {len(rows)} of {len(masks)} are compared.",))
    best, notices = _best(rows, truth)
    matrix = _agreement(packed, mask.shape, cancelled) if together else None
    if together and matrix is None:
        notices = (*notices, "Cancelled: how far the masks agree with one another was not computed.")
    elif together and progress is not None:
        progress(steps, steps)
    return Comparison(tuple(rows), matrix, best, tolerance, notices)


def shown(value: float | int | str | None) -> str:
    """A number of a table for a person: as many decimals as its size deserves, "–" where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.{1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3}f}"


def to_text(comparison: Comparison) -> str:
    """Write a table for the clipboard, separated by tabs, as it is shown."""
    lines = [["Name", *(column.title for column in comparison.columns)]]
    lines += [[row.name, *(shown(getattr(row, column.key)) for column in comparison.columns)] for row in comparison.rows]
    return "\n".join("\t".join(line) for line in lines) + "\n"


def to_csv(comparison: Comparison) -> str:
    """Write a table for a file, numbers in full: always the same columns, then the agreement with each mask.

    Cells are empty for what was not asked for; a distance to nothing is "inf".
    """
    names = [row.name for row in comparison.rows]
    matrix = comparison.agreement
    lines: list[list[object]] = [["name", *(column.heading for column in NUMBERS), "tolerance_mm", "fits_best"]]
    if matrix is not None:
        lines[0] += [f"agreement_{name}" for name in names]
    for index, row in enumerate(comparison.rows):
        numbers = [getattr(row, column.key) for column in NUMBERS]
        tolerance = comparison.tolerance_mm if row.surface_dice is not None else None
        fits = int(index == comparison.best) if row.dice is not None else None
        lines.append([row.name, *numbers, tolerance, fits, *(matrix[index].tolist() if matrix is not None else ())])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _agreement(packed: list[NDArray[np.uint8]], shape: tuple[int, ...], cancelled: Callable[[], bool] | None) -> NDArray[np.float64] | None:
    def slices(bits: NDArray[np.uint8]) -> Callable[[int], NDArray[np.bool_]]:
        return lambda i: np.unpackbits(bits[i], axis=-1, count=shape[-1]).view(np.bool_)

    return agreement([slices(bits) for bits in packed], shape[0], cancelled=cancelled)


def _best(rows: list[Row], truth: Surface | None) -> tuple[int | None, tuple[str, ...]]:
    """The row that overlaps most with the reference, whose surface is ``truth``, or why none does."""
    if truth is None:
        return None, ()
    if not len(truth.points):
        return None, ("The reference has no foreground in this image.",)
    scores = [row.dice or 0.0 for row in rows]
    if len(rows) < 2:
        return None, ()
    if max(scores) == 0:
        return None, ("None of the masks overlaps with the reference.",)
    if scores.count(max(scores)) > 1:
        return None, ("No mask fits the reference better than all others: the highest Dice is there more than once.",)
    return scores.index(max(scores)), ()

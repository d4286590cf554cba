"""A table holds what the scores say, marks one best mask, and can be read back."""

import csv
import io
import math
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from scipy import ndimage

from napari_film.comparison.scores import dice, hausdorff95, surface_dice
from napari_film.comparison.table import Comparison, Row, compare, shown, to_csv, to_text

SPACING = (3.0, 0.8, 1.1)


def blob(seed: int) -> np.ndarray:
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(8, 19, 21)), 2) > 0.03


@pytest.fixture
def masks() -> dict[str, np.ndarray]:
    return {"astrocytoma": blob(1), "ependymoma": blob(2) | blob(5), "none": np.zeros_like(blob(1))}


class Made(Mapping[str, np.ndarray]):
    """Makes masks when they are asked for, and remembers how often that was."""

    def __init__(self, masks: dict[str, np.ndarray]) -> None:
        self._masks = masks
        self.asked: list[str] = []

    def __getitem__(self, name: str) -> np.ndarray:
        self.asked.append(name)
        return self._masks[name].copy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)


def test_a_row_holds_the_scores_of_its_mask(masks: dict[str, np.ndarray]) -> None:
    truth, steps = blob(5), []
    made = Made(masks)
    found = compare(made, SPACING, a=blob(1), reference=truth, role="context", tolerance=1.5, progress=lambda *done: steps.append(done))
    assert made.asked == list(masks)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for row, (name, mask) in zip(found.rows, masks.items(), strict=True):
        assert row == Row(
            name,
            pytest.approx(mask.sum() * 3.0 * 0.8 * 1.1 / 1000),
            ndimage.label(mask, np.ones((3, 3, 3)))[1],
            dice(mask, blob(1)),
            dice(mask, truth),
            surface_dice(mask, truth, SPACING, tolerance=1.5),
            hausdorff95(mask, truth, SPACING),
        )
    assert np.array_equal(found.agreement, [[dice(one, other) for other in masks.values()] for one in masks.values()])
    assert (found.best, found.tolerance_mm, found.notices) == (1, 1.5, ())
    assert math.isinf(found.rows[2].hausdorff95)


def test_without_a_and_reference_masks_have_each_other(masks: dict[str, np.ndarray]) -> None:
    found = compare(masks, SPACING, a=None, reference=None, role="context")
    assert [column.key for column in found.columns] == ["volume_ml", "components"]
    assert found.agreement is not None
    assert found.best is None


def test_structures_have_nothing_to_agree_on(masks: dict[str, np.ndarray]) -> None:
    found = compare(masks, SPACING, a=blob(1), reference=blob(5), role="target")
    assert [column.key for column in found.columns] == ["volume_ml", "components"]
    assert (found.agreement, found.best) == (None, None)
    assert [row.volume_ml for row in found.rows] == [
        row.volume_ml for row in compare(masks, SPACING, a=None, reference=None, role="context").rows
    ]


def test_a_single_mask_has_no_rival() -> None:
    found = compare({"one": blob(1)}, SPACING, a=None, reference=blob(1), role="context")
    assert (found.agreement, found.best, found.notices) == (None, None, ())
    assert found.rows[0].dice == 1


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (blob(2), r"the highest Dice is there more than once"),
        (np.zeros_like(blob(1)), r"The reference has no foreground in this image"),
        (~blob(2) & ~blob(1), r"None of the masks overlaps"),
    ],
)
def test_where_none_fits_best_it_is_said_why(reference: np.ndarray, message: str) -> None:
    found = compare({"one": blob(2), "same": blob(2), "other": blob(1)}, SPACING, a=None, reference=reference, role="context")
    assert found.best is None
    assert len(found.notices) == 1
    assert message in found.notices[0]


def test_sheared_voxels_have_the_volume_that_is_told() -> None:
    found = compare({"one": blob(1)}, SPACING, a=None, reference=None, role="context", voxel_mm3=2.0)
    assert found.rows[0].volume_ml == blob(1).sum() * 2.0 / 1000


@pytest.mark.parametrize(("after", "rows"), [(0, 0), (2, 2), (3, 3)])
def test_what_was_compared_before_a_cancel_is_kept(masks: dict[str, np.ndarray], after: int, rows: int) -> None:
    asked = iter(range(100))
    found = compare(masks, SPACING, a=None, reference=blob(5), role="context", cancelled=lambda: next(asked) >= after)
    whole = compare(masks, SPACING, a=None, reference=blob(5), role="context")
    assert found.rows == whole.rows[:rows]
    assert found.agreement is None
    assert found.notices[0].startswith("Cancelled: ")
    assert found.best == (whole.best if rows == 3 else None)


def test_no_masks_make_an_empty_table() -> None:
    found = compare({}, SPACING, a=None, reference=blob(1), role="context")
    assert found.rows == ()
    assert to_text(found) == "Name\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.inf, "–"),
        (3, "3"),
        (1543.212, "1543.2"),
        (15.4321, "15.43"),
        (0.98765, "0.988"),
        (0.0, "0.000"),
        ("spleen", "spleen"),
    ],
)
def test_numbers_have_the_decimals_they_deserve(value: float | None, text: str) -> None:
    assert shown(value) == text


TABLE = Comparison(
    (Row('ependymoma, "NOS"', 12.3456789, 3, 1.0, 0.1 + 0.2, 1 / 3, math.inf), Row("none", 0.0, 0, 0.5, 0.25, 0.0, 12.0)),
    np.array([[1, 0.5], [0.5, 1]]),
    0,
    2.0,
)


def test_a_file_holds_numbers_in_full() -> None:
    first, second = csv.DictReader(io.StringIO(to_csv(TABLE)))
    assert list(first) == [
        "name",
        "volume_ml",
        "components",
        "dice_a",
        "dice_reference",
        "surface_dice_reference",
        "hausdorff95_mm",
        "tolerance_mm",
        "fits_best",
        'agreement_ependymoma, "NOS"',
        "agreement_none",
    ]
    assert first["name"] == 'ependymoma, "NOS"'
    assert [float(first[key]) for key in ("volume_ml", "dice_reference", "surface_dice_reference", "hausdorff95_mm")] == [
        12.3456789,
        0.1 + 0.2,
        1 / 3,
        math.inf,
    ]
    assert (first["fits_best"], second["fits_best"], second["agreement_none"]) == ("1", "0", "1.0")


def test_a_file_leaves_open_what_was_not_asked_for() -> None:
    lines = to_csv(Comparison((Row("spleen", 1.5, 1),))).splitlines()
    assert lines[1] == "spleen,1.5,1,,,,,,"


def test_the_clipboard_holds_what_is_shown() -> None:
    assert to_text(TABLE) == (
        "Name\tVolume (ml)\tParts\tDice A\tDice ref.\tNSD (2 mm)\tHD95 (mm)\n"
        'ependymoma, "NOS"\t12.35\t3\t1.000\t0.300\t0.333\t–\n'
        "none\t0.000\t0\t0.500\t0.250\t0.000\t12.00\n"
    )
    assert to_text(Comparison((Row("spleen", 1.5, 1),))) == "Name\tVolume (ml)\tParts\nspleen\t1.500\t1\n"

"""An evaluation as a person reads it: plain tables, and beside each number how sure it is."""

from collections.abc import Mapping, Sequence

from .bootstrap import Estimate
from .evaluation import Evaluation
from .measures import SUMMARISED
from .paired import PairedTest
from .summary import ClassSummary

_HEADINGS = {
    "surface_dice": "surface Dice",
    "hd95_mm": "HD95 (mm)",
    "volume_error_ml": "volume error (ml)",
    "volume_error_percent": "volume error (%)",
    "absolute_volume_error_percent": "volume error without sign (%)",
    "false_positive_ml": "false positive (ml) where the truth is empty",
}


def told(evaluation: Evaluation) -> str:
    """Several lines of plain text."""
    lines: list[str] = []
    for group, classes in evaluation.summary.items():
        for name, summary in classes.items():
            lines += ["", f"{name}; subjects {group}; mean [95 % interval], n subjects", *_of_class(summary, evaluation)]
    return "\n".join(lines)


def _of_class(summary: ClassSummary, evaluation: Evaluation) -> list[str]:
    lines: list[str] = []
    if "dice" in summary.measures:
        what = "Dice (row: true value, column: value given)"
        if evaluation.target:
            what += "; off the diagonal it is the overlap with another structure's truth, and no error"
        lines += ["", what, *_crossed(summary.measures["dice"])]
    for word, meaning in (
        ("gain", "Dice told the true value, less the same network without prior"),
        ("reliance", "Dice lost under a wrong value"),
        ("unknown", "Dice told unknown"),
    ):
        if rows := _rows_of(word, summary):
            lines += ["", f"{word}: {meaning}", *_lines(rows)]
    own = {
        measure: {true: row.get(true) for true, row in summary.measures[measure].items()}
        for measure in SUMMARISED
        if measure in summary.measures and measure != "dice"
    }
    if own:
        trues = list(next(iter(own.values())))
        rows = [["", *trues]] + [[_heading(measure, evaluation), *(_cell(row[true]) for true in trues)] for measure, row in own.items()]
        missed = [str(summary.missed[true].get(true, 0)) for true in trues]
        lines += ["", "told the true value", *_lines([*rows, ["cases missed (empty mask)", *missed]])]
    return lines


def _crossed(table: Mapping[str, Mapping[str, Estimate | None]]) -> list[str]:
    columns = list(next(iter(table.values()), {}))
    counts = {true: max((estimate.n for estimate in row.values() if estimate is not None), default=0) for true, row in table.items()}
    rows = [["", "n", *columns]]
    rows += [[true, str(counts[true]), *(_cell(row[column]) for column in columns)] for true, row in table.items()]
    return _lines(rows)


def _rows_of(word: str, summary: ClassSummary) -> list[list[str]]:
    """The table of one of the three words; empty where there is nothing to say."""
    if word == "gain" and summary.gain:
        head = ["", "n", "told", "without prior", "gain", "p", "p (Holm)"]
        return [head] + [
            [true, str(gain.gain.n), f"{gain.told.mean:.3f}", f"{gain.without.mean:.3f}", _cell(gain.gain), *_p(gain.test)]
            for true, gain in summary.gain.items()
        ]
    if word == "reliance" and summary.reliance:
        found = [["", "told", "n", "Dice lost", "p", "p (Holm)"]]
        for true, reliance in summary.reliance.items():
            found += [[true, wrong, str(loss.lost.n), _cell(loss.lost), *_p(loss.test)] for wrong, loss in reliance.wrong.items()]
            if len(reliance.wrong) > 1:
                found.append([true, "mean of these", str(reliance.mean.n), _cell(reliance.mean), "", ""])
        return found
    if word == "unknown" and summary.unknown:
        return [["", "n", "Dice"]] + [[true, str(estimate.n), _cell(estimate)] for true, estimate in summary.unknown.items()]
    return []


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    number = _number(estimate.mean)
    if estimate.low is None or estimate.high is None:
        return number
    return f"{number} [{_number(estimate.low)}, {_number(estimate.high)}]"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _p(test: PairedTest) -> tuple[str, str]:
    p, p_holm = (("<0.001" if value < 0.001 else f"{value:.3f}") for value in (test.p, test.p_holm))
    return p, p_holm if test.decidable else f"{p_holm} (n too small to tell)"


def _heading(measure: str, evaluation: Evaluation) -> str:
    return f"{_HEADINGS[measure]}, {evaluation.tolerance_mm:g} mm" if measure == "surface_dice" else _HEADINGS[measure]


def _lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of one width each, the first to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if not column else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

"""Figures as a table, ratios first, as plain text or as Markdown."""

from collections.abc import Iterable, Sequence

from benchmarks.figures import KINDS, Figure, Report

_TITLES = {
    "ratio": "Ratios (median of rounds; best: of the two minima)",
    "score": "Dice (median of trainings; in place of quartiles: lowest to highest)",
    "check": "Differences of probabilities",
    "rate": "The machine's ceiling: 3x3 convolution, 256 channels, channels_last, 1 x 256 x 128 x 128",
    "time": "Times",
    "memory": "Memory (MB of 10^6 bytes)",
}
_HEADINGS = ("case", "what", "median", "best", "quartiles", "runs", "to reach", "")
_NUMBERS = {2, 3, 4, 5}  # columns that are aligned to the right
_MISSED = "NOT REACHED"


def plain(reports: Sequence[Report]) -> str:
    """Tables for a terminal."""
    parts = []
    for title, rows in _tables(reports):
        widths = [max(len(row[column]) for row in (_HEADINGS, *rows)) for column in range(len(_HEADINGS))]
        lines = [_line(row, widths) for row in (_HEADINGS, *rows)]
        parts.append("\n".join([title, *lines]))
    return "\n\n".join([*parts, *_notes(reports)])


def markdown(reports: Sequence[Report]) -> str:
    """Tables for RESULTS.md."""
    parts = []
    for title, rows in _tables(reports):
        rule = ["---:" if column in _NUMBERS else "---" for column in range(len(_HEADINGS))]
        marked = [tuple(f"**{cell}**" if cell == _MISSED else cell for cell in row) for row in rows]
        parts.append("\n".join([f"**{title}**", "", *(f"| {' | '.join(row)} |" for row in (_HEADINGS, rule, *marked))]))
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in _notes(reports))])


def _tables(reports: Sequence[Report]) -> Iterable[tuple[str, list[tuple[str, ...]]]]:
    for kind in KINDS:
        rows = [_row(report.case, figure) for report in reports for figure in report.figures if figure.kind == kind]
        if rows:
            yield _TITLES[kind], rows


def _row(case: str, figure: Figure) -> tuple[str, ...]:
    spread = "" if figure.low is None or figure.high is None else f"{_number(figure, figure.low)} to {_number(figure, figure.high)}"
    claim = ""
    if figure.at_least is not None:
        claim = f"at least {_number(figure, figure.at_least)}"
    elif figure.at_most is not None:
        claim = f"at most {_number(figure, figure.at_most)}"
    verdict = {True: "reached", False: _MISSED, None: ""}[figure.reached]
    best = "" if figure.best is None else _number(figure, figure.best)
    value = f"{_number(figure, figure.median)} {figure.unit}".strip()
    return case, figure.what, value, best, spread, str(figure.runs), claim, verdict


def _number(figure: Figure, value: float) -> str:
    if figure.kind == "score":
        return f"{value:.3f}"
    if figure.kind == "check":
        return f"{value:.2g}"
    if figure.unit == "x":
        return f"{value:.2f}"
    return f"{value:.0f}" if figure.unit in ("MB", "GFLOP/s") or value >= 1000 else f"{value:.1f}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        cell.rjust(width) if column in _NUMBERS else cell.ljust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _notes(reports: Sequence[Report]) -> list[str]:
    return [f"{report.case}: {note}" for report in reports for note in report.notes]

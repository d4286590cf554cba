"""One thing that is wrong with a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]

_MOST = 4  # names that a sentence lists


@dataclass(frozen=True)
class Finding:
    """One sentence about a data set.

    Parameters
    ----------
    kind
        What sort of fault it is, for programs: "missing-file", "grid", "rare-value".
    severity
        "error" where ``fit`` would fail, or learn what is not so; "warning" where a person should look.
    where
        Which case: "cases.tsv, line 4", or the name of its first image; empty for the data set as a whole.
    text
        The sentence: what is seen, and what to do about it.
    """

    kind: str
    severity: Severity
    where: str
    text: str


def listed(names: Sequence[str]) -> str:
    """Name the first few of ``names``, and count the rest."""
    if len(names) <= _MOST:
        return ", ".join(names)
    return f"{', '.join(names[: _MOST - 1])} and {len(names) - _MOST + 1} more"


def counted(number: int, noun: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

"""Where a condition value is from: a file, a person, or nobody. A pure function of what is known about it."""

import math
from dataclasses import dataclass

from napari_film.bids import Found
from napari_film.fields import BY_SLICE, Value

YOU = "you"
DEFAULT = "default"
PROGRAM = "filled in by the program"


@dataclass(frozen=True)
class ValueOrigin:
    """``name`` is a file's name, YOU, DEFAULT or PROGRAM; ``contradicted`` is what a file says instead, where it says something else."""

    name: str
    contradicted: Found | None = None


def origin_of(value: Value, *, default: Value, found: Found | None, by_person: bool) -> ValueOrigin:
    """Tell where ``value`` is from.

    Parameters
    ----------
    value
        As it stands in the form.
    default
        What stands there before anybody chose.
    found
        What a file says; None where none does.
    by_person
        Whether a person chose it.
    """
    agrees = found is not None and _same(value, found.value)
    contradicted = None if agrees else found
    if value == BY_SLICE:  # whoever chose that, the number of each slice is the program's
        return ValueOrigin(PROGRAM, contradicted)
    if by_person:
        return ValueOrigin(YOU, contradicted)
    if found is not None and agrees:
        return ValueOrigin(found.origin)
    return ValueOrigin(DEFAULT if _same(value, default) else YOU, contradicted)  # what neither a file nor the model says, a person does


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return math.isclose(one, other, rel_tol=1e-9)

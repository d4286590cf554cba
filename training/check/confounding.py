"""Fields that cannot be told from where a scan was made, or from another field.

A field and a place (site, scanner, manufacturer, data set) or two fields are *confounded* where Cramér's V is at least 0.5 and the
permutation test's p at most 0.01 (association.py); or where, whatever chance could do, every value of the field comes from one
place only, with three subjects or more of each. Only context fields count: which structure is labelled where is no property of a
patient, and data sets that are labelled for one structure each are what a target field is for.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from ..cases.record import Record
from .association import Association, associate
from .columns import Column
from .finding import Finding
from .subjects import FEWEST

LEAST_V = 0.5
MOST_P = 0.01

Pairs = list[tuple[str, str]]


def confounding_findings(fields: Sequence[Column], others: Sequence[Column], records: Sequence[Record]) -> Iterator[Finding]:
    """Hold each of ``fields`` against the places among ``others`` and against the fields after it; alike places are told once."""
    places = [column for column in others if column.is_place and column.few_values(records)]
    sources = Column("data set", tuple((record.source,) if record.source else () for record in records))
    for index, field in enumerate(fields):
        seen: list[Pairs] = []
        for other in (*fields[index + 1 :], *([] if field.is_place else [*places, sources])):
            if field.is_place and other.is_place:
                continue
            pairs = _pairs(field, other, records)
            groups = _grouped(pairs)
            if groups not in seen:
                seen.append(groups)
                finding = _finding(field, other, pairs)
                if finding is not None:
                    yield finding


def _pairs(field: Column, other: Column, records: Sequence[Record]) -> Pairs:
    """Value of one and of the other, once per subject that has both."""
    found = {
        (record.subject, one, two)
        for record, ones, twos in zip(records, field.values, other.values, strict=True)
        for one in ones
        for two in twos
    }
    return [(one, two) for _, one, two in sorted(found)]


def _grouped(pairs: Pairs) -> Pairs:
    """Give the same with the second column's values numbered in their order: two places that always go together are one."""
    numbers: dict[str, str] = {}
    return [(one, numbers.setdefault(two, str(len(numbers)))) for one, two in pairs]


def _finding(field: Column, other: Column, pairs: Pairs) -> Finding | None:
    table = Counter(pairs)
    rows, columns = Counter(one for one, _ in pairs), Counter(two for _, two in pairs)
    if len(rows) < 2 or len(columns) < 2:
        return None
    found = associate(pairs)
    apart = len(table) == len(rows) and min(rows.values()) >= FEWEST
    if not apart and (found.v < LEAST_V or found.p > MOST_P):
        return None

    def surprise(cell: tuple[str, str]) -> tuple[float, str, str]:
        expected = rows[cell[0]] * columns[cell[1]] / len(pairs)
        return -(table[cell] - expected) / expected**0.5, *cell

    one, two = min(table, key=surprise)
    number, of = table[one, two], rows[one]
    beside, rest = columns[two] - number, len(pairs) - of
    share = f"All {of}" if number == of else f"{number} of the {of}"
    text = (
        f"{share} subjects with {field.name} {one} have {other.name} {two}, and {beside} of the {rest} others do ({_told(found)}): "
        f"the network could learn the {other.name} in place of the {field.name}; add cases, or score each {other.name} alone."
    )
    return Finding("confounded", "warning", "", text)


def _told(found: Association) -> str:
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.2g}"
    return f"Cramér's V {found.v:.2f}, {p}"

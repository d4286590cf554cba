"""The metadata of a data set, column by column: what each case says, spelled as the recipe spells it."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_film.fields import folded

from ..cases.record import Record
from ..recipe.fields import CategoricalRecipe

_NOTHING = {"", "n/a", "na", "nan", "-", "--", "?", "unknown"}
_PLACES = {
    *("site", "centre", "center", "institution", "hospital", "clinic", "scanner", "manufacturer", "vendor", "station", "device"),
    *("magneticfieldstrength", "dataset"),
}
_NO_METADATA = {"participantid", "subject", "sessionid", "session", "rater", "split", "filename", "suffix"}
_MOST_VALUES = 20


@dataclass(frozen=True)
class Column:
    """What each record says of one field, or of one column that is no field: its values, or nothing where it is missing."""

    name: str
    values: tuple[tuple[str, ...], ...]

    def subjects(self, records: Sequence[Record]) -> dict[str, set[str]]:
        """Give the subjects of each value; one with several sessions may have several."""
        found: dict[str, set[str]] = defaultdict(set)
        for record, values in zip(records, self.values, strict=True):
            for value in values:
                found[value].add(record.subject)
        return dict(sorted(found.items()))

    @property
    def is_place(self) -> bool:
        """Whether it says where, or on what machine, a scan was made."""
        words = [word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", self.name)]
        return bool({*words, *(word.removesuffix("s") for word in words), "".join(words)} & _PLACES)

    @property
    def is_number(self) -> bool:
        """Whether all its values are numbers."""
        return all(_is_number(value) for values in self.values for value in values)

    def few_values(self, records: Sequence[Record]) -> bool:
        """Whether it sorts the subjects into groups, rather than telling each of them apart."""
        found = self.subjects(records)
        people = len(set().union(*found.values())) if found else 0
        return 0 < len(found) <= min(_MOST_VALUES, max(2, people // 2))


def labelled_names(record: Record, field: CategoricalRecipe) -> tuple[str, ...]:
    """Give the values of a target field that a case has labels for, as written: in its column, or of its whole data set; or nothing."""
    text = cell(record, field.column) if field.column else ""
    return tuple(name.strip() for name in text.split(";") if name.strip()) or record.labelled


def cell(record: Record, column: str) -> str:
    """What stands in a column, whatever its case; nothing where there is none."""
    return {folded(name): text for name, text in record.cells.items()}.get(folded(column), "")


def says_nothing(text: str) -> bool:
    """Whether a cell is how people write that a value is missing."""
    return text.strip().casefold() in _NOTHING


def other_columns(records: Sequence[Record], taken: Mapping[str, object], *, sidecars: bool) -> list[Column]:
    """Give the columns that are not ``taken``; those of JSON sidecars only where asked for."""
    names = dict.fromkeys(name for record in records for name in record.cells if name not in taken)
    found = []
    for name in names:
        origins = {record.origins.get(name, "") for record in records}
        if folded(name) in _NO_METADATA:
            continue  # they say which case it is
        if sidecars or not any(origin.casefold().endswith(".json") for origin in origins):
            cells = [record.cells.get(name, "").strip() for record in records]
            found.append(Column(name, tuple(() if says_nothing(cell) else (cell,) for cell in cells)))
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

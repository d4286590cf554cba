"""What a file says of a field, understood as the model spells it: codes by their Levels, numbers by their Units."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_film.bids.files import BidsError
from napari_film.bids.units import convert, standard_unit
from napari_film.fields import UNKNOWN, CategoricalField, ContinuousField, MetadataError, Value, folded

_WORDS_FOR_NOTHING = ("", "n/a", "na", "nan", "null", "none", "-", "?", "missing", "not available", "not reported", UNKNOWN)
_NOTHING = {folded(word) for word in _WORDS_FOR_NOTHING}
_LONGEST = 100  # characters of a value that a notice repeats
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-zµμ°]+)?")
_AGE_STRING = re.compile(r"(\d{3})([DWMY])")  # DICOM's: 045Y
_AGE_UNITS = {"D": "days", "W": "weeks", "M": "months", "Y": "years"}

# What BIDS and DICOM settle between them, so that no file needs to say it
_DICOM_KEYS = {"age": "PatientAge", "sex": "PatientSex", "weight": "PatientWeight", "height": "PatientSize"}
_SEXES = {"f": "female", "m": "male", "o": "other", "female": "F", "male": "M", "other": "O"}
_STANDARD_LEVELS: Mapping[str, Mapping[str, str]] = {"sex": _SEXES, "patientsex": _SEXES}


@dataclass(frozen=True)
class Statement:
    """What one file says under one key.

    ``levels`` tells what codes mean, and ``unit`` what a number is measured in (empty: not said). ``remark`` is a sentence
    about why the file says nothing, where it should have said something.
    """

    key: str
    value: Any
    origin: str
    levels: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    remark: str = ""

    @property
    def text(self) -> str:
        """The value as it stands in the file, on one line; cut where no value is that long."""
        text = self.value.strip() if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)
        text = " ".join(text.split())
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

    @property
    def measure(self) -> str:
        """The unit of a number: as the file says, else as the standard does."""
        return self.unit or standard_unit(folded(self.key))


def statement_about(field: CategoricalField | ContinuousField, said: Mapping[str, Statement]) -> Statement | None:
    """Look up what is said of ``field``: by its name, by its aliases in their order, then by DICOM's name for it."""
    keys = {folded(key): key for key in reversed(list(said))}  # the first of several that differ in case alone
    for name in (field.name, *field.aliases, _DICOM_KEYS.get(folded(field.name))):
        if name is not None and folded(name) in keys:
            return said[name if name in said else keys[folded(name)]]
    return None


def understood(statement: Statement, field: CategoricalField | ContinuousField) -> tuple[Value, str | None] | None:
    """Give the value as the schema spells it and a notice where it had to be clamped; None if the file says that nothing is known.

    Raises
    ------
    BidsError
        If the model does not take what the file says.
    """
    value = statement.value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, list | dict):
        what = "a list" if isinstance(value, list) else "a group of names with values"
        raise BidsError(f"{statement.origin} gives {what} as {statement.key}, where one value is expected; it is not used.")
    if isinstance(field, CategoricalField):
        return _choice(statement, field)
    return _number(statement, field)


def _choice(statement: Statement, field: CategoricalField) -> tuple[Value, None] | None:
    level = _level(statement)
    if field.bins and (measured := _measured(statement)) is not None:
        return _bin(statement, field, *measured), None
    for spelling in _spellings(statement, level):
        try:
            value = field.resolve(spelling)[0]
        except MetadataError:
            continue
        if value == UNKNOWN:
            return None
        if not _opposite(spelling, value):
            return value, None
    if says_nothing(statement.text) or (level is not None and says_nothing(level)):
        return None
    meaning = f" ({level})" if level and level != statement.text else ""
    raise BidsError(
        f"{statement.origin} says {field.name} is {statement.text!r}{meaning}, which this model does not know; choose {field.expected}."
    )


def _bin(statement: Statement, field: CategoricalField, number: float, unit: str) -> Value:
    """The bin of a number, told in the field's unit."""
    converted = convert(number, unit, field.unit)
    if converted is None:
        raise BidsError(f"{statement.origin} gives {field.name} in {unit!r}, which cannot be told in {field.unit!r}; it is not used.")
    return field.resolve(converted)[0]


def _spellings(statement: Statement, level: str | None) -> Iterator[str]:
    """What the vocabulary may call the value: 3 is 3.0 and, of teslas, 3T too."""
    text = statement.text
    yield text
    number = _plain_number(text)
    if number is not None:
        yield f"{number:.12g}"
        if number.is_integer():
            yield f"{number:.1f}"
        yield f"{number:.12g} {statement.measure}"
    if isinstance(statement.value, bool):
        yield "yes" if statement.value else "no"
    if level is not None:
        yield level


def _level(statement: Statement) -> str | None:
    """What the Levels of a table's JSON, or the standard's, say that the value means."""
    text, number = statement.text, _plain_number(statement.text)
    if text in statement.levels:
        return statement.levels[text]
    for code, meaning in statement.levels.items():
        if folded(code) == folded(text) or (number is not None and _plain_number(code) == number):
            if not _opposite(code, text):
                return meaning
    return _STANDARD_LEVELS.get(folded(statement.key), {}).get(folded(text))


def _number(statement: Statement, field: ContinuousField) -> tuple[Value, str | None] | None:
    level = _level(statement)
    if says_nothing(statement.text) or (level is not None and says_nothing(level)):
        return None
    measured = _measured(statement)
    if measured is None:
        raise BidsError(f"{statement.origin} says {field.name} is {statement.text!r}, which is no number; give {field.expected}.")
    number, unit = measured
    converted = convert(number, unit, field.unit)
    if converted is None:
        raise BidsError(f"{statement.origin} gives {field.name} in {unit!r}, which cannot be told in {field.unit!r}; it is not used.")
    stands = "" if converted == number else f" It stands there as {number:.12g} {unit}."
    try:
        value, notice = field.resolve(converted)
    except MetadataError as error:
        raise BidsError(f"{statement.origin} says {error}{stands}") from error
    return value, notice and f"{statement.origin} says {notice}{stands}"


def _measured(statement: Statement) -> tuple[float, str] | None:
    """The number that a statement is, and its unit; None where it is none."""
    text, unit = statement.text, statement.measure
    if match := _AGE_STRING.fullmatch(text):
        text, unit = match[1], _AGE_UNITS[match[2]]
    elif (match := _NUMBER.fullmatch(text)) and match[2]:
        text, unit = match[1], match[2]
    number = _plain_number(text)
    return None if number is None or not math.isfinite(number) else (number, unit)


def says_nothing(text: str) -> bool:
    """Whether ``text`` is one of the ways to say that a value is not known."""
    return folded(text) in _NOTHING


def _plain_number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    return float(text) if match and not match[2] else None


def _opposite(one: str, other: str) -> bool:
    """Whether two spellings are different numbers, although they are alike without a sign."""
    numbers = _plain_number(one), _plain_number(other)
    return None not in numbers and numbers[0] != numbers[1]

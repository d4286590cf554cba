"""The fields of a model's metadata: what they take, and the columns of the condition that they become.

A *categorical* field of K condition values takes K columns (one-hot), and one more when the model was trained with an explicit
*unknown*. A *continuous* field takes two columns, the shares (1 - s, s) of the two ends of its range, and likewise one more for
*unknown*. The columns of a field always sum to 1: nothing is ever encoded as all zeros.

A continuous field can be *per slice*: its value is another one in each slice, and the program fills it in. Until the slice is
known its columns hold `FILLED_IN`.
"""

import bisect
import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_film.errors import InputError

Value = str | float
Role = Literal["target", "context"]

UNKNOWN = "unknown"
"""The condition value of a field that a model was trained to do without."""

BY_SLICE = "by slice"
"""The condition value of a field that is per slice: in each slice its own, which the program fills in."""

FILLED_IN = -1.0
"""What stands in the columns of such a field until the slice is known; no encoded value is below zero."""


class MetadataError(InputError):
    """Metadata that the schema of a model cannot take."""


class _Field(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    role: Role = "context"
    unknown: bool = False
    description: str = ""
    aliases: tuple[str, ...] = ()  # what files call it, besides its name, such as "Manufacturer"

    def _unknown_or_raise(self) -> str:
        if not self.unknown:
            raise MetadataError(f"{self.name} is {UNKNOWN!r}, but this model was not trained without it; choose {self.expected}.")
        return UNKNOWN

    @property
    def expected(self) -> str:
        """What a person can give, in words."""
        raise NotImplementedError


class CategoricalField(_Field):
    """A closed vocabulary; encoded one-hot in the order of ``values``, *unknown* last.

    ``synonyms`` maps a value to other spellings of it. Spellings are compared without regard to case, and with spaces,
    hyphens and underscores alike. ``bins`` are the edges of a field made of a number, in ``unit``: value k stands for the
    numbers from edge k - 1 (it is one of them) to edge k (it is not), the first and the last without an end.
    """

    kind: Literal["categorical"] = "categorical"
    values: tuple[str, ...]
    synonyms: Mapping[str, tuple[str, ...]] = {}
    bins: tuple[float, ...] = ()
    unit: str = ""

    @model_validator(mode="after")
    def _spellings_are_distinct(self) -> Self:
        if not self.values:
            raise ValueError(f"field {self.name!r} has no values")
        if set(self.synonyms) - set(self.values):
            raise ValueError(f"field {self.name!r} has synonyms for values that it lacks: {sorted(set(self.synonyms) - set(self.values))}")
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"field {self.name!r} has a value twice: {', '.join(self.values)}")
        owners: dict[str, str] = {folded(UNKNOWN): UNKNOWN}
        for value in self.values:
            for spelling in (value, *self.synonyms.get(value, ())):
                if not spelling.strip():
                    raise ValueError(f"field {self.name!r} has an empty value")
                owner = owners.setdefault(folded(spelling), value)
                if owner != value:
                    raise ValueError(f"field {self.name!r}: the spelling {spelling!r} stands for both {owner!r} and {value!r}")
        return self

    @model_validator(mode="after")
    def _bins_fit_the_values(self) -> Self:
        if not self.bins:
            return self
        if len(self.bins) != len(self.values) - 1:
            raise ValueError(f"field {self.name!r} has {len(self.bins)} bins between {len(self.values)} values; one fewer is needed")
        if not all(map(math.isfinite, self.bins)) or sorted(set(self.bins)) != list(self.bins):
            raise ValueError(f"field {self.name!r} has the bins {', '.join(map(str, self.bins))}, which are no rising numbers")
        for spelling in (*self.values, *(spelling for several in self.synonyms.values() for spelling in several)):
            if _number(spelling) is not None:
                raise ValueError(f"field {self.name!r} has bins and calls a value {spelling!r}; give it a name that is no number")
        return self

    @property
    def width(self) -> int:
        """Columns of the condition that this field takes."""
        return len(self.values) + self.unknown

    @property
    def choices(self) -> tuple[str, ...]:
        """What a person can choose from: the vocabulary, and *unknown* where the model was trained with it."""
        return (*self.values, UNKNOWN) if self.unknown else self.values

    def resolve(self, value: Value) -> tuple[str, str | None]:
        """Give the vocabulary's spelling of ``value``, or the bin of a number, and no notice.

        Raises
        ------
        MetadataError
            If it is not in the vocabulary, or unknown where the model was not trained for that.
        """
        wanted = folded(str(value))
        if wanted == folded(UNKNOWN):
            return self._unknown_or_raise(), None
        for known in self.values:
            if wanted in {folded(known), *(folded(spelling) for spelling in self.synonyms.get(known, ()))}:
                return known, None
        if self.bins and (number := _number(value)) is not None:
            return self.values[bisect.bisect_right(self.bins, number)], None
        raise MetadataError(f"{self.name} is {str(value)!r}, which this model does not know; choose {self.expected}.")

    def encode(self, value: Value) -> list[float]:
        """One-hot columns of a value as ``resolve`` spells it."""
        return [float(choice == value) for choice in self.choices]

    @property
    def expected(self) -> str:
        """What a person can give, in words."""
        number = f", or a number{' in ' + self.unit if self.unit else ''}" if self.bins else ""
        return "one of: " + ", ".join(self.choices) + number

    @property
    def example(self) -> str:
        """A value that it takes."""
        return self.values[0]

    @property
    def default(self) -> Value:
        """What stands before anybody chose: *unknown* where the model was trained with it, else the first value."""
        return UNKNOWN if self.unknown else self.values[0]


class ContinuousField(_Field):
    """A number, encoded as its shares (1 - s, s) of both ends, and a column that is 1 where it is *unknown*.

        s = (value - minimum) / (maximum - minimum)

    ``outside`` says what happens to a value outside the range: it is refused, or clamped to the nearer end, and the
    person is told.

    ``per_slice`` says what the program fills in for a field whose value is `BY_SLICE`, slice by slice. "position" is how far
    along the slices a slice is, by its number alone, from the first (the minimum) to the last (the maximum):

        value of slice k of n = minimum + (maximum - minimum) · k / (n - 1)         the middle of the range where n = 1

    Such a field also takes a number, for all slices, and numbers with commas between, one for each slice in their order.
    """

    kind: Literal["continuous"] = "continuous"
    minimum: float
    maximum: float
    unit: str = ""
    outside: Literal["refuse", "clamp"] = "refuse"
    per_slice: Literal["position"] | None = None

    @model_validator(mode="after")
    def _range_is_a_range(self) -> Self:
        if not (math.isfinite(self.minimum) and math.isfinite(self.maximum) and self.minimum < self.maximum):
            raise ValueError(f"field {self.name!r} has the range {self.minimum} to {self.maximum}, which is none")
        if self.role == "target":
            raise ValueError(f"field {self.name!r} is a target, which only a categorical field can be")
        return self

    @property
    def width(self) -> int:
        """Columns of the condition that this field takes."""
        return 2 + self.unknown

    def resolve(self, value: Value) -> tuple[Value, str | None]:
        """Give ``value`` as a number inside the range, and a notice if it had to be clamped.

        A field that is per slice may also answer `BY_SLICE`, or its numbers with commas between, one for each slice.

        Raises
        ------
        MetadataError
            If it is no finite number, outside a range that refuses, or unknown where the model was not trained for that.
        """
        if isinstance(value, str) and folded(value) == folded(UNKNOWN):
            return self._unknown_or_raise(), None
        if self.per_slice and isinstance(value, str):
            if folded(value) == folded(BY_SLICE):
                return BY_SLICE, None
            if "," in value:
                return self._numbers(value)
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise MetadataError(f"{self.name} is {str(value)!r}, which is no number; give {self.expected}.")
        inside = min(max(number, self.minimum), self.maximum)
        if inside == number:
            return number, None
        if self.outside == "refuse":
            raise MetadataError(f"{self.name} is {number:.12g}, outside of what this model was trained on; give {self.expected}.")
        return inside, f"{self.name} is {number:.12g}, outside of what this model was trained on; {inside:.12g} is used instead."

    def _numbers(self, text: str) -> tuple[str, str | None]:
        """Resolve one number for each slice."""
        values: list[str] = []
        notices: dict[str, None] = {}
        for place, word in enumerate(text.split(","), start=1):
            if not word.strip():
                raise MetadataError(f"{self.name} has no number for slice {place}; give one for each slice, or {BY_SLICE!r}.")
            number, notice = self.model_copy(update={"per_slice": None}).resolve(word.strip())
            values.append(written(number))
            notices |= {notice: None} if notice else {}
        return ",".join(values), " ".join(notices) or None

    def encode(self, value: Value) -> list[float]:
        """Columns of a value as ``resolve`` gives it; of numbers with commas between, those of each slice in turn."""
        if isinstance(value, str) and "," in value:
            words = (word if word == UNKNOWN else float(word) for word in value.split(","))
            return [column for word in words for column in self.encode(word)]
        if value == BY_SLICE:
            return [FILLED_IN] * self.width
        if isinstance(value, str):
            return [0.0, 0.0, 1.0]
        share = (value - self.minimum) / (self.maximum - self.minimum)
        return [1 - share, share, 0.0] if self.unknown else [1 - share, share]

    def value_at(self, k: int, n: int) -> float:
        """Give the value of slice ``k`` of ``n``, by its position; see the class."""
        return self.minimum + (self.maximum - self.minimum) * (k / (n - 1) if n > 1 else 0.5)

    @property
    def default(self) -> Value:
        """What stands before anybody chose: `BY_SLICE` where the program fills it in, *unknown* where trained with it, else the middle."""
        if self.per_slice:
            return BY_SLICE
        return UNKNOWN if self.unknown else (self.minimum + self.maximum) / 2

    @property
    def example(self) -> str:
        """A value that it takes."""
        return f"{(self.minimum + self.maximum) / 2:.12g}"

    @property
    def expected(self) -> str:
        """What a person can give, in words."""
        number = " ".join(filter(None, (f"a number from {self.minimum:.12g} to {self.maximum:.12g}", self.unit)))
        others = [f"{BY_SLICE!r}", "one number per slice, with commas between"] if self.per_slice else []
        others += [UNKNOWN] if self.unknown else []
        return ", or ".join((number, *others))


AnyField = Annotated[CategoricalField | ContinuousField, Field(discriminator="kind")]


def folded(spelling: str) -> str:
    """Give what two spellings of one name or value have in common: no case, and no spaces, hyphens and underscores."""
    lower = spelling.strip().casefold()
    return "".join(character for character in lower if character not in " -_") or lower  # "-" can be a value too


def written(value: Value) -> str:
    """Give ``value`` as text that is read as the same number; not 0.30000000000000004 where fewer digits say it."""
    if not isinstance(value, float | int | np.number):
        return str(value)
    short = f"{value:.12g}"
    return short if float(short) == value else str(float(value))


def _number(value: Value) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None

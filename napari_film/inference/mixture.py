"""Metadata that are not sure: a weight for each value of one field.

    expected   p(mask) = sum over values v of  p(v) p(mask | v)        one run of the network per value, averaged
    blended    p(mask | sum over values v of  p(v) condition(v))       one run, under a condition that training never met

Weights are whole percents that sum to 100, so that an average of 256ths is exact: floor(sum of percent · q / 100). A mixture
is of a context field: of a target, which says what is looked for, no average makes sense.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from napari_film.conditioning import Metadata, MetadataSchema
from napari_film.fields import UNKNOWN, CategoricalField, MetadataError, Value
from napari_film.header import Header
from napari_film.volume import pieces

Mode = Literal["expected", "blended"]


class Mixture(BaseModel):
    """How probable each value of ``field`` is, in whole percents; values that are not named have none."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    field: str
    percent: Mapping[str, int]
    mode: Mode = "expected"

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if any(weight < 0 for weight in self.percent.values()) or sum(self.percent.values()) != 100:
            raise ValueError(f"the weights of {self.field} are {dict(self.percent)}; whole percents that sum to 100 are expected")
        return self

    @classmethod
    def parse(cls, text: str, *, schema: MetadataSchema, mode: Mode = "expected") -> "Mixture":
        """Read ``FIELD: VALUE=PERCENT, VALUE=PERCENT``, with values spelled in any way that ``schema`` knows.

        A pair that holds a comma stands in double quotes.

        Raises
        ------
        MetadataError
            If the text is not of this form, the field takes no weights, or the weights are none or do not sum to 100.
        """
        written, colon, pairs = text.partition(":")
        if not colon:
            raise MetadataError(f"The weights are given as {text!r}; write {_form(schema)}.")
        name = max((field.name for field in schema if text.startswith(f"{field.name}:")), key=len, default=written.strip())
        field = _weighable(schema, name)
        if text.startswith(f"{name}:"):  # a name can hold a colon of its own
            pairs = text[len(name) + 1 :]
        percent: dict[str, int] = {}
        for pair in _split(pairs):
            spelling, equals, weight = pair.rpartition("=")
            if not equals:
                raise MetadataError(f"A weight of {field.name} is given as {pair!r}; write {_form(schema)}.")
            value, number = _spelled(field, spelling), weight.strip().removesuffix("%").rstrip()
            if not (number.isascii() and number.isdigit() and len(number) <= 3):
                raise MetadataError(f"The weight of {value} is {weight.strip()!r}; give a whole percent from 0 to 100.")
            if value in percent:
                raise MetadataError(f"{value} has two weights; give it one.")
            percent[value] = int(number)
        if sum(percent.values()) != 100:
            raise MetadataError(f"The weights of {field.name} sum to {sum(percent.values())}; give whole percents that sum to 100.")
        return cls(field=field.name, percent=percent, mode=mode)

    @property
    def text(self) -> str:
        """The weights above 0 as :meth:`parse` reads them."""
        return f"{self.field}: " + ", ".join(_quoted(f"{value}={weight}") for value, weight in self.percent.items() if weight)

    @property
    def off_distribution(self) -> bool:
        """Whether the network is run under a condition that training cannot have met."""
        return self.mode == "blended" and sum(weight > 0 for weight in self.percent.values()) > 1

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person must be told of the mask."""
        if not self.off_distribution:
            return ()
        return (f"The values of {self.field} are blended: no image was trained with such metadata, so the mask is off the distribution.",)

    def components(self, schema: MetadataSchema, metadata: Mapping[str, Value]) -> list[tuple[int, Metadata]]:
        """Percent above 0 and metadata of each value, in the vocabulary's order; the rest is as ``metadata`` say.

        A value of the field itself in ``metadata`` gives way to the weights.

        Raises
        ------
        MetadataError
            If the schema takes no weights for the field, lacks one of its values, or does not take ``metadata``.
        """
        field = _weighable(schema, self.field)
        percent: dict[str, int] = {}
        for spelling, weight in self.percent.items():
            value = _spelled(field, spelling)
            if value in percent:
                raise MetadataError(f"{value} has two weights; give it one.")
            percent[value] = weight
        return [(percent[value], schema.resolve({**metadata, field.name: value})) for value in field.values if percent.get(value)]

    def blended_condition(self, schema: MetadataSchema, metadata: Mapping[str, Value]) -> NDArray[np.float32]:
        """Condition vector (M,), the sum of the values' conditions by their weights; raises as :meth:`components`."""
        parts = [percent * schema.encode(each.values).astype(np.float64) for percent, each in self.components(schema, metadata)]
        return np.asarray(sum(parts) / 100, dtype=np.float32)

    def thresholds(self, header: Header, metadata: Mapping[str, Value]) -> tuple[int, ...]:
        """Thresholds per class, 256ths: the mean by weight of those of the values, rounded, half of a 256th up.

        Raises as :meth:`components`.
        """
        parts = self.components(header.metadata_schema, metadata)
        each = zip(*(header.thresholds_for(part.values) for _, part in parts), strict=True)
        return tuple((sum(percent * own for (percent, _), own in zip(parts, owns, strict=True)) + 50) // 100 for owns in each)


def mix(planes: Sequence[NDArray[np.uint8]], percent: Sequence[int], *, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Mean floor(sum of percent · q / 100) of probabilities in 256ths, arrays of one shape; into ``out`` or a new array.

    Exact: 100 · 255 fits into 16 bits. Nothing but the result is as large as the arrays.

    Raises
    ------
    ValueError
        If the percents are not one per array, or do not sum to 100.
    """
    if len(planes) != len(percent) or sum(percent) != 100 or min(percent, default=0) < 0:
        raise ValueError(f"percents {tuple(percent)} for {len(planes)} arrays; expected one each, which sum to 100")
    arrays = [np.asarray(plane) for plane in planes]
    out = np.empty(arrays[0].shape, dtype=np.uint8) if out is None else out
    for *parts, target in zip(*(pieces(array.T) for array in arrays), pieces(out.T), strict=True):
        total = np.zeros(target.shape, dtype=np.uint16)
        for part, weight in zip(parts, percent, strict=True):
            total += np.multiply(part, np.uint16(weight), dtype=np.uint16)
        np.floor_divide(total, np.uint16(100), out=total)
        target[...] = total
    return out


def _weighable(schema: MetadataSchema, name: str) -> CategoricalField:
    """Give the field of that name, if its values can have weights."""
    field = schema[name]
    if field.role == "target":
        context = ", ".join(each.name for each in schema if each.role == "context" and isinstance(each, CategoricalField))
        raise MetadataError(
            f"{name} is what is looked for; weights are for context fields ({context or 'this model has none with values'})."
        )
    if not isinstance(field, CategoricalField):
        raise MetadataError(f"{name} is {field.expected}; weights are for fields with values to choose from.")
    return field


def _spelled(field: CategoricalField, spelling: str) -> str:
    value, _ = field.resolve(spelling)
    if value == UNKNOWN:
        raise MetadataError(f"{field.name} is {UNKNOWN!r} as a whole or not at all; give weights to: {', '.join(field.values)}.")
    return value


def _split(pairs: str) -> list[str]:
    try:
        return [pair for row in csv.reader(io.StringIO(pairs, newline=""), skipinitialspace=True) for pair in row]
    except csv.Error as error:
        raise MetadataError(f"The weights cannot be read ({error}); write them as VALUE=PERCENT, VALUE=PERCENT.") from error


def _quoted(pair: str) -> str:
    doubled = pair.replace('"', '""')
    return f'"{doubled}"' if any(character in pair for character in ',"\r\n') else pair


def _form(schema: MetadataSchema) -> str:
    for field in schema:
        if isinstance(field, CategoricalField) and field.role == "context":
            first, last = field.values[0], field.values[-1]
            return f"FIELD: VALUE=PERCENT, ..., for example {field.name}: " + (
                f"{first}=60, {last}=40" if last != first else f"{first}=100"
            )
    return "FIELD: VALUE=PERCENT, ..., for a context field; this model has none with values to choose from"

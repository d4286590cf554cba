"""What is wrong with the values of a recipe's fields: missing, not in the vocabulary, rare, all the same."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from napari_film.fields import UNKNOWN, MetadataError, folded

from ..cases.record import Record
from ..recipe import Recipe
from ..recipe.fields import CategoricalRecipe, FieldRecipe
from .columns import Column, cell, labelled_names, says_nothing
from .finding import Finding, Severity, counted, listed
from .spelling import nearest, spelled_alike
from .subjects import FEWEST, too_few

_SLIP = 0.1  # a misspelling has at most this part of the right spelling's subjects, unless only accents or spaces differ


def field_findings(records: Sequence[Record], recipe: Recipe) -> tuple[list[Finding], list[Column]]:
    """Tell what is wrong with each field of ``recipe``, and give the fields as columns, spelled as the vocabulary does.

    Those that the program fills in have no column.
    """
    findings: list[Finding] = []
    columns = []
    for field in recipe.fields:
        if field.filled_in:
            continue
        if isinstance(field, CategoricalRecipe) and field.role == "target":
            column, found = _target_column(field, records)
        else:
            column, found = _context_column(field, records)
        columns.append(column)
        findings += found
        if any(column.values):
            findings += _counts(column, field, records, recipe)
    return findings, columns


def column_findings(columns: Sequence[Column], records: Sequence[Record]) -> Iterator[Finding]:
    """Tell what is wrong with columns that no recipe has made a field of yet: they can only be held against themselves."""
    for column in columns:
        found = column.subjects(records)
        missing = [record.where for record, values in zip(records, column.values, strict=True) if not values]
        if not column.few_values(records) or len(missing) * 2 >= len(records) or too_few(records):
            continue
        if missing:
            text = f"{column.name} is missing in {counted(len(missing), 'case')} of {len(records)} ({listed(missing)}); fill it in."
            yield Finding("missing-value", "warning", missing[0], text)
        if len(found) == 1:
            (value,) = found
            yield Finding("constant-field", "warning", "", f"{column.name} is {value} in every case: nothing can be learned from it.")
            continue
        if column.is_number:
            continue
        slips = _slips(column, records)
        yield from slips.values()
        rare = {value: len(subjects) for value, subjects in found.items() if len(subjects) < FEWEST and value not in slips}
        for value, count in rare.items():
            yield _rare(column.name, value, count, "warning")


def _target_column(field: CategoricalRecipe, records: Sequence[Record]) -> tuple[Column, list[Finding]]:
    """Which values of the target field each case has labels for; nothing where the data do not say it, since then it has all."""
    findings: list[Finding] = []
    values = []
    for record in records:
        names = labelled_names(record, field)
        own = []
        for name in names:
            try:
                own.append(field.field().resolve(name)[0])
            except MetadataError as error:
                findings.append(_refused(field, name, str(error), [record]))
        values.append(tuple(own))
        if field.column and not names:
            text = f"Nothing in column {field.column!r} says which {field.name} is labelled; name the values, several between semicolons."
            findings.append(Finding("missing-value", "error", record.where, text))
    return Column(field.name, tuple(values)), findings


def _context_column(field: FieldRecipe, records: Sequence[Record]) -> tuple[Column, list[Finding]]:
    """What the core's reader understood of each case, and what it did not."""
    findings: list[Finding] = []
    values: list[tuple[str, ...]] = []
    missing: list[Record] = []
    refused: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        value = record.understood.get(field.name)
        values.append(() if value is None else (f"{value:g}" if isinstance(value, float) else value,))
        if field.name in record.refused:
            refused[cell(record, field.column or field.name)].append(record)
        elif value is None or value == UNKNOWN:
            values[-1] = ()
            missing.append(record)
    if missing:
        findings += _missing(field, missing, records)
    for text, found in refused.items():
        findings.append(_refused(field, text, found[0].refused[field.name], found))
    return Column(field.name, tuple(values)), findings


def _refused(field: FieldRecipe, text: str, told: str, records: Sequence[Record]) -> Finding:
    """Tell a value that the field does not take: a misspelling where it looks like one."""
    whose = f" ({listed([record.where for record in records])})" if len(records) > 1 else ""
    if says_nothing(text):
        return Finding("missing-value", "error", records[0].where, f"{field.name} is {text!r}{whose}; write n/a where it is not known.")
    near = nearest(text, field.values) if isinstance(field, CategoricalRecipe) else None
    if near is not None:
        advice = f"likely {near!r}: correct it, or make it a synonym in the recipe"
        return Finding("misspelt", "error", records[0].where, f"{field.name} is {text!r}{whose}, {advice}.")
    return Finding("value", "error", records[0].where, f"{told.rstrip('.')}{whose}.")


def _missing(field: FieldRecipe, missing: Sequence[Record], records: Sequence[Record]) -> Iterator[Finding]:
    column = field.column or field.name
    if len(missing) == len(records):
        text = f"{field.name} is missing in every case; it is read from the column {column!r}: name another one by column in the recipe."
        yield Finding("missing-value", "error", "", text)
    elif field.unknown:
        whose = listed([record.where for record in missing])
        text = f"{field.name} is missing in {counted(len(missing), 'case')} of {len(records)} ({whose}): the network is told unknown there."
        yield Finding("missing-value", "warning", missing[0].where, text)
    else:
        for record in missing:
            text = (
                f"{field.name} of {record.subject} is missing (column {column!r}); fill it in, or let the field be unknown in the recipe."
            )
            yield Finding("missing-value", "error", record.where, text)


def _counts(column: Column, field: FieldRecipe, records: Sequence[Record], recipe: Recipe) -> Iterator[Finding]:
    """Tell values that too few subjects have, and a field of which all have the same."""
    found = column.subjects(records)
    if too_few(records):
        return
    if len(found) == 1:
        (value,) = found
        yield Finding("constant-field", "warning", "", f"{field.name} is {value} in every case: the network cannot learn what it means.")
    elif isinstance(field, CategoricalRecipe) and recipe.training.split != "same":
        drawn = field == recipe.swapped() and not any(record.split for record in records)
        for value in field.values:
            count = len(found.get(value, ()))
            if count < FEWEST:
                yield _rare(field.name, value, count, "error" if drawn and count else "warning")


def _rare(name: str, value: str, count: int, severity: Severity) -> Finding:
    if not count:
        return Finding("rare-value", severity, "", f"No subject has {name} {value}; collect some, or take the value out of the recipe.")
    who = "Only 1 subject has" if count == 1 else f"Only {count} subjects have"
    needed = f"{FEWEST} are needed, one each for training, validation and test"
    text = f"{who} {name} {value}, and {needed}; collect more, or merge it with another."
    return Finding("rare-value", severity, "", text)


def _slips(column: Column, records: Sequence[Record]) -> dict[str, Finding]:
    """Findings by the value that is likely a misspelling of another one."""
    found = column.subjects(records)
    slips: dict[str, Finding] = {}
    for value in sorted(found, key=lambda value: (len(found[value]), value)):
        for other in sorted(found, key=lambda other: -len(found[other])):
            if other == value or other in slips or len(found[value]) > len(found[other]) or not spelled_alike(value, other):
                continue
            few = len(found[value]) < FEWEST or len(found[value]) <= _SLIP * len(found[other])
            if few or folded(value) == folded(other):
                where = next(record.where for record, values in zip(records, column.values, strict=True) if value in values)
                whose = f"{value!r} ({counted(len(found[value]), 'subject')}) and {other!r} ({len(found[other])})"
                text = f"{column.name} is {whose}, likely one value written in two ways; write it in one."
                slips[value] = Finding("misspelt", "warning", where, text)
                break
    return slips

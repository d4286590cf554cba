"""What is wrong with who is in which part of the split."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ..cases.case import SPLITS
from ..cases.record import Record
from ..recipe import Recipe
from .finding import Finding, counted, listed

FEWEST = len(SPLITS)
"""Subjects that a data set, and each value in it, needs: one for each part."""


def subject_findings(records: Sequence[Record], recipe: Recipe) -> Iterator[Finding]:
    """Tell cases without a subject, too few subjects, and what is wrong with a split that the data set says itself."""
    if recipe.training.split == "same":
        return
    if too_few(records):
        number = counted(len({record.subject for record in records}), "subject")
        text = f"There are cases of {number}, and {FEWEST} are needed, one each for training, validation and test; add more."
        yield Finding("few-subjects", "error", "", text)
    for record in records:
        if not record.subject:
            yield Finding(
                "subject", "error", record.where, "The case has no subject; name one, or cases of one person could be torn apart."
            )
        if record.split and record.split not in SPLITS:
            text = f"The split is {record.split!r}; write train, validation or test."
            yield Finding("split", "error", record.where, text)
    parts: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.subject and record.split in SPLITS and record.split not in parts[record.subject]:
            parts[record.subject].append(record.split)
    for record in records:
        found = parts.pop(record.subject, [])
        if len(found) > 1:
            text = (
                f"{record.subject} is in {' and '.join(found)}: what is learned of a person would be tested on the same; keep one of them."
            )
            yield Finding("split", "error", record.where, text)
    without = [record.where for record in records if not record.split]
    if without and len(without) < len(records):
        text = f"{counted(len(without), 'case')} of {len(records)} have no split ({listed(without)}); give it to all of them or to none."
        yield Finding("split", "error", without[0], text)


def too_few(records: Sequence[Record]) -> bool:
    """Whether there are fewer subjects than parts of a split, so that nothing can be said of their values."""
    return len({record.subject for record in records if record.subject}) < FEWEST

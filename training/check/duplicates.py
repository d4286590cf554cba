"""The same voxels twice by accident.

Several raters, several organs and several sessions of one subject are no accident: the same image stands in several lines then.
The same image under two subjects is one, since the subjects go into different parts of the split.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ..cases.record import Record
from ..recipe import Recipe
from .columns import labelled_names
from .finding import Finding, listed
from .measuring import Measured, Seen, named

_LEAST_MASK = 30  # voxels: smaller masks can be alike by chance


def duplicate_findings(seen: Sequence[Seen], recipe: Recipe) -> Iterator[Finding]:
    """Tell images and masks that stand under two subjects, channels that are one image, and cases that are listed twice."""
    told: set[frozenset[str]] = set()
    for kind, noun in (("same-image", "image"), ("same-mask", "mask")):
        for finding, subjects in _across_subjects(seen, kind, noun):
            if subjects not in told:
                told.add(subjects)
                yield finding
    yield from _channels(seen)
    yield from _cases(seen, recipe)


def _across_subjects(seen: Sequence[Seen], kind: str, noun: str) -> Iterator[tuple[Finding, frozenset[str]]]:
    owners: dict[str, list[tuple[Record, Measured]]] = defaultdict(list)
    for case in seen:
        for file in case.images.values() if kind == "same-image" else [case.mask]:
            if file is not None and not file.voxels.constant and (noun == "image" or _inside(file) >= _LEAST_MASK):
                owners[file.voxels.digest].append((case.record, file))
    for found in owners.values():
        subjects = frozenset(record.subject for record, _ in found)
        if len(subjects) > 1:
            first = {record.subject: file.name for record, file in reversed(found)}
            files = listed([f"{name} of {subject or 'nobody'}" for subject, name in sorted(first.items())])
            advice = "they could go into training and test at once" if noun == "image" else "at least one of them is not of its image"
            text = f"The {noun}s {files} hold the same voxels: {advice}; remove what was copied by accident."
            yield Finding(kind, "error", found[0][0].where, text), subjects


def _inside(mask: Measured) -> int:
    """Voxels that are not background."""
    return mask.voxels.count - mask.voxels.labels.get(0, 0)


def _channels(seen: Sequence[Seen]) -> Iterator[Finding]:
    for case in seen:
        first: dict[str, str] = {}
        for channel, image in case.images.items():
            if image.voxels.constant:
                continue
            other = first.setdefault(image.voxels.digest, channel)
            if other != channel:
                text = f"The channels {other} and {channel} of {named(case.record)} hold the same voxels; give each its own image."
                yield Finding("same-channel", "error", case.record.where, text)


def _cases(seen: Sequence[Seen], recipe: Recipe) -> Iterator[Finding]:
    """Tell cases with the files of another one: another rater's, or one that says of one mask which organs it has, is no copy."""
    field = recipe.swapped()
    first: dict[object, Record] = {}
    for case in seen:
        if case.mask is None or not case.images:
            continue
        files = tuple(file.voxels.digest for file in (*case.images.values(), case.mask))
        if field is None:  # nothing is known of the columns, so all must be the same
            said: object = tuple(sorted(case.record.cells.items()))
        else:
            said = labelled_names(case.record, field) if field.role == "target" else ()
        one = first.setdefault((case.record.subject, case.record.rater, said, files), case.record)
        if one is not case.record:
            text = f"Images and mask of {named(case.record)} are those of {one.where} once more: it would count twice; remove one of them."
            yield Finding("same-case", "warning", case.record.where, text)

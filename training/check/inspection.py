"""A data set looked at as a whole: its findings, what its images are like, and the preprocessing that they suggest."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from ..cases.record import Record
from ..recipe import Recipe
from .columns import other_columns
from .confounding import confounding_findings
from .duplicates import duplicate_findings
from .files import file_findings, grid_findings
from .finding import Finding, counted
from .labels import label_findings
from .measuring import measure
from .metadata import column_findings, field_findings
from .profile import Profile, profile_lines, take_profile
from .subjects import subject_findings
from .suggestion import Suggestion, suggest


@dataclass(frozen=True)
class Inspection:
    """What was found. ``findings`` are in the order of files, labels, copies, subjects, metadata; errors do not come first."""

    cases: int
    subjects: int
    findings: tuple[Finding, ...]
    profile: Profile | None
    suggestion: Suggestion | None

    @property
    def errors(self) -> int:
        """How many of the findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> str:
        """Give all of it for a program."""
        content = {
            "cases": self.cases,
            "subjects": self.subjects,
            "errors": self.errors,
            "warnings": len(self.findings) - self.errors,
            "findings": [asdict(finding) for finding in self.findings],
            "fingerprint": None
            if self.profile is None
            else {
                "images": self.profile.images,
                "spacing": [of.model_dump() for of in self.profile.spacing],
                "size": [of.model_dump() for of in self.profile.size],
                "intensity": {channel: of.model_dump() for channel, of in self.profile.intensity.items()},
                "foreground": None if self.profile.foreground is None else self.profile.foreground.model_dump(),
            },
            "suggestion": None if self.suggestion is None else asdict(self.suggestion),
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def lines(self) -> list[str]:
        """Give all of it for a person."""
        lines = [f"{counted(self.cases, 'case')} of {counted(self.subjects, 'subject')}", ""]
        for severity in ("error", "warning"):
            for finding in self.findings:
                if finding.severity == severity:
                    place = f"{finding.where}: " if finding.where and not finding.text.startswith(finding.where) else ""
                    lines.append(f"{severity:<7}  {place}{finding.text}")
        warnings = len(self.findings) - self.errors
        lines += [f"{counted(self.errors, 'error')}, {counted(warnings, 'warning')}" if self.findings else "Nothing is wrong with it."]
        if self.profile is not None:
            lines += ["", "The images as they are stored:", *(f"  {line}" for line in profile_lines(self.profile))]
        if self.suggestion is not None:
            lines += ["", "What they suggest for a recipe:", "", self.suggestion.toml()]
        return lines


def inspect(
    records: Sequence[Record],
    recipe: Recipe,
    *,
    guessed: bool = False,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Inspection:
    """Read everything that ``records`` name, once, and tell what is wrong with it.

    Parameters
    ----------
    records
        Lines of the data sets of a run.
    recipe
        Says which channels, classes and fields count.
    guessed
        The recipe was made up for the data (guess.py): it has no fields, so all columns are looked at.
    jobs
        Processes that read; each holds one volume at a time.
    progress
        Called with the number of records that are done.
    """
    frames = tuple(channel.name for channel in recipe.channels) if recipe.preprocessing.fourth_axis == "channels" else ()
    seen = measure(records, frames=frames, jobs=jobs, progress=progress)
    findings = [*file_findings(seen), *grid_findings(seen), *label_findings(seen, recipe), *duplicate_findings(seen, recipe)]
    findings += [*subject_findings(records, recipe), *_about_metadata(records, recipe, guessed=guessed)]
    profile = take_profile(seen, recipe.preprocessing.slice_axis)
    return Inspection(
        cases=len(records),
        subjects=len({record.subject for record in records}),
        findings=_once(findings),
        profile=profile,
        suggestion=None if profile is None else suggest(profile, seen, recipe),
    )


def _about_metadata(records: Sequence[Record], recipe: Recipe, *, guessed: bool) -> list[Finding]:
    if guessed:
        columns = other_columns(records, {}, sidecars=False)
        findings = list(column_findings(columns, records))
        grouping = [column for column in columns if column.few_values(records) and not column.is_place and not column.is_number]
        for column in grouping:
            findings += confounding_findings([column], columns, records)
        return findings
    findings, fields = field_findings(records, recipe)
    context = {field.name for field in recipe.fields if field.role == "context"}
    grouping = [column for column in fields if column.name in context and column.few_values(records)]
    taken = {field.column or field.name: None for field in recipe.fields}
    return [*findings, *confounding_findings(grouping, other_columns(records, taken, sidecars=True), records)]


def _once(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Leave out what several lines of one image (several raters) would say again."""
    return tuple({(finding.kind, finding.text): finding for finding in reversed(findings)}.values())[::-1]

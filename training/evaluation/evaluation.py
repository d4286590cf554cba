"""An evaluation: all scores, and what they say together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..cases.case import Case, given_values
from ..recipe import Recipe
from .bootstrap import Bootstrap
from .parts import NOT_KNOWN, SEEN, UNSEEN, group_of
from .replicate import Replicate
from .score import Score
from .summary import ClassSummary, summarise

_FEW_MODELS, _FEW_SUBJECTS = 5, 10


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Parameters
    ----------
    replicates
        The networks.
    recipe
        That they were trained by, with the data at hand.
    cases
        The data set; scores name its cases by index.
    data, data_hash
        Name of the data set, and the hash of its files and metadata.
    subjects, tolerance_mm, draws, seed
        As they were asked for.
    scores
        In the order of models and cases.
    summary
        By group of subjects (trained on or not) and class.
    notices
        Sentences for a person.
    """

    replicates: tuple[Replicate, ...]
    recipe: Recipe
    cases: tuple[Case, ...]
    data: str
    data_hash: str
    subjects: str
    tolerance_mm: float
    draws: int
    seed: int
    scores: tuple[Score, ...]
    summary: Mapping[str, Mapping[str, ClassSummary]]
    notices: tuple[str, ...]

    @property
    def target(self) -> bool:
        """Whether the values are those of a target field: several structures."""
        swapped = self.recipe.swapped()
        return swapped is not None and swapped.role == "target"


def summarise_groups(scores: Sequence[Score], recipe: Recipe, *, draws: int, seed: int) -> dict[str, dict[str, ClassSummary]]:
    """Summarise subjects that were trained on apart from those that were not."""
    swapped = recipe.swapped()
    target = swapped is not None and swapped.role == "target"
    bootstrap = Bootstrap(draws, seed)
    found = {}
    for group in (UNSEEN, NOT_KNOWN, SEEN):
        own = [score for score in scores if group_of(score.part) == group]
        if own:
            found[group] = summarise(own, given_values(recipe), bootstrap, target=target)
    return found


def notices_of(scores: Sequence[Score], left_out: Sequence[str], replicates: Sequence[Replicate]) -> tuple[str, ...]:
    """Sentences about which subjects were evaluated, and how far the intervals reach.

    Parameters
    ----------
    left_out
        Subjects that no network was evaluated on, because it was trained on them.
    """
    parts = {score.part for score in scores}
    told = []
    if "" in parts:
        told.append(
            "Whether the model was trained on these subjects cannot be told: there is no scores.json of its run beside it, "
            "and the data are not those of its training by their hash."
        )
    if left_out:
        shown = ", ".join(left_out[:5]) + (", ..." if len(left_out) > 5 else "")
        told.append(
            f"{len(left_out)} subject(s) are left out, since the model was trained on subjects of these names: {shown}; "
            "--subjects all evaluates them apart."
        )
    seen = {score.subject for score in scores if group_of(score.part) == SEEN}
    if seen:
        told.append(f"{len(seen)} subject(s) were trained on; their numbers stand apart, and say nothing of new subjects.")
    by_value: dict[str, set[str]] = {}
    for score in scores:
        if group_of(score.part) != SEEN:
            by_value.setdefault(score.true, set()).add(score.subject)
    order = [value for value in dict.fromkeys(score.given for score in scores) if value in by_value]
    few = [f"{value} ({len(by_value[value])})" for value in order if len(by_value[value]) < _FEW_SUBJECTS]
    if few:
        told.append(f"Fewer than {_FEW_SUBJECTS} subjects have {', '.join(few)}: their intervals are too narrow.")
    if len(replicates) == 1:
        told.append("With one model the intervals are of the subjects alone: they say nothing of what another training would have given.")
    elif len(replicates) < _FEW_MODELS:
        told.append(f"{len(replicates)} models are few to draw from: the intervals are too narrow in what they say of retraining.")
    return tuple(told)

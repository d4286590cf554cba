"""Which subjects a network was trained on: their scores say how well it remembers, and are kept apart.

A subject's *part* is ``train``, ``validation`` or ``test`` of the network's own split, ``new`` where it has none in it, and
empty where that is not known. It is known from ``scores.json`` of the run, beside the checkpoint; or, where the data are those
that the network was trained on (by their hash), by drawing the same split again; or else as the data set itself says.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_film.errors import InputError

from ..cases.case import Case
from ..recipe import Recipe
from ..splits import split_cases
from .replicate import Network, Replicate

SCORES = "scores.json"
SEEN, UNSEEN, NOT_KNOWN = "trained on", "not trained on", "not known whether trained on"
_OF_TRAINING = ("train", "validation")
_FIRST_LAST = ("test", "validation", "train")  # of a subject that is in several, as under split = "same", the last counts


def group_of(part: str) -> str:
    """Under which heading the subjects of ``part`` are summarised; validation chose epoch and thresholds, so it counts as seen."""
    return SEEN if part in _OF_TRAINING else UNSEEN if part else NOT_KNOWN


@dataclass(frozen=True)
class Parts:
    """The part of each subject, for the networks of one replicate; None where nothing is known."""

    of: Mapping[str, str] | None

    def part(self, case: Case) -> str:
        """Give the part of the subject of ``case``."""
        if self.of is None:
            return case.split
        return self.of.get(case.subject, "new")


def parts_of(replicate: Replicate, cases: Sequence[Case], recipe: Recipe, data_hash: str) -> Parts:
    """Find which of ``cases``, whose hash is ``data_hash``, the networks of ``replicate`` were trained on.

    A subject that one of the two was trained on counts as such for both.
    """
    found = [_split_of(network, cases, recipe, data_hash) for network in replicate.networks]
    known = [parts for parts in found if parts is not None]
    if len(known) < len(found):
        return Parts(None)
    joint: dict[str, str] = {}
    for subject in {subject for parts in known for subject in parts}:
        of_both = [parts.get(subject, "new") for parts in known]
        joint[subject] = next((part for part in (*_OF_TRAINING, "test") if part in of_both), "new")
    return Parts(joint)


def choose(cases: Sequence[Case], parts: Parts, wanted: str) -> list[tuple[int, str]]:
    """Choose the cases to evaluate, by index, each with its part.

    Parameters
    ----------
    wanted
        "test" takes subjects that the networks were not trained on, as far as that is known; "all" takes all; else the path of
        a text file with one subject a line.

    Raises
    ------
    InputError
        If nothing is left, or the file cannot be read or names a subject that is not there.
    """
    every = [(index, parts.part(case)) for index, case in enumerate(cases)]
    if wanted == "all":
        return every
    if wanted != "test":
        names = _listed(Path(wanted), {case.subject for case in cases})
        return [(index, part) for index, part in every if cases[index].subject in names]
    chosen = [(index, part) for index, part in every if part not in _OF_TRAINING]
    if not chosen:
        raise InputError(
            f"All {len({case.subject for case in cases})} subjects have names of subjects that the model was trained on; "
            "give --subjects all to evaluate them nonetheless, told apart."
        )
    return chosen


def _split_of(network: Network, cases: Sequence[Case], recipe: Recipe, data_hash: str) -> dict[str, str] | None:
    """The part of each subject of the network's training; None where it is not known."""
    try:
        content = json.loads((network.path.parent / SCORES).read_text(encoding="utf-8"))
        own = content["thresholds"] == [entry.model_dump(mode="json") for entry in network.header.thresholds]
        if own:  # else it is of another checkpoint that lies in the same folder
            return {str(subject): part for part in _FIRST_LAST for subject in content["subjects"][part]}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if data_hash != network.header.provenance.data_hash or network.header.provenance.seed is None:
        return None
    split = split_cases(cases, recipe.training.split, seed=network.header.provenance.seed)
    return {case.subject: part for part in _FIRST_LAST for case in getattr(split, part)}


def _listed(path: Path, there: set[str]) -> set[str]:
    """The subjects that the file names, as the data set spells them."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read; --subjects takes test, all, or a text file with one subject a line.") from error
    names = {line: line if line in there else f"sub-{line}" for line in lines if line}
    if missing := [line for line, name in names.items() if name not in there]:
        raise InputError(f"{path.name} names {missing[0]}, which is no subject of the data; correct the file.")
    if not names:
        raise InputError(f"{path.name} names no subject; write one a line.")
    return set(names.values())

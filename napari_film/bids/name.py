"""The names of BIDS files: entities (``key-value``), then a suffix, between underscores, then the ending.

sub-01_ses-2_ce-gadolinium_T1w.nii.gz = {sub: 01, ses: 2, ce: gadolinium}, suffix T1w
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_ENDINGS = (".nii.gz", ".nii", ".json", ".tsv")
_ENTITY = re.compile(r"([A-Za-z]+)-([A-Za-z0-9+]+)")
_WHO = {"sub", "ses"}  # say whose image it is, and nothing of its contrast

_FIT = 100
_OTHER_VALUE, _NO_VALUE, _CONTRAST_AGENT, _MOST_OTHERS = 45, 50, 40, 20


@dataclass(frozen=True)
class BidsName:
    """A file name taken apart.

    ``proper`` says whether it is made of entities and one suffix alone; ``suffix`` is empty where the last part is an entity.
    """

    entities: Mapping[str, str]
    suffix: str
    proper: bool

    @classmethod
    def of(cls, file_name: str) -> Self:
        """Take ``file_name``, without folders, apart; any name has some entities, or none."""
        parts = stem(file_name).split("_")
        entities = {match[1]: match[2] for part in parts if (match := _ENTITY.fullmatch(part))}
        suffix = "" if _ENTITY.fullmatch(parts[-1]) else parts[-1]
        return cls(entities, suffix, bool(suffix) and len(entities) == len(parts) - 1)

    def applies_to(self, other: "BidsName") -> bool:
        """Whether what a file of this name says holds for ``other`` too, by the inheritance principle."""
        return self.proper and other.proper and self.suffix == other.suffix and self.entities.items() <= other.entities.items()


def stem(file_name: str) -> str:
    """Give a file name without its ending."""
    for ending in _ENDINGS:
        if file_name.lower().endswith(ending):
            return file_name[: -len(ending)]
    return file_name


def likeness(file_name: str, suffix: str) -> int:
    """How well a BIDS file name fits a channel's ``suffix``, such as "T2w" or "ce-gadolinium_T1w": 100 exactly, 0 not at all.

    The suffix proper must be the same. An entity that the channel names and the file lacks, or has with another value, makes
    it less like; so does one that the channel does not name, a contrast agent (``ce-``) most of all. Subject and session do not
    count.
    """
    if not suffix:
        return 0
    name, wanted = BidsName.of(file_name.casefold()), BidsName.of(suffix.casefold())
    if not wanted.proper:  # no suffix as BIDS knows them, so it can only be the end of the name
        return _FIT if f"_{stem(file_name.casefold())}".endswith(f"_{suffix.casefold()}") else 0
    if name.suffix != wanted.suffix:
        return 0
    lost = 0
    for key, value in wanted.entities.items():
        if name.entities.get(key) != value:
            lost += _OTHER_VALUE if key in name.entities else _NO_VALUE
    others = name.entities.keys() - wanted.entities.keys() - _WHO
    lost += min(len(others - {"ce"}), _MOST_OTHERS) + _CONTRAST_AGENT * ("ce" in others)
    return max(1, _FIT - lost)

"""One line of a data set as it stands there: nothing is looked up, no file is opened, nothing is refused yet.

`check` tells what is wrong with records; `case.make_case` makes a case of one, or refuses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """Where the files of a case are said to be, and what is said of it.

    Parameters
    ----------
    where
        How a person finds it: "cases.tsv, line 4", or the name of the first image.
    subject, session, rater
        As they are written; empty where nothing is said.
    images
        File of each channel, by the channel's name; None where none was found.
    mask
        File of the mask; None where none was found.
    cells
        Metadata by column, as text.
    origins
        Where each cell stood: "participants.tsv", "sub-01_T1w.json", "cases.tsv, line 4".
    split
        "train", "validation" or "test" where the data set says it; empty where not.
    source
        Name of the data set.
    labelled
        Values of the target field that the mask has labels for; empty where nothing is said.
    """

    where: str
    subject: str
    images: Mapping[str, Path | None]
    mask: Path | None
    cells: Mapping[str, str]
    origins: Mapping[str, str]
    session: str = ""
    rater: str = ""
    split: str = ""
    source: str = ""
    labelled: tuple[str, ...] = ()

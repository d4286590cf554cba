"""One line of a data set as it stands there: no image is opened, and nothing is refused yet.

`check` tells what is wrong with records; `case.make_case` makes a case of one, or refuses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_film.fields import Value


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
        Metadata by column, as text; empty where a value is said to be missing.
    origins
        Where each cell stood: "participants.tsv", "sub-01_T1w.json", "cases.tsv, line 4".
    split
        "train", "validation" or "test" where the data set says it; empty where not.
    source
        Name of the data set.
    labelled
        Values of the target field that the mask has labels for; empty where nothing is said.
    understood
        Values of the recipe's context fields, by field, as the core's reader (the dock's) understands the cells.
    refused
        Fields that something is said of which the recipe does not take, and why: one sentence each.
    faults
        What else keeps the record from being used: one sentence each.
    notices
        What a person should know: a clamped number, a sidecar that cannot be read.
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
    understood: Mapping[str, Value] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

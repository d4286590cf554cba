"""What the files around an image say about it: its metadata, from BIDS and from dcm2niix, and how its name fits a channel.

Nothing here reads an image, and no file's content is an error: what cannot be used is told in a sentence.
"""

from napari_film.bids.files import read_text
from napari_film.bids.finding import Found, FoundMetadata, Said, find_metadata, statements_around, understand
from napari_film.bids.matching import Statement, says_nothing
from napari_film.bids.name import BidsName, likeness, stem

__all__ = [
    "BidsName",
    "Found",
    "FoundMetadata",
    "Said",
    "Statement",
    "find_metadata",
    "likeness",
    "read_text",
    "says_nothing",
    "statements_around",
    "stem",
    "understand",
]

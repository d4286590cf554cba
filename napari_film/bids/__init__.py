"""What the files around an image say about it: its metadata, from BIDS and from dcm2niix, and how its name fits a channel.

Nothing here reads an image, and no file's content is an error: what cannot be used is told in a sentence.
"""

from napari_film.bids.finding import Found, FoundMetadata, find_metadata
from napari_film.bids.name import likeness

__all__ = ["Found", "FoundMetadata", "find_metadata", "likeness"]

"""The images of a case as training, scoring and evaluation read them: NIfTI files, or pictures brought to the channels of the model."""

from collections.abc import Iterable
from pathlib import Path

from napari_film import picture
from napari_film.preprocessing import Preprocessing
from napari_film.volume import Volume


def read_images(paths: Iterable[Path], preprocessing: Preprocessing) -> list[Volume]:
    """Read the images of one case as inference does, one per channel or one for all; raises InputError."""
    return [picture.read_for_model(path, preprocessing)[0] for path in paths]

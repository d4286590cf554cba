"""Pictures (PNG, TIFF) as volumes of one slice, and brought to the channels of a model.

A picture of h rows and w columns is a `Volume` (I = w columns, J = h rows, K = 1), or (I, J, 1, channels) of a colour one, with the
identity for its affine: a pixel is 1 mm, and where it lies in a body is not known. Models for pictures have the slice axis "acquired",
whose rows and columns are those of the file; models for colour pictures have their channels along the fourth axis.

Orientation tags are not looked at, as napari's own readers do not.
"""

import os
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from napari_film.atomic import atomic_path
from napari_film.errors import InputError
from napari_film.preprocessing import Preprocessing
from napari_film.volume import Volume

ENDINGS = (".png", ".tif", ".tiff")
_FORMATS = ("PNG", "TIFF")  # whatever a file is called: of others Pillow starts programs (EPS)
_RED_GREEN_BLUE = 3
# What Pillow says of files that are none, or damaged.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, OverflowError, struct.error, Image.DecompressionBombError)
_GREATEST = {"b": 1, "u1": 255, "u2": 65535}  # what is white, or opaque, by type; of fractions it is 1


class PictureError(InputError):
    """A picture that cannot be read, or that a model cannot take."""


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` ends as a picture does."""
    return os.fspath(path).lower().endswith(ENDINGS)


def read_image(path: str | os.PathLike[str]) -> Volume:
    """Read a picture or a NIfTI file, by its ending; raises InputError."""
    from napari_film import nifti  # and nibabel: the dock knows what a picture is before it reads one

    return read(path) if is_picture(path) else nifti.read(path)


def read_for_model(path: str | os.PathLike[str], preprocessing: Preprocessing) -> tuple[Volume, tuple[str, ...]]:
    """Read a NIfTI file as it is, or a picture as `for_model` gives it; raises InputError, also where the model takes volumes."""
    from napari_film import nifti

    if not is_picture(path):
        return nifti.read(path), ()
    volume = read(path)
    if preprocessing.slice_axis != "acquired":
        raise PictureError(f"{volume.name} is a picture of two axes; the model takes volumes, in {preprocessing.slice_axis} slices.")
    return for_model(volume, preprocessing)


def read(path: str | os.PathLike[str]) -> Volume:
    """Read a picture: 8 or 16 bits, grey, RGB, either with alpha; the colours of a palette in place of their numbers.

    Of colours with 16 bits a value the upper eight are read.

    Raises
    ------
    PictureError
        If it cannot be read, has several pages, or colours of another kind, or of 16 bits a value of which the upper eight are 0.
    """
    return _volume(Path(path), labels=False)


def read_labels(path: str | os.PathLike[str]) -> Volume:
    """Read a picture as a mask, (I, J, 1): of a palette the numbers, which are its labels; raises PictureError."""
    volume = _volume(Path(path), labels=True)
    if volume.data.ndim == 4:
        raise PictureError(f"{volume.name} is a colour picture; a mask needs one label per pixel, so save it as grey values or a palette.")
    return volume


def write(path: str | os.PathLike[str], mask: NDArray[Any]) -> None:
    """Write the labels ``mask`` (I, J, 1) as a grey picture of I columns and J rows, whole or not at all.

    Raises
    ------
    PictureError
        If the ending is not one of `ENDINGS`, the mask has several slices, or a label needs more than 8 bits.
    """
    path = Path(path)
    if not is_picture(path):
        raise PictureError(f"The picture is to be written to {path.name}; give a name that ends in {', '.join(ENDINGS)}.")
    if mask.ndim != 3 or mask.shape[2] != 1:
        raise PictureError(f"A mask of {' x '.join(map(str, mask.shape))} voxels is no picture; write it to a .nii.gz file.")
    if mask.size and not 0 <= mask.min() <= mask.max() <= 255:
        raise PictureError(f"The mask has labels from {mask.min()} to {mask.max()}, and a picture holds 0 to 255; write a .nii.gz file.")
    with atomic_path(path) as temporary:
        picture = Image.fromarray(np.ascontiguousarray(mask[:, :, 0].T, dtype=np.uint8))
        picture.save(temporary, format="PNG" if path.suffix.lower() == ".png" else "TIFF")


def for_model(volume: Volume, preprocessing: Preprocessing) -> tuple[Volume, tuple[str, ...]]:
    """Bring a picture to the channels that ``preprocessing`` takes, where that can be done in one way only.

    Grey is repeated for a model of three channels, and three equal channels are grey; an alpha channel that is opaque
    everywhere is left out; 16 bits and fractions from 0 to 1 become the range of 8 bits where all channels have a window
    within 0 to 255. (Where a model normalises by mean and standard deviation, no range matters.)

    Parameters
    ----------
    volume
        (I, J, 1) or (I, J, 1, channels), as `read` gives it or of an array in memory.
    preprocessing
        The model's.

    Returns
    -------
    tuple
        The picture, and what a person should be told.

    Raises
    ------
    PictureError
        If it could be meant in several ways.
    """
    wanted = len(preprocessing.normalisation) if preprocessing.fourth_axis == "channels" else 1
    data, notices = volume.data, []
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    found = data.shape[3] if data.ndim == 4 else 1
    if found in {2, 4} and found != wanted:
        if bool((data[..., -1] != _white(data.dtype)).any()):
            raise PictureError(
                f"{volume.label} is transparent in places, and what is seen there depends on what lies behind; flatten it first."
            )
        notices.append(f"{volume.label} has an alpha channel that is opaque everywhere; it is left out.")
        data = data[..., 0] if found == 2 else data[..., :3]
        found -= 1
    if found == 1 and wanted == _RED_GREEN_BLUE:
        notices.append(f"{volume.label} is grey; its values stand for red, green and blue.")
        data = np.repeat((data if data.ndim == 3 else data[..., 0])[..., None], _RED_GREEN_BLUE, axis=3)
    elif found == _RED_GREEN_BLUE and wanted == 1:
        if not (np.array_equal(data[..., 0], data[..., 1]) and np.array_equal(data[..., 0], data[..., 2])):
            raise PictureError(f"{volume.label} is a colour picture, and the model takes grey ones; convert it to grey values first.")
        notices.append(f"{volume.label} has three equal channels; one of them is used.")
        data = data[..., 0]
    elif found != wanted:
        raise PictureError(f"{volume.label} has {found} channel(s), and the model takes {wanted}; give a picture with as many.")
    if _trained_on_bytes(preprocessing):
        data, told = _as_bytes(data, volume.label)
        notices += told
    return Volume(data, volume.affine, volume.name, volume.file), tuple(notices)


def _volume(path: Path, *, labels: bool) -> Volume:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large ones are no attack here, and damage that matters is an error
            with Image.open(path, formats=_FORMATS) as picture:
                pages = getattr(picture, "n_frames", 1)
                cut = picture.mode in {"RGB", "RGBA"} and ";16" in str(picture.tile)  # 16 bits a value, of which Pillow reads the upper 8
                pixels = np.asarray(_plain(picture, path.name, labels=labels))
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError(f"{path.name} does not exist; check the path of the picture.") from error
    except UnidentifiedImageError as error:  # which names the folder
        raise PictureError(f"{path.name} is neither a PNG nor a TIFF, whatever it is called; save it again as one.") from error
    except _DAMAGED as error:
        raise PictureError(f"{path.name} cannot be read as a picture ({error}); save it again as PNG or TIFF.") from error
    if pages > 1:
        raise PictureError(f"{path.name} holds {pages} pages; a picture has one, so save the page that is meant by itself.")
    if cut and not pixels[..., :_RED_GREEN_BLUE].any():
        raise PictureError(f"{path.name} has colours of 16 bits a value and uses the lower 8 at most; save it with 8 bits a value.")
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    data = pixels.swapaxes(0, 1)[:, :, None]
    return Volume(data, np.eye(4), path.name)


def _plain(picture: Image.Image, name: str, *, labels: bool) -> Image.Image:
    """Give the picture in a mode whose numbers are grey values, colours or labels."""
    if picture.mode == "P" and not labels:
        return picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    if picture.mode == "PA" and not labels:
        return picture.convert("RGBA")
    if picture.mode not in {"1", "L", "P", "LA", "RGB", "RGBA", "F", "I"} and not picture.mode.startswith("I;16"):
        raise PictureError(f"{name} has colours of the kind {picture.mode}; grey values, RGB or RGBA are read, so convert it first.")
    return picture


def _white(dtype: np.dtype[Any]) -> float:
    return _GREATEST.get(dtype.kind if dtype.kind == "b" else dtype.str[1:], 1)


def _trained_on_bytes(preprocessing: Preprocessing) -> bool:
    windows = [one.window for one in preprocessing.normalisation]
    return all(window is not None and window[0] >= 0 and 1 < window[1] <= 255 for window in windows)


def _as_bytes(data: NDArray[Any], label: str) -> tuple[NDArray[Any], list[str]]:
    """Give the values from 0 to 255, and what to tell."""
    if data.dtype == np.uint8:
        return data, []
    if data.dtype.kind == "b":
        return data.astype(np.uint8) * np.uint8(255), []
    low, high = float(data.min()), float(data.max())
    if data.dtype == np.uint16 and high > 255:
        return (data >> 8).astype(np.uint8), [f"{label} has 16 bits a value; they are brought to the 8 bits that the model was trained on."]
    if data.dtype.kind == "f" and 0 <= low and high <= 1:
        return data * np.asarray(255, data.dtype), [f"{label} holds fractions from 0 to 1; they are brought to 0 to 255."]
    raise PictureError(
        f"{label} holds {data.dtype} values from {low:g} to {high:g}, and the model was trained on 8 bits, 0 to 255; "
        "save it as a picture with 8 bits a value first."
    )

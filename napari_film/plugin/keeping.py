"""What a person takes along: a copy of the mask, a file, the command that makes the same mask."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_film.atomic import write_text
from napari_film.errors import InputError
from napari_film.inference import sidecar
from napari_film.inference.command import predict_command
from napari_film.inference.prediction import joint_mask
from napari_film.plugin.appearance import Provenance
from napari_film.plugin.composition import Composition
from napari_film.plugin.model_inputs import rows
from napari_film.plugin.session import SegmentationSession

_NO_MASK = "There is no mask yet; press Segment first."
Origins = Callable[[], Mapping[str, str]]


def provenance(session: SegmentationSession, origins: Origins) -> Provenance:
    """Give what makes a sidecar's content of a composition: with the model and the images that are open now.

    Where the values are from, ``origins``, is asked when it is made: the same value can come to be a person's choice.
    """
    header, checkpoint = session.header, session.checkpoint
    model_hash, sources = session.opened.checkpoint if session.opened else "", session.sources
    if header is None or checkpoint is None:
        raise InputError(_NO_MASK)

    def describe(composition: Composition) -> Mapping[str, Any]:
        predictions = composition.predictions()
        return sidecar.describe(predictions, None, header, model=checkpoint.name, model_hash=model_hash, sources=sources, origins=origins())

    return describe


def save(path: Path, session: SegmentationSession, origins: Origins) -> None:
    """Write the shown mask and its sidecar: as NIfTI, or one of a picture as PNG or TIFF, by the ending of ``path``.

    Raises
    ------
    InputError
        If there is no mask, or the file cannot be written.
    """
    from napari_film import nifti, picture

    results = session.results
    if results is None or not results.computed.any() or session.checkpoint is None:
        raise InputError("There is no mask to save; press Segment first.")
    predictions = results.predictions()
    mask = joint_mask(predictions)
    header, reference = results.choice.header, predictions[0].prepared.reference
    content = provenance(session, origins)(results.composition())
    names = sidecar.label_names(header, [prediction.metadata for prediction in predictions], complete=results.complete)
    if picture.is_picture(path):
        picture.write(path, mask)
    else:
        nifti.write(path, mask, reference, names=names)
    if results.complete:
        content = sidecar.with_volumes(content, mask, reference.affine)
    write_text(sidecar.sidecar_path(path), sidecar.to_json(content))


def is_picture(session: SegmentationSession) -> bool:
    """Whether what is open is a picture, whose mask can be one; a NIfTI file of one slice is none, nor can its mask be."""
    prepared = session.prepared
    if prepared is None or prepared.preprocessing.slice_axis != "acquired":
        return False
    return prepared.shape[0] == 1 and prepared.reference.file is None


def command(session: SegmentationSession, images: Sequence[Path | None]) -> str:
    """Give the command line that makes the shown mask again, of the files ``images``, one per channel.

    Raises
    ------
    InputError
        If there is no mask, or an image is of no file that the command can read.
    """
    from napari_film import picture

    results, checkpoint = session.results, session.checkpoint
    if results is None or checkpoint is None:
        raise InputError(_NO_MASK)
    for image, row in zip(images, rows(results.choice.header), strict=False):
        if image is None:
            kind = "PNG or TIFF" if is_picture(session) else "NIfTI"
            raise InputError(f"The image for {row.name} was not opened from a {kind} file; save it as one and open that.")
    files = [image for image in images if image is not None]
    output = Path("mask.png" if all(map(picture.is_picture, files)) else "mask.nii.gz")
    return predict_command(files, checkpoint, output, results.predictions(), all_values=results.choice.all_values)

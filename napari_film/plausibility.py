"""Is this image like those that the model was trained on? One line for each thing that is not.

Held against the checkpoint's fingerprint, which has the lowest, middle and highest of each quantity over the training
images as they were stored (before any preprocessing):

    spacing (mm) and size (voxels) along R, A, S of the reference channel, of acquired slices along columns, rows, slices;
    field of view (mm) = spacing x size
    0.5th percentile, median and 99.5th percentile of each channel's intensities
    training subjects per value of each categorical field; each field is judged alone, never their combination

A fingerprint knows ranges and no joint distribution, so the field of view in training is known by its bounds alone:
at least lowest spacing x lowest size, at most highest x highest. Nothing here needs torch or reads whole files.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film.fields import UNKNOWN, CategoricalField, Value
from napari_film.header import Channel, Fingerprint, Header, Range
from napari_film.preprocessing import Preprocessing
from napari_film.volume import SLICED_AXES, Volume, axis_names, described

# Training shows each image up to 13 % larger and smaller than it is; twice that was never seen.
SPACING_FACTOR = 1.25
# Patients differ in size and scans in where they end by less than this; a network sees the rest of the body, or too little.
EXTENT_FACTOR = 1.5
# Windowed intensities (HU) are absolute: an image moved by half the window looks like other tissue.
SHIFTED_WINDOWS = 0.5
# Both ends of a moved image are moved alike; between patients and scanners the upper end (bone, metal) varies most.
ALIKE = 3.0
# An image that fills less of the window than this has next to no contrast: rescaled to 0..1, for one.
FLAT_WINDOWS = 0.25
# z-scores forget offset and scale, so only what is beyond the training's range by as much again is told ...
BEYOND_WIDTHS = 1.0
# ... or what is below zero, where training had nothing, by more than interpolation and filters leave there.
NEGATIVE_WIDTHS = 0.1
# A value of so few training subjects, or of so small a part of those of the commonest value, has hardly been learned.
FEW_SUBJECTS = 5
RARE_PART = 0.1

_TAILS = (0.5, 50.0, 99.5)  # percentiles, as the fingerprint has them
_SAMPLE = 1 << 18  # voxels that intensities are judged on: the 0.5th percentile is still of some thousand
_INTERCEPT = (850.0, 1200.0)  # HU: CT is stored with 1024 or 1000 added


def unusual(volumes: Sequence[Volume], header: Header, metadata: Mapping[str, Value]) -> tuple[str, ...]:
    """Give a line for each thing about these images and metadata that training has not met.

    Parameters
    ----------
    volumes
        One per channel, the reference first; a 4D volume counts as the preprocessing says. What `prepare` would refuse is left to it.
    header
        Of the checkpoint; without a fingerprint there is nothing to tell.
    metadata
        A value for every field of its schema.

    Raises
    ------
    MetadataError
        If the schema cannot take the metadata.
    """
    fingerprint = header.fingerprint
    if fingerprint is None or not volumes:
        return ()
    values = header.metadata_schema.resolve(metadata).values
    return (
        *_geometry(volumes[0], fingerprint, header.preprocessing),
        *_intensities(volumes, fingerprint, header),
        *_metadata(values, fingerprint, header),
    )


def _geometry(reference: Volume, fingerprint: Fingerprint, preprocessing: Preprocessing) -> Iterator[str]:
    """Lines about spacing, field of view and size; axes of which the same is to be said share a line."""
    seen = described(reference.grid, preprocessing.slice_axis)
    lines: dict[str, str] = {}
    for axis, letter in enumerate(axis_names(preprocessing.slice_axis)):
        thick = "thick" if axis == SLICED_AXES[preprocessing.slice_axis][0] else "large"
        for line in _along(
            seen.spacing[axis], seen.shape[axis], fingerprint.spacing[axis], fingerprint.size[axis], preprocessing.spacing[axis], thick
        ):
            lines[line] = f"{lines[line]}, {letter}" if line in lines else letter
    for line, letters in lines.items():
        yield line.replace("{axes}", letters)


def _along(spacing: float, size: int, spacings: Range, sizes: Range, wanted: float | None, thick: str) -> Iterator[str]:
    """Lines about one axis, with {axes} where its letter goes; ``wanted`` is the spacing that the network is given."""
    after = "" if wanted is None else f" (resampled to {_number(wanted)} mm for the network)"
    coarse, fine = _beyond(spacing, spacings.low, spacings.high, SPACING_FACTOR)
    if coarse:
        limit = f"{_number(spacing)} mm, at most {_number(spacings.high)} mm there{after}"
        yield f"Voxels are {_times(coarse)} as {thick} ({{axes}}) as any in training: {limit}."
    if fine:
        limit = f"{_number(spacing)} mm, at least {_number(spacings.low)} mm there{after}"
        yield f"Voxels are {_times(fine)} finer ({{axes}}) than any in training: {limit}."
    least, most = spacings.low * sizes.low, spacings.high * sizes.high
    extent = spacing * size
    above, below = _beyond(extent, least, most, EXTENT_FACTOR)
    where = f"The field of view along {{axes}} is {_number(extent)} mm"
    if above:
        yield f"{where}, {_times(above)} the largest in training (about {_number(most)} mm)."
    if below:
        yield f"{where}, {1 / below:.2g} of the smallest in training (about {_number(least)} mm)."
    if not (coarse or fine or above or below):  # else the number of voxels says the same again
        many, few = _beyond(size, sizes.low, sizes.high, EXTENT_FACTOR)
        if many:
            yield f"There are {size} voxels along {{axes}}; in training at most {_number(sizes.high)}."
        if few:
            yield f"There are {size} voxels along {{axes}}; in training at least {_number(sizes.low)}."


def _beyond(value: float, low: float, high: float, factor: float) -> tuple[float, float]:
    """How many times ``value`` is above ``high``, and below ``low``; 0 where it is not so by ``factor``."""
    above = value / high if value > high * factor else 0.0
    return above, low / value if value * factor < low else 0.0


def _intensities(volumes: Sequence[Volume], fingerprint: Fingerprint, header: Header) -> Iterator[str]:
    data = [frame for volume in volumes for frame in _frames(volume, header.preprocessing)]
    for array, known, channel, normalisation in zip(
        data, fingerprint.intensity, header.channels, header.preprocessing.normalisation, strict=False
    ):
        values = _sample(array)
        if values.size:
            low, median, high = (float(value) for value in np.percentile(values, _TAILS))
            found = Range(low=low, median=median, high=high)
            window = normalisation.window
            fault = _flat(found) or (_windowed(found, known, window, channel) if window else _scored(found, known))
            if fault:
                yield (
                    f"{channel.name} intensities: {_span(found)} (median {_number(median)}), in training {_span(known)} "
                    f"(median {_number(known.median)}): {fault}."
                )


def _flat(found: Range) -> str:
    return "nearly all voxels have one value" if found.low == found.high else ""


def _windowed(found: Range, known: Range, window: tuple[float, float], channel: Channel) -> str:
    """What is wrong with absolute intensities, in words, or nothing."""
    bottom, top = window
    width = top - bottom
    unit = " HU" if channel.suffix.casefold() == "ct" or "HU" in channel.description else ""
    lower, upper = found.low - known.low, found.high - known.high
    nearer, farther = sorted((abs(lower), abs(upper)))
    if lower * upper > 0 and nearer > SHIFTED_WINDOWS * width and farther <= ALIKE * nearer:
        if unit and _INTERCEPT[0] <= lower <= _INTERCEPT[1]:
            return "looks shifted by about 1024 HU, as CT stored without its rescale intercept is, or is no CT"
        return f"looks shifted by about {lower:.0f}{unit}"
    if found.high - found.low < FLAT_WINDOWS * width:
        return f"hardly any contrast for a network that looks at {_number(bottom)} to {_number(top)}{unit}"
    if found.median > top >= known.median:
        return f"most of it lies above {_number(top)}{unit}, where this network sees no differences"
    if found.high < bottom <= known.high:
        return f"all of it lies below {_number(bottom)}{unit}, where this network sees no differences"
    return ""


def _scored(found: Range, known: Range) -> str:
    """What is wrong with intensities that are z-scored, in words, or nothing."""
    width = known.high - known.low
    if found.low < 0 <= known.low and -found.low > NEGATIVE_WIDTHS * max(width, found.high - found.low):
        return "has values below zero, which no training image had"
    if found.high > known.high + BEYOND_WIDTHS * width or found.low < known.low - BEYOND_WIDTHS * width:
        return "far beyond any training image"
    return ""


def _frames(volume: Volume, preprocessing: Preprocessing) -> list[NDArray[Any]]:
    """Give the channels (I, J, K) of one volume that the network is given; none where the frame is not there."""
    if volume.data.ndim == 3:
        return [volume.data]
    if preprocessing.fourth_axis == "channels":
        return [volume.data[..., t] for t in range(volume.data.shape[3])]
    return [volume.data[..., preprocessing.frame]] if preprocessing.frame < volume.data.shape[3] else []


def _sample(data: NDArray[Any]) -> NDArray[np.float64]:
    """Finite voxels of ``data`` (I, J, K), of a regular lattice of at most some 2^18; memory maps are read there alone."""
    steps = [1, 1, 1]
    counts = list(data.shape)
    while np.prod(counts) > _SAMPLE:
        axis = int(np.argmax(counts))
        steps[axis] += 1
        counts[axis] = -(-(data.shape[axis] - steps[axis] // 2) // steps[axis])
    values = np.asarray(data[tuple(slice(step // 2, None, step) for step in steps)]).ravel(order="K").astype(np.float64)
    return values[np.isfinite(values)]


def _metadata(values: Mapping[str, Value], fingerprint: Fingerprint, header: Header) -> Iterator[str]:
    """Lines about values that few training subjects had; *unknown* is taught by leaving values out, and has no subjects."""
    for field in header.metadata_schema:
        counts = fingerprint.metadata.get(field.name)
        value = values[field.name]
        if not isinstance(field, CategoricalField) or not counts or value == UNKNOWN:
            continue
        count = counts.get(str(value), 0)
        name, spoken = field.name.replace("_", " "), str(value).replace("_", " ")
        if count == 0:
            yield f"No training subject had {name} {spoken}."
        elif count < FEW_SUBJECTS or count < RARE_PART * max(counts.values()):
            yield f"Few training subjects had {name} {spoken}: {count} of {fingerprint.subjects}."


def _span(of: Range) -> str:
    return f"{_number(of.low)} to {_number(of.high)}"


def _times(ratio: float) -> str:
    return f"{_number(ratio, digits=2)} times"


def _number(value: float, *, digits: int = 3) -> str:
    """``value`` as a person reads it: whole from 100 on, some digits below."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"

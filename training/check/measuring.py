"""What the files of a data set hold: each is read once, one volume at a time, and only numbers about it are kept."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film import nifti, picture
from napari_film.errors import InputError
from napari_film.resampling import inside, positions
from napari_film.volume import Grid, Volume, canonical, reordering

from ..cases.record import Record
from .voxels import Voxels, lattice, look

PERCENTILES = (0.5, 50.0, 99.5)
_LATTICE = 32  # points along an axis on which two fields of view are compared


@dataclass(frozen=True)
class Measured:
    """One file. ``size`` and ``spacing`` (mm) are along R, A, S; ``percentiles`` are `PERCENTILES` of the finite voxels.

    ``axes`` counts those of the file; of a fourth one, the first frame was measured. ``names`` are of labels, from the header.
    """

    name: str
    grid: Grid
    axes: int
    voxels: Voxels
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    percentiles: tuple[float, float, float] | None
    names: Mapping[int, str]


@dataclass(frozen=True)
class Problem:
    """Why a file could not be read, as a sentence; ``missing`` says that it is not there."""

    text: str
    missing: bool


@dataclass(frozen=True)
class Seen:
    """A line of a data set, and what its files hold.

    Parameters
    ----------
    record
        The line.
    images
        The channels that could be read, by name.
    mask
        The mask, where it could be read.
    problems
        Why others could not.
    coverage
        By channel, the part of the reference's field of view that it shows.
    foreground
        `PERCENTILES` of the reference's voxels inside the mask; None where there are none.
    """

    record: Record
    images: Mapping[str, Measured] = field(default_factory=dict)
    mask: Measured | None = None
    problems: tuple[Problem, ...] = ()
    coverage: Mapping[str, float] = field(default_factory=dict)
    foreground: tuple[float, float, float] | None = None


def measure(
    records: Sequence[Record], *, frames: tuple[str, ...] = (), jobs: int = 1, progress: Callable[[int], None] | None = None
) -> tuple[Seen, ...]:
    """Read the files of ``records`` with ``jobs`` processes; ``progress`` is called with the number of records that are done.

    ``frames`` names the channels that stand along the fourth axis of one image, where they do.
    Records of the same images (several raters, several organs) are read together, so that each image is read once.
    """
    together: dict[tuple[tuple[str, Path | None], ...], list[int]] = {}
    for index, record in enumerate(records):
        together.setdefault(tuple(record.images.items()), []).append(index)
    groups = [[records[index] for index in indices] for indices in together.values()]
    found: dict[int, Seen] = {}
    for indices, seen in zip(together.values(), _measured(groups, frames, jobs), strict=True):
        found.update(zip(indices, seen, strict=True))
        if progress is not None:
            progress(len(seen))
    return tuple(found[index] for index in range(len(records)))


def _measured(groups: Sequence[Sequence[Record]], frames: tuple[str, ...], jobs: int) -> Iterator[list[Seen]]:
    work = partial(_measure_group, frames=frames)
    if jobs < 2 or len(groups) < 2:
        yield from map(work, groups)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, groups)


def _measure_group(records: Sequence[Record], *, frames: tuple[str, ...]) -> list[Seen]:
    """Measure records of the same images."""
    images: dict[str, Measured] = {}
    problems: list[Problem] = []
    sample: NDArray[Any] | None = None
    for number, (channel, path) in enumerate(records[0].images.items()):
        volume = _read(path, f"{named(records[0])} has no image of channel {channel}", problems)
        if volume is not None:
            images |= _channels(volume, frames, problems) if frames else {channel: _measure(volume, _frame(volume))}
            if number == 0:
                sample = np.array(_frame(volume)[lattice(volume.data.shape[:3])])  # a copy: a view would keep the volume
        del volume  # before the next is read
    names = list(records[0].images)
    reference = images.get(names[0]) if names else None
    coverage = {} if reference is None else {name: _coverage(image.grid, reference.grid) for name, image in images.items()}
    seen = []
    for record in records:
        own = list(problems)
        mask, foreground = None, None
        volume = _read(record.mask, f"{_image_of(record)} has no mask", own, labels=True)
        if volume is not None:
            mask = _measure(volume, _frame(volume), label_names=True, path=record.mask)
            if reference is not None and sample is not None:
                foreground = _foreground(sample, reference.grid, volume)
        del volume
        seen.append(Seen(record, images, mask, tuple(own), coverage, foreground))
    return seen


def named(record: Record) -> str:
    """Name the person and the session of a record."""
    return f"{record.subject}, session {record.session}" if record.session else record.subject


def _image_of(record: Record) -> str:
    """Name the reference image, or who it is of."""
    first = next(iter(record.images.values()), None)
    return named(record) if first is None else first.name


def _read(path: Path | None, otherwise: str, problems: list[Problem], *, labels: bool = False) -> Volume | None:
    if path is None:
        problems.append(Problem(f"{otherwise}; add the file, or take the case out of the data.", missing=True))
    elif not path.is_file():
        problems.append(
            Problem(f"{otherwise}: {path.name} does not exist; correct its name, or take the case out of the data.", missing=True)
        )
    else:
        try:
            return picture.read_labels(path) if labels and picture.is_picture(path) else picture.read_image(path)
        except InputError as error:
            problems.append(Problem(str(error), missing=False))
    return None


def _channels(volume: Volume, frames: tuple[str, ...], problems: list[Problem]) -> dict[str, Measured]:
    """Measure the channels that stand along the fourth axis."""
    found = volume.data.shape[3] if volume.data.ndim == 4 else 1
    if found != len(frames):
        expected = f"{len(frames)} are expected along its fourth axis ({', '.join(frames)})"
        problems.append(Problem(f"{volume.name} holds {found} channel(s), where {expected}.", missing=False))
        return {}
    return {name: _measure(volume, volume.data[..., t] if volume.data.ndim == 4 else volume.data) for t, name in enumerate(frames)}


def _frame(volume: Volume) -> NDArray[Any]:
    return volume.data if volume.data.ndim == 3 else volume.data[..., 0]


def _measure(volume: Volume, data: NDArray[Any], *, label_names: bool = False, path: Path | None = None) -> Measured:
    sample = np.asarray(data[lattice(data.shape)], dtype=np.float64).ravel()
    sample = sample[np.isfinite(sample)]
    seen = canonical(Volume(data, volume.affine, volume.name))
    i, j, k = seen.data.shape
    return Measured(
        name=volume.name,
        grid=volume.grid,
        axes=volume.data.ndim,
        voxels=look(data),
        size=(int(i), int(j), int(k)),
        spacing=seen.spacing,
        percentiles=_percentiles(sample),
        names=nifti.label_names(path) if label_names and path is not None and not picture.is_picture(path) else {},
    )


def _percentiles(values: NDArray[Any]) -> tuple[float, float, float] | None:
    if not values.size:
        return None
    low, median, high = (float(value) for value in np.percentile(values, PERCENTILES))
    return low, median, high


def _foreground(sample: NDArray[Any], grid: Grid, mask: Volume) -> tuple[float, float, float] | None:
    """Percentiles of an image's ``sample`` (a lattice of it) inside the mask."""
    order = reordering(mask.grid, grid)
    if order is None:
        return None
    aligned = order.apply(_frame(mask))
    values = sample[np.asarray(aligned[lattice(aligned.shape)]) > 0].astype(np.float64)
    return _percentiles(values[np.isfinite(values)])


def _coverage(grid: Grid, reference: Grid) -> float:
    """Part of ``reference``'s voxels inside the field of view of ``grid``, as `prepare` will measure it, on a lattice of them."""
    counts = [min(length, _LATTICE) for length in reference.shape]
    spread = [(np.arange(m, dtype=np.float64) + 0.5) * (n / m) - 0.5 for m, n in zip(counts, reference.shape, strict=True)]
    return float(inside(positions(reference.affine, grid, spread), grid.shape).mean())

"""A BIDS tree: images by their suffix, masks in derivatives, metadata by the core's reader.

    sub-01/[ses-1/]anat/sub-01_[ses-1_]ce-gadolinium_T1w.nii.gz
    derivatives/labels/sub-01/[ses-1/]anat/sub-01_[ses-1_]ce-gadolinium_T1w_dseg.nii.gz
    derivatives/labels/sub-01/[ses-1/]anat/sub-01_[ses-1_]ce-gadolinium_T1w_desc-second_dseg.nii.gz

Subject, session and run tell one scan from another. An image fits a channel where its suffix and all other entities are the
channel's. Several masks of one image are several raters, each a case of its own.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from napari_film.bids import BidsName, statements_around, stem

from ..recipe import Recipe
from ..recipe.data import Source
from .case import ManifestError
from .record import Record
from .said import read_said, stated

_SCAN = ("sub", "ses", "run")
_USUAL = ("dseg", "seg-manual")
_ENDINGS = (".nii.gz", ".nii")

Scan = tuple[str, ...]
"""Labels of subject, session and run; empty where there is none."""


def tree_records(folder: Path, source: Source, recipe: Recipe) -> tuple[Record, ...]:
    """Find the records under ``folder``, in the order of their names.

    Raises
    ------
    ManifestError
        If the folder does not exist, or has no image of the first channel.
    """
    if not folder.is_dir():
        raise ManifestError(f"The data folder {folder} does not exist; correct data.bids in the recipe, or give --data.")
    for channel in recipe.image_channels():
        if not channel.suffixes:
            raise ManifestError(
                f"Channel {channel.name} has no suffix, by which its images are found in a BIDS folder; add it to the recipe."
            )
    scans: dict[Scan, list[Path]] = defaultdict(list)
    images = [path for path in sorted(folder.glob("sub-*/**/*.nii*")) if path.name.endswith(_ENDINGS)]
    for path in images:
        scans[_scan(path)].append(path)
    records: list[Record] = []
    for path in images:
        for suffix in recipe.channels[0].suffixes:
            if _fits(path, suffix):
                records += _records(path, suffix, folder, scans, source, recipe)
    if not records:
        wanted = " or ".join(f"sub-*_{suffix}.nii.gz" for suffix in recipe.channels[0].suffixes)
        raise ManifestError(f"{folder} has no image named {wanted}; correct the suffix of channel 1 in the recipe.")
    return tuple(records)


def _records(
    path: Path, suffix: str, folder: Path, scans: Mapping[Scan, Sequence[Path]], source: Source, recipe: Recipe
) -> Iterator[Record]:
    """Give the records of the image ``path`` of the first channel: one a mask, or one without."""
    scan = _scan(path)
    images: dict[str, Path | None] = {recipe.channels[0].name: path}
    for channel in recipe.image_channels()[1:]:
        beside = [*scans[scan], *(scans.get((*scan[:2], ""), ()) if scan[2] else ())]
        images[channel.name] = next((other for wanted in channel.suffixes for other in beside if _fits(other, wanted)), None)
    session = "_".join(f"{key}-{label}" for key, label in zip(_SCAN[1:], scan[1:], strict=True) if label)
    around, notices = statements_around(path, folder)
    for rater, mask in _masks(path, folder, source):
        name = stated({"suffix": suffix, "session": session, "rater": rater}, f"the name {path.name}")
        metadata = read_said([stated(source.cells, "the recipe"), name, *around], recipe, notices)
        yield Record(
            where=path.name if not rater else f"{path.name}, rater {rater}",
            subject=f"sub-{scan[0]}",
            images=images,
            mask=mask,
            session=session,
            rater=rater,
            labelled=source.labelled,
            **metadata.parts(),
        )


def _masks(image: Path, folder: Path, source: Source) -> list[tuple[str, Path | None]]:
    """Find the masks of ``image``, each with its rater: the label of ``desc-``, and what tells derivatives and suffixes apart."""
    suffixes = source.mask_suffixes or _USUAL
    found: list[tuple[str, Path | None]] = []
    for derivative in source.labels:
        below = folder / "derivatives" / derivative / image.parent.relative_to(folder)
        beside = sorted(below.glob(f"{stem(image.name)}_*.nii*"))
        own = []
        for suffix in suffixes:
            for path in beside:
                rest = stem(path.name).removeprefix(f"{stem(image.name)}_")
                desc, _, end = rest.partition("_") if rest.startswith("desc-") else ("", "", rest)
                if end == suffix and path.name.endswith(_ENDINGS):
                    several = (derivative if len(source.labels) > 1 else "", suffix if len(source.mask_suffixes) > 1 else "")
                    own.append(("_".join(filter(None, (*several, desc.removeprefix("desc-")))), path))
            if own and not source.mask_suffixes:
                break  # of the usual suffixes the first that there is
        found += own
    return found or [("", None)]


def _scan(path: Path) -> Scan:
    entities = BidsName.of(path.name).entities
    return tuple(entities.get(key, "") for key in _SCAN)


def _fits(path: Path, suffix: str) -> bool:
    """Whether the name says no less and no more than ``suffix``, besides which scan it is of."""
    name, wanted = BidsName.of(path.name), BidsName.of(suffix)
    if not wanted.proper or not name.proper:  # no names as BIDS knows them: all that stands after subject and session
        parts = stem(path.name).split("_")
        return "_".join(part for part in parts if part.partition("-")[0] not in _SCAN) == suffix
    return name.suffix == wanted.suffix and {key: v for key, v in name.entities.items() if key not in _SCAN} == wanted.entities

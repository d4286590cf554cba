"""Where in a BIDS tree the files are that concern an image: only folders above it are looked at, never what is below them.

By the inheritance principle a JSON file holds for every file below its folder that has the same suffix and at least its
entities; of several, the one in the nearer folder counts, and within a folder the one with more entities.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_film.bids.name import BidsName, stem

_DESCRIPTION = "dataset_description.json"
_DERIVATIVES = "derivatives"


@dataclass(frozen=True)
class Tree:
    """The data set that an image stands in, and those that it is derived from, the nearest first.

    Without a dataset_description.json above the image its own folder stands for the data set.
    """

    image: Path
    roots: tuple[Path, ...]

    @classmethod
    def around(cls, image: Path) -> "Tree":
        """Find the tree around ``image``; links are not followed, since they may lead into a store of anonymous files."""
        image = Path(os.path.abspath(image))
        described = (folder for folder in image.parents if os.path.isfile(folder / _DESCRIPTION))
        roots = [next(described, image.parent)]
        while _DERIVATIVES in (parts := roots[-1].parts):
            above = Path(*parts[: len(parts) - 1 - parts[::-1].index(_DERIVATIVES)])
            raw = above / "rawdata"  # beside derivatives/, in the layout that keeps all three apart
            roots.append(raw if os.path.isfile(raw / _DESCRIPTION) else above)
        return cls(image, tuple(roots))

    @property
    def subject(self) -> str:
        """Label of the person, "sub-01"; empty where neither the file nor a folder says."""
        return self._label("sub")

    @property
    def session(self) -> str:
        """Label of the session, "ses-2"; empty where there is none."""
        return self._label("ses")

    def sidecars(self) -> list[Path]:
        """JSON files of the image, the most specific first."""
        return sidecars(self.image, self.roots[0])

    def tables(self) -> Iterator[tuple[Path, Path, str, str]]:
        """Give the existing tables that may have a row for the image, most specific first: file, root, column of labels, label.

        Of each kind only the one of the nearest data set that has it.
        """
        subject, session, own = self.subject, self.session, self.roots[0]
        if not subject:
            return
        who = "_".join(filter(None, (subject, session)))
        kinds = [([own / subject / session / f"{who}_scans.tsv"], "filename", self.image.name)]
        if session:
            kinds.append(([root / subject / f"{subject}_sessions.tsv" for root in self.roots], "session_id", session))
        kinds.append(([root / "participants.tsv" for root in self.roots], "participant_id", subject))
        for paths, key, label in kinds:
            for path, root in zip(paths, self.roots, strict=False):
                if os.path.isfile(path):
                    yield path, root, key, label
                    break

    def _label(self, key: str) -> str:
        value = BidsName.of(self.image.name).entities.get(key)
        if value is not None:
            return f"{key}-{value}"
        folders = self.image.relative_to(self.roots[0]).parts[:-1]
        return next((folder for folder in reversed(folders) if BidsName.of(folder).entities.keys() == {key}), "")


def sidecars(path: Path, root: Path) -> list[Path]:
    """JSON files that hold for ``path``, in its folder and those above up to ``root``; the most specific first."""
    name, found = BidsName.of(path.name), []
    for folder in (path.parent, *path.parent.parents):
        same = folder / f"{stem(path.name)}.json"
        if folder == path.parent and os.path.isfile(same):  # whatever its name: so dcm2niix leaves it
            found.append(same)
        above = [folder / entry for entry in _entries(folder) if entry.endswith(".json") and BidsName.of(entry).applies_to(name)]
        above = [file for file in above if file not in found and os.path.isfile(file)]
        found += sorted(above, key=lambda file: (-len(BidsName.of(file.name).entities), file.name))
        if folder == root:
            break
    return found


def _entries(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (OSError, ValueError):  # not there, or not for us to list
        return []

"""Prepared cases on disk: made once, then mapped.

    entry  =  cases/<SHA-256 of all that could change it>/  images.npy  labels.npy  entry.json
    all that could change it: content of images and mask, preprocessing, version of this project and of this format

An entry is made in a folder of its own under another name and renamed when it is whole, so several processes may make one at the same time
and a killed one leaves nothing that is taken for an entry. ``entry.json`` says again what the entry was made of, and how large and how
old its files are: an entry that does not fit is made anew.
"""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import platformdirs
from pydantic import BaseModel, ValidationError

from napari_film.errors import InputError
from napari_film.preprocessing import Preprocessing

from .cases.case import Case
from .content import Contents
from .fingerprint import Measures
from .prepared import IMAGES, LABELS, PreparedCase, write_case
from .recipe import Recipe

FORMAT = 2
ENTRY = "entry.json"

_DAY = 24 * 60 * 60  # s


class _Key(BaseModel, frozen=True):
    """All that could change an entry."""

    format: int = FORMAT
    version: str
    images: tuple[str, ...]
    mask: str
    soft_masks: bool
    preprocessing: Preprocessing

    def digest(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:40]


class _File(BaseModel, frozen=True):
    size: int
    mtime_ns: int


class _Entry(BaseModel, frozen=True):
    """What ``entry.json`` holds; ``shown`` has the slices that show each label."""

    key: _Key
    shape: tuple[int, int, int, int]
    whole: tuple[int, int]
    shown: dict[int, tuple[int, ...]]
    measures: Measures
    files: dict[str, _File]


class Cache:
    """Prepared cases in a folder.

    Parameters
    ----------
    folder
        Where they are; made if need be. None for the user's cache folder.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or platformdirs.user_cache_path("napari-film") / "training").absolute()
        self._cases = self.folder / "cases"
        self._unfinished = self.folder / "unfinished"
        self._contents = Contents(self.folder / "files")
        self._version = version("napari-film")
        try:
            for part in (self._cases, self._unfinished):
                part.mkdir(parents=True, exist_ok=True)
            probe = self._unfinished / secrets.token_hex(8)
            probe.mkdir()
            probe.rmdir()
        except OSError as error:
            raise InputError(
                f"The cache folder {self.folder} cannot be written to ({error.strerror}); name another with --cache."
            ) from error
        self._tidy()

    def prepared(self, case: Case, recipe: Recipe) -> PreparedCase:
        """Give ``case`` prepared by ``recipe``; it is made if it is not there yet.

        Raises
        ------
        InputError
            If its files cannot be used, or the disk is full.
        """
        key = self._key(case, recipe)
        folder = self._cases / key.digest()
        entry = _read(folder, key) or self._make(folder, key, case, recipe)
        shown = {}
        for label, slices in entry.shown.items():
            shown[label] = np.zeros(entry.shape[0], dtype=np.bool_)
            shown[label][list(slices)] = True
        return PreparedCase(case, folder, entry.shape, entry.whole, shown, entry.measures)

    def content_hash(self, path: Path) -> str:
        """SHA-256 of ``path``; a file that did not change since it was last asked for is not read."""
        return self._contents.sha256(path)

    def told(self, cases: Iterable[PreparedCase]) -> str:
        """Say how much room ``cases`` take, and where."""
        size = sum({case.folder: case.size for case in cases}.values())
        return f"cache: {size / 1e6:.1f} MB of slices in {self.folder}"

    def _key(self, case: Case, recipe: Recipe) -> _Key:
        hashes = []
        for path in (*case.images, case.mask):
            try:
                hashes.append(self.content_hash(path))
            except OSError as error:
                raise InputError(f"{path.name} of {case.subject} cannot be read ({error.strerror}); check the file.") from error
        *images, mask = hashes
        return _Key(
            version=self._version,
            images=tuple(images),
            mask=mask,
            soft_masks=recipe.data.soft_masks,
            preprocessing=recipe.checkpoint_preprocessing(),
        )

    def _make(self, folder: Path, key: _Key, case: Case, recipe: Recipe) -> _Entry:
        own = self._unfinished / secrets.token_hex(8)
        try:
            own.mkdir()
            written = write_case(own, case, recipe)
            files = {}
            for name in (IMAGES, LABELS):
                with (own / name).open("rb") as file:
                    os.fsync(file.fileno())  # or a power failure could leave a whole entry with empty files
                found = (own / name).stat()
                files[name] = _File(size=found.st_size, mtime_ns=found.st_mtime_ns)
            entry = _Entry(key=key, files=files, **vars(written))
            (own / ENTRY).write_text(entry.model_dump_json(), encoding="utf-8")
            return self._publish(own, folder, entry)
        except OSError as error:
            raise InputError(
                f"{case.subject} could not be put into the cache {self.folder} ({error.strerror or error}); "
                "make room there, or name another folder with --cache."
            ) from error
        finally:
            shutil.rmtree(own, ignore_errors=True)

    def _publish(self, own: Path, folder: Path, entry: _Entry) -> _Entry:
        """Rename ``own`` to ``folder``, unless another process was faster; an entry there that does not fit goes."""
        while True:
            try:
                own.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
            else:
                return entry
            theirs = _read(folder, entry.key)
            if theirs is not None:
                return theirs
            aside = self._unfinished / secrets.token_hex(8)
            try:
                folder.rename(aside)
            except FileNotFoundError:  # another process put it aside
                continue
            shutil.rmtree(aside, ignore_errors=True)

    def _tidy(self) -> None:
        """Take away what processes that were killed left behind."""
        for left in self._unfinished.iterdir():
            try:
                old = time.time() - left.stat().st_mtime > _DAY
            except OSError:  # another process was faster
                continue
            if old:
                shutil.rmtree(left, ignore_errors=True)


def _read(folder: Path, key: _Key) -> _Entry | None:
    """Read the entry in ``folder``; None where there is none that was made of ``key`` and is as it was written."""
    try:
        entry = _Entry.model_validate_json((folder / ENTRY).read_bytes())
        if entry.key != key:
            return None
        for name in (IMAGES, LABELS):
            found = (folder / name).stat()
            if (found.st_size, found.st_mtime_ns) != (entry.files[name].size, entry.files[name].mtime_ns):
                return None
    except (OSError, ValidationError, KeyError):
        return None
    return entry

"""SHA-256 of files, remembered: a file whose path, size, time of change and inode are as they were is not read again.

Paths are kept as hashes, so that a cache names no patient.
"""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from napari_film.atomic import write_text
from napari_film.errors import InputError

_SETTLED = 2 * 10**9  # ns
"""A file that changed this lately may change again within the same tick of its file system's clock: it is not remembered yet."""


class _Remembered(BaseModel, frozen=True):
    size: int
    mtime_ns: int
    inode: int
    sha256: str


class Contents:
    """Hashes of files, remembered under ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sha256(self, path: Path) -> str:
        """Hash of the content of ``path``.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        place = self.folder / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()}.json"
        found = path.stat()
        try:
            known = _Remembered.model_validate_json(place.read_bytes())
        except (OSError, ValidationError):
            known = None
        if known and (known.size, known.mtime_ns, known.inode) == (found.st_size, found.st_mtime_ns, found.st_ino):
            return known.sha256
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time_ns() - found.st_mtime_ns > _SETTLED:
            remembered = _Remembered(size=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino, sha256=digest)
            with suppress(OSError, InputError):  # then it is read again the next time
                self.folder.mkdir(parents=True, exist_ok=True)
                write_text(place, remembered.model_dump_json())
        return digest

"""Files that appear whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_film.errors import InputError


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to; rename it to ``path`` when the block ends well.

    It has the name of ``path``, by which writers choose a format and tell a person what failed, in a hidden folder of its
    own beside it. When the block raises, that folder is removed and what stood at ``path`` stays as it was.

    Raises
    ------
    InputError
        If the folder does not exist, does not allow it, or has no room.
    """
    target = Path(path)
    if not os.path.isdir(target.parent):  # False, where Path.is_dir raises for names that no file can have
        raise InputError(f"The folder of {target.name} does not exist; make it first or name another one.")
    if os.path.isdir(target):
        raise InputError(f"{target.name} is a folder; name a file to write to.")
    folder = target.with_name(f".{secrets.token_hex(4)}.writing")
    try:
        folder.mkdir()
        yield folder / target.name
        os.replace(folder / target.name, target)
    except PermissionError as error:
        raise InputError(f"{target.name} cannot be written: its folder does not allow it; name another folder.") from error
    except OSError as error:
        raise InputError(f"{target.name} cannot be written ({error.strerror or error}); make room or name another file.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")

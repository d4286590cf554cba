"""Files that appear whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_film.errors import InputError


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` when the block ends well.

    The temporary name keeps every suffix of ``path``, since writers choose a format by it. When the
    block raises, the temporary file is removed and what stood at ``path`` stays as it was.

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
    temporary = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
    try:
        yield temporary
        os.replace(temporary, target)
    except PermissionError as error:
        raise InputError(f"{target.name} cannot be written: its folder does not allow it; name another folder.") from error
    except OSError as error:
        raise InputError(f"{target.name} cannot be written ({error.strerror or error}); make room or name another file.") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")

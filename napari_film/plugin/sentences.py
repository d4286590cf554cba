"""How a person is told that something does not work."""

from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import show_error

from napari_film.errors import InputError


@contextmanager
def told() -> Iterator[None]:
    """Show what a person gave wrongly as a sentence, and go on."""
    try:
        yield
    except InputError as error:
        show_error(str(error))

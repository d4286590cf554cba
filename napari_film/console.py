"""What the command lines share: a person's mistake is one line on stderr and exit code 2."""

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer

from napari_film.errors import InputError

# typer brings a click of its own, or in older versions uses click itself: the base of what it exports is right for both.
_UsageError: Any = typer.BadParameter.__bases__[0]


def run(app: typer.Typer, name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``app`` under ``name``, with the process's arguments where none are given, and end the process.

    The exit code is the command's own, 2 where the person gave something that cannot be used, 130 where they stopped it.
    """
    # Read once, when torch is loaded: threads that wait for each other sleep instead of spinning. On cores that other work uses
    # too, a network ran ten times faster for it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    code: int | None
    try:
        code = app(None if arguments is None else list(arguments), prog_name=name, standalone_mode=False)
    except InputError as error:
        tell(name, str(error))
        code = 2
    except _UsageError as error:
        if error.format_message():  # nothing where no command was given: then typer has shown the help
            tell(name, f"{error.format_message().rstrip('.')}; see {error.ctx.command_path if error.ctx else name} --help.")
        code = 2
    except MemoryError:
        tell(name, "There is not enough memory for this; close other programs, or give smaller images.")
        code = 2
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    sys.exit(code or 0)


def tell(name: str, sentence: str) -> None:
    """Say ``sentence`` on stderr, as one line, whatever a file was called."""
    typer.echo(f"{name}: {' '.join(sentence.split())}", err=True)

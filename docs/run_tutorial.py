"""Do what docs/tutorial.md says, in an empty folder: python docs/run_tutorial.py FOLDER [--write].

A block called ``toml NAME`` is written to the file NAME; of a block called ``console``, lines that begin with ``$`` are run in a
shell, and what they print stands below them. ``--write`` puts it there, and the pictures into docs/images (which needs a display, and
an XDG_STATE_HOME of its own if you do not want the model in your list).
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import napari

    from napari_film.plugin.segment_widget import SegmentWidget

PAGE = Path(__file__).parent / "tutorial.md"
PICTURES = {
    "tutorial-curves.png": "runs/first/pictures/curves.png",
    "tutorial-overlays.png": "runs/first/pictures/overlays.png",
    "tutorial-grid.png": "evaluations/first/values.png",
}
DOCK = "tutorial-dock.png"
_WINDOW = (1380, 860)  # px
_BLOCK = re.compile(r"^```(?P<kind>toml|console) ?(?P<name>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def follow(page: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Do in ``folder`` what ``page`` says; gives each block as it stands there and as it is to stand there."""
    for block in _BLOCK.finditer(page):
        text = block["text"]
        if block["kind"] == "toml":
            (folder / block["name"]).write_text(text, encoding="utf-8")
            continue
        shown = [line for command in re.findall(r"^\$ (.*)$", text, re.MULTILINE) for line in (f"$ {command}", *run(command, folder))]
        yield block[0], "```console\n" + "\n".join(shown) + "\n```"


def run(command: str, folder: Path) -> list[str]:
    """Lines that ``command`` prints in ``folder``; an error where it fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "COLUMNS": "120", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return [line.rstrip().replace(f"{folder}/", "") for line in (done.stdout + done.stderr).strip("\n").splitlines()]


def predicted(command: str, folder: Path) -> tuple[list[Path], dict[str, str], Path]:
    """Images, metadata and mask of the ``napari-film predict`` line that fit has printed, run in ``folder``."""
    run(command, folder)
    words = shlex.split(command)[2:]
    images = [folder / word for word in words[: words.index("--model")]]
    told = dict(words[place + 1].split("=", 1) for place, word in enumerate(words) if word == "--metadata")
    return images, told, folder / words[words.index("--output") + 1]


def open_dock(images: list[Path], checkpoint: Path, told: dict[str, str]) -> "tuple[napari.Viewer, SegmentWidget]":
    """Open a window with the images, take the model from the list of those used last, and segment."""
    import napari
    from qtpy.QtWidgets import QComboBox

    from napari_film.plugin.demo import wait_until
    from napari_film.plugin.session import State

    viewer = napari.Viewer()
    _, widget = viewer.window.add_plugin_dock_widget("napari-film", "FiLM segmentation")
    viewer.window.resize(*_WINDOW)
    viewer.open([str(path) for path in images], plugin="napari-film")
    models = widget.picker.findChild(QComboBox)
    place = models.findData(str(checkpoint.absolute()))
    if place < 0:
        raise LookupError(f"{checkpoint} is not in the dock's list of models")
    models.setCurrentIndex(place)
    models.activated.emit(place)
    widget.session.set_metadata({**widget.session.metadata, **told})
    widget.segment()
    wait_until(lambda: widget.session.state is State.READY and widget.session.results is not None and widget.session.results.complete)
    return viewer, widget


def picture_of_dock(folder: Path, line: str, path: Path) -> None:
    """Show what ``line`` has computed in the dock, with the slice that has most of it."""
    images, told, _ = predicted(line, folder)
    viewer, widget = open_dock(images, folder / "runs/first/best.safetensors", told)
    sizes = (widget.session.mask() == 1).sum(axis=(1, 2))
    widget.slice_view.show_slice(viewer.layers[0], widget.session.header.preprocessing.slice_axis, int(sizes.argmax()))
    viewer.reset_view()
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    viewer.close()


def main(folder: Path, *, write: bool) -> None:
    """Follow the page, and bring it up to date on request."""
    folder.mkdir(parents=True)
    page = PAGE.read_text(encoding="utf-8")
    for before, after in follow(page, folder):
        print(after)
        page = page.replace(before, after)
    if write:
        PAGE.write_text(page, encoding="utf-8")
        for name, made in PICTURES.items():
            shutil.copyfile(folder / made, PAGE.parent / "images" / name)
        line = re.findall(r"^  (napari-film predict .*)$", page, re.MULTILINE)[0]
        picture_of_dock(folder, line, PAGE.parent / "images" / DOCK)


if __name__ == "__main__":
    main(Path(sys.argv[1]), write="--write" in sys.argv[2:])

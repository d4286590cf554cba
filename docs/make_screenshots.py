"""Make the pictures of the guide from the running program: python docs/make_screenshots.py [FOLDER].

Without a display: xvfb-run -a -s "-screen 0 1400x900x24" python docs/make_screenshots.py
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp()  # the dock shall remember nothing of who makes the pictures

from qtpy.QtWidgets import QCheckBox, QPushButton

from napari_film.plugin.demo import open_demo, run_headless, wait_until
from napari_film.plugin.segment_widget import SegmentWidget
from napari_film.plugin.session import State

_WINDOW = (1380, 860)  # px
_KEPT = ("spinal_tumor-astrocytoma.png", "spinal_tumor-hemangioblastoma.png", "abdomen-all.png")


def picture_of_running(path: Path) -> None:
    """Take the window in the middle of its work, on a slice that was not computed yet."""
    viewer, widget = open_demo("abdomen")
    widget.segment()
    wait_until(lambda: sum(prediction.kept.computed.sum() for prediction in widget.session.predictions()) >= 9)
    widget.session.cancel()
    widget.slice_view.show_slice(viewer.layers["Abdomen, CT"], "axial", 24)
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    viewer.close()


def pictures_of_comparisons(folder: Path) -> None:
    """Go through the workbench with the spine phantom, by its buttons."""
    viewer, widget = open_demo("spinal_tumor")
    viewer.window.resize(*_WINDOW)
    widget.segment()
    _settle(widget)

    def take(name: str) -> None:
        _settle(widget)
        viewer.reset_view()
        viewer.screenshot(str(folder / f"{name}.png"), canvas_only=False, flash=False)

    _press(widget, "film_difference")
    take("difference")
    _press(widget, "film_difference")
    _press(widget, "film_all_at_once")
    _press(widget, "film_numbers")
    _settle(widget)
    widget.comparison.numbers.compare()
    wait_until(lambda: widget.comparison.numbers_panel.comparison() is not None)
    take("all-values")
    _press(widget, "film_take_away")
    _tick(widget, "film_sensitivity")
    _press(widget, "film_inside")
    wait_until(lambda: widget.comparison.film_panel.space() is not None)
    take("inside")
    _tick(widget, "film_sensitivity")
    viewer.window.remove_dock_widget(widget.comparison)
    _tick(widget, "film_uncertain")
    take("uncertain")
    viewer.close()


def picture_of_windows(path: Path) -> None:
    """Take a scene with what INSIDE looks at, told a quarter."""
    viewer, widget = open_demo("clevr_seg")
    viewer.window.resize(*_WINDOW)
    widget.segment()
    _settle(widget)
    _press(widget, "film_look")
    widget.session.set_metadata({"quadrant": "lower right"})
    _settle(widget)
    wait_until(lambda: not widget.comparison.looks.pending)
    viewer.reset_view()
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    viewer.close()


def picture_of_slices(path: Path) -> None:
    """Take a heart, whose slices' places the program fills in."""
    viewer, widget = open_demo("cardiac")
    widget.segment()
    widget.session.set_metadata({**widget.session.metadata, "phase": "ED"})
    _settle(widget)
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    viewer.close()


def _press(widget: SegmentWidget, name: str) -> None:
    button = widget.findChild(QPushButton, name)
    widget.show_tab(button)
    button.click()


def _tick(widget: SegmentWidget, name: str) -> None:
    box = widget.findChild(QCheckBox, name)
    widget.show_tab(box)
    box.click()


def _settle(widget: SegmentWidget) -> None:
    wait_until(lambda: widget.session.state is State.READY and widget.session.results is not None and widget.session.results.complete)


def main(folder: Path) -> None:
    """Fill ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    print(run_headless(folder))
    for picture in folder.iterdir():
        if picture.name not in _KEPT:
            picture.unlink()
    picture_of_running(folder / "running.png")
    pictures_of_comparisons(folder)
    picture_of_windows(folder / "where-it-looks.png")
    picture_of_slices(folder / "cardiac.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")

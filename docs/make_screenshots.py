"""Make the pictures of the guide from the running program: python docs/make_screenshots.py [FOLDER].

Without a display: xvfb-run -a -s "-screen 0 1400x900x24" python docs/make_screenshots.py
"""

import sys
from pathlib import Path

from napari_film.plugin.demo import open_demo, run_headless, wait_until

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


def main(folder: Path) -> None:
    """Fill ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    print(run_headless(folder))
    for picture in folder.iterdir():
        if picture.name not in _KEPT:
            picture.unlink()
    picture_of_running(folder / "running.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")

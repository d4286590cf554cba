"""`napari-film demo`: a phantom, its demo model, and a dropdown that changes the mask; by hand or by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QCoreApplication, QEventLoop, QTimer

from napari_film.errors import InputError
from napari_film.fields import CategoricalField
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import joint_mask
from napari_film.plugin.samples import truth
from napari_film.plugin.session import State

if TYPE_CHECKING:
    from napari_film.plugin.segment_widget import SegmentWidget

SAMPLES = ("spinal_tumor", "abdomen")
_PATIENCE = 600_000  # ms
_WINDOW = (1360, 860)  # px


def open_demo(sample: str = SAMPLES[0], *, show: bool = True) -> "tuple[napari.Viewer, SegmentWidget]":
    """Open a window with a sample and the dock, its demo model chosen."""
    viewer = napari.Viewer(title=f"napari-film demo: {sample}", show=show)
    _, widget = viewer.window.add_plugin_dock_widget("napari-film", "FiLM segmentation")
    viewer.window.resize(*_WINDOW)
    viewer.open_sample("napari-film", sample)
    widget.mask_form.setValue(Postprocessing())  # whatever was chosen in an earlier session, the demo begins as everybody's does
    widget.tabs.setCurrentIndex(0)
    QCoreApplication.processEvents()  # the canvas takes its size
    viewer.reset_view()
    return viewer, widget


def run() -> None:
    """Open the demo, segment, and leave the rest to the person; returns when the window is closed."""
    _, widget = open_demo()
    QTimer.singleShot(0, widget.segment)
    napari.run()


def run_headless(output: Path) -> str:
    """Show every condition value of both demo models; leave a picture of the window for each, and give a table.

    Raises
    ------
    InputError
        If the folder cannot be made, or the segmentation fails.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {output.name} cannot be made ({error.strerror}); name another one.") from error
    rows: list[tuple[str, ...]] = []
    for sample in SAMPLES:
        viewer, widget = open_demo(sample)
        try:
            rows += _swap_through(viewer, widget, sample, output)
        finally:
            viewer.close()
    table = _table(rows)
    (output / "table.txt").write_text(table + "\n", encoding="utf-8")
    return table


def _swap_through(viewer: "napari.Viewer", widget: "SegmentWidget", sample: str, output: Path) -> list[tuple[str, ...]]:
    session = widget.session
    messages: list[str] = []
    session.failed.connect(messages.append)
    header = session.header
    if header is None:
        raise InputError(f"The demo model of {sample} is missing from this installation; install napari-film again.")
    field = next(field for field in header.metadata_schema if isinstance(field, CategoricalField))
    reference = truth(sample)
    rows: list[tuple[str, ...]] = []
    widget.segment()
    for value in field.choices:
        session.set_metadata({**session.metadata, field.name: value})
        wait_until(lambda: bool(messages) or _complete(widget))
        if messages:
            raise InputError(messages[0])
        mask = joint_mask(session.predictions())
        picture = output / f"{sample}-{value}.png"
        viewer.screenshot(str(picture), canvas_only=False, flash=False)
        volume = np.count_nonzero(mask) * float(np.prod(reference.spacing)) / 1000
        rows.append((sample, value, f"{volume:.2f}", f"{_dice(mask == 1, reference.data == _label(field, value)):.3f}", picture.name))
    if field.role == "target":
        widget.metadata.all_values.setChecked(True)
        wait_until(lambda: bool(messages) or _complete(widget))
        viewer.screenshot(str(output / f"{sample}-all.png"), canvas_only=False, flash=False)
    return rows


def _label(field: CategoricalField, value: str) -> int:
    """Label in the phantoms' truth that a condition value asks for: the organ of that place, or the tumour's core."""
    return 1 + field.values.index(value) if field.role == "target" else 1


def _complete(widget: "SegmentWidget") -> bool:
    predictions = widget.session.predictions()
    return bool(predictions) and all(prediction.kept.complete for prediction in predictions) and widget.session.state is State.READY


def wait_until(done: Callable[[], bool]) -> None:
    """Let the window live until ``done``.

    Raises
    ------
    InputError
        If that takes too long.
    """
    loop, poll, limit = QEventLoop(), QTimer(), QTimer()
    poll.timeout.connect(lambda: loop.quit() if done() else None)
    limit.timeout.connect(loop.quit)
    poll.start(20)
    limit.start(_PATIENCE)
    loop.exec()
    poll.stop()
    limit.stop()
    if not done():
        raise InputError(f"The segmentation took longer than {_PATIENCE // 60_000} minutes; try a faster computer, or the command line.")


def _dice(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return 2 * int((mask & truth).sum()) / max(int(mask.sum()) + int(truth.sum()), 1)


def _table(rows: list[tuple[str, ...]]) -> str:
    rows = [("sample", "condition value", "mask in ml", "Dice with the phantom's truth", "picture"), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)

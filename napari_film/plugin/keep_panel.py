"""What a person takes along, wired: a layer, a file, a command."""

from collections.abc import Callable, Sequence
from pathlib import Path

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog, QPushButton, QVBoxLayout, QWidget

from napari_film.plugin import keeping
from napari_film.plugin.mask_views import MaskViews
from napari_film.plugin.sentences import told
from napari_film.plugin.session import SegmentationSession

_SAVE = {False: "Save mask as NIfTI…", True: "Save mask as PNG, TIFF or NIfTI…"}
_NIFTI = "NIfTI (*.nii.gz *.nii)"


class KeepPanel(QWidget):
    """Three buttons, of use once there is something to keep.

    Parameters
    ----------
    session, views
        What is computed, and what is shown of it.
    origins
        Gives where each condition value of the shown mask is from.
    files
        Gives the images' files, one per channel.
    """

    def __init__(
        self, session: SegmentationSession, views: MaskViews, origins: keeping.Origins, files: Callable[[], Sequence[Path | None]]
    ) -> None:
        super().__init__()
        self._session = session
        self._views = views
        self._origins = origins
        self._files = files
        self._buttons = [
            _button("Keep as a layer", "film_keep", "Copy the mask to a layer of its own, that can be painted in.", self._keep),
            _button(_SAVE[False], "film_save", "Write the mask, and beside it how it was made.", self._save),
            _button("Copy command", "film_command", "Copy the command line that makes this mask, to the clipboard.", self._copy_command),
        ]
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for button in self._buttons:
            column.addWidget(button)
        session.progress_changed.connect(lambda done, _: self._enable(done > 0))
        session.plan_changed.connect(lambda _: self._buttons[1].setText(_SAVE[keeping.is_picture(session)]))
        self._enable(False)

    def save(self, path: Path) -> None:
        """Write the shown mask and its sidecar; raises InputError."""
        keeping.save(path, self._session, self._origins)

    def _enable(self, on: bool) -> None:
        for button in self._buttons:
            button.setEnabled(on)

    def _keep(self) -> None:
        if self._views.keep() is None:
            show_error("There is no mask to keep; press Segment first.")

    def _save(self) -> None:
        if keeping.is_picture(self._session):
            name, kinds = "mask.png", f"PNG (*.png);;TIFF (*.tif *.tiff);;{_NIFTI}"
        else:
            name, kinds = "mask.nii.gz", _NIFTI
        chosen, _ = QFileDialog.getSaveFileName(self, "Save mask", name, kinds)
        if chosen:
            with told():
                self.save(Path(chosen))

    def _copy_command(self) -> None:
        clipboard = QApplication.clipboard()
        with told():
            command = keeping.command(self._session, self._files())
            if clipboard is not None:
                clipboard.setText(command)
                show_info("The command is on the clipboard.")


def _button(text: str, name: str, tip: str, action: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.clicked.connect(lambda: action())
    return button

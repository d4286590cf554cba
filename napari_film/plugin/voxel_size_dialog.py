"""Asks for the voxel size of a layer that came without one."""

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QDoubleSpinBox, QFormLayout, QLabel, QWidget

from napari_film.plugin.layers import give_voxel_size

if TYPE_CHECKING:
    from napari.layers import Image, Labels

_ROWS = ("between slices (first axis)", "between rows (second axis)", "between columns (third axis)")


class VoxelSizeDialog(QDialog):
    """Three lengths in mm, along a layer's last three axes. They start empty: nothing is assumed."""

    def __init__(self, layer_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Voxel size")
        question = QLabel(f"“{layer_name}” does not say how large its voxels are. Without it, distances and volumes would be wrong.")
        question.setWordWrap(True)
        self._boxes = [QDoubleSpinBox() for _ in _ROWS]
        form = QFormLayout(self)
        form.addRow(question)
        for text, box in zip(_ROWS, self._boxes, strict=True):
            box.setRange(0, 1000)
            box.setDecimals(4)
            box.setSuffix(" mm")
            box.setSpecialValueText("not given")
            box.setSingleStep(0.5)
            box.valueChanged.connect(self._allow)
            form.addRow(text, box)
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        form.addRow(self._buttons)
        self._allow()

    def value(self) -> tuple[float, float, float] | None:
        """Voxel size in mm along the layer's last three axes; None while one is not given."""
        first, second, third = (box.value() for box in self._boxes)
        return (first, second, third) if min(first, second, third) > 0 else None

    def setValue(self, spacing: tuple[float, float, float]) -> None:
        """Fill in a voxel size in mm."""
        for box, size in zip(self._boxes, spacing, strict=True):
            box.setValue(size)

    def _allow(self) -> None:
        button = self._buttons.button(QDialogButtonBox.StandardButton.Ok)
        if button is not None:
            button.setEnabled(self.value() is not None)


def ask_voxel_size(layer: "Image | Labels", parent: QWidget | None = None) -> bool:
    """Ask for the voxel size of ``layer`` and set its scale and units; False if the person cancelled."""
    dialog = VoxelSizeDialog(str(layer.name), parent)
    accepted = dialog.exec() == QDialog.DialogCode.Accepted
    spacing = dialog.value()
    dialog.deleteLater()
    if not accepted or spacing is None:
        return False
    give_voxel_size(layer, spacing)
    return True

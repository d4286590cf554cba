"""The voxel size is asked for, never assumed."""

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QDialogButtonBox

from napari_film.plugin.layers import has_geometry, volume_from_layer
from napari_film.plugin.voxel_size_dialog import VoxelSizeDialog, ask_voxel_size


def test_nothing_is_given_until_all_three_are(qtbot):
    dialog = VoxelSizeDialog("array")
    qtbot.addWidget(dialog)
    ok = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok)
    assert dialog.value() is None
    assert not ok.isEnabled()
    dialog.setValue((3, 2, 0))
    assert dialog.value() is None
    dialog.setValue((3, 2, 1))
    assert dialog.value() == (3, 2, 1)
    assert ok.isEnabled()


def _answer(action):
    QTimer.singleShot(0, lambda: action(QApplication.activeModalWidget()))


def test_answer_is_set_on_the_layer_and_a_refusal_is_not(qtbot):
    layer = Image(np.zeros((4, 5, 6)))
    _answer(lambda dialog: dialog.reject())
    assert not ask_voxel_size(layer)
    assert not has_geometry(layer)
    _answer(lambda dialog: (dialog.setValue((3, 2, 1)), dialog.accept()))
    assert ask_voxel_size(layer)
    assert volume_from_layer(layer).spacing == (1, 2, 3)

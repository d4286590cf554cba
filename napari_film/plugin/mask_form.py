"""The editor of what is done to probabilities after the network: a threshold and a clean-up."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_film.inference.postprocessing import Postprocessing
from napari_film.plugin.number_box import NumberBox
from napari_film.plugin.slider import Slider

_LARGEST_MM3 = 1_000_000.0
_DEFAULT = 128  # 256ths


class MaskForm(QWidget):
    """Knows a `Postprocessing` and the checkpoint's own thresholds; ``valueChanged`` follows the slider while it is dragged."""

    valueChanged = Signal(object)  # Postprocessing

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._own: tuple[int, ...] = (_DEFAULT,)
        self._threshold: int | None = None
        self._slider = Slider(1, 255)
        self._slider.setObjectName("film_threshold")
        self._slider.setToolTip("Probability from which a voxel belongs to the mask.")
        self._slider.valueChanged.connect(self._slid)
        self._number = QLabel()
        self._number.setMinimumWidth(self._number.fontMetrics().horizontalAdvance("0.000"))
        self._model = QPushButton()
        self._model.setObjectName("film_own_threshold")
        self._model.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._model.setToolTip("Go back to the threshold that did best in validation, for the shown condition value.")
        self._model.clicked.connect(self._give_back)
        self._caption = QLabel()
        self._caption.setObjectName("film_threshold_caption")
        self._caption.setWordWrap(True)
        self._largest = QCheckBox("Largest component only")
        self._largest.setObjectName("film_largest")
        self._fill = QCheckBox("Fill holes")
        self._fill.setObjectName("film_fill_holes")
        self._small = NumberBox(0, _LARGEST_MM3)
        self._small.setObjectName("film_smallest")
        self._small.setSuffix(" mm³")
        self._small.setSpecialValueText("off")
        self._small.setSingleStep(10)
        self._status = QLabel()
        self._status.setObjectName("film_clean_status")
        self._status.setWordWrap(True)
        for box in (self._largest, self._fill):
            box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            box.toggled.connect(lambda _: self._tell())
        self._small.valueChanged.connect(lambda _: self._tell())
        self._lay_out()
        self._show()
        self.setStatus("")

    def value(self) -> Postprocessing:
        """What is to be done."""
        return Postprocessing(
            threshold=self._threshold,
            largest_component=self._largest.isChecked(),
            smallest_mm3=self._small.value(),
            fill_holes=self._fill.isChecked(),
        )

    def setValue(self, value: Postprocessing) -> None:
        """Show ``value``; emits where it is another."""
        before = self.value()
        blocked = self.blockSignals(True)
        self._threshold = value.threshold
        self._largest.setChecked(value.largest_component)
        self._fill.setChecked(value.fill_holes)
        self._small.setValue(value.smallest_mm3)
        self._show()
        self.blockSignals(blocked)
        if self.value() != before:
            self._tell()

    def setOwnThresholds(self, thresholds: Sequence[int]) -> None:
        """Say what the checkpoint's thresholds for the shown mask are, in 256ths, one per label."""
        self._own = tuple(thresholds) or (_DEFAULT,)
        self._show()

    def setStatus(self, text: str) -> None:
        """Say how it stands with the clean-up."""
        self._status.setText(text)
        self._status.setVisible(bool(text))

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.addWidget(self._slider, stretch=1)
        line.addWidget(self._number)
        form = QFormLayout()
        form.addRow("Remove components below", self._small)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(QLabel("Probability threshold"))
        column.addLayout(line)
        column.addWidget(self._caption)
        column.addWidget(self._model)
        column.addWidget(self._largest)
        column.addWidget(self._fill)
        column.addLayout(form)
        column.addWidget(self._status)

    def _slid(self, steps: int) -> None:
        self._threshold = steps
        self._tell()

    def _give_back(self) -> None:
        self._threshold = None
        self._tell()

    def _tell(self) -> None:
        self._show()
        self.valueChanged.emit(self.value())

    def _show(self) -> None:
        own = " / ".join(f"{threshold / 256:.2f}" for threshold in dict.fromkeys(self._own))
        shown = self._own[0] if self._threshold is None else self._threshold
        self._slider.show_value(shown)
        self._number.setText(f"{shown / 256:.3f}")
        self._number.setVisible(self._threshold is not None or len(set(self._own)) == 1)
        self._model.setText(f"Model's threshold ({own})")
        self._model.setEnabled(self._threshold is not None)
        self._caption.setText("The model's for this value." if self._threshold is None else "Chosen by you, for every value and class.")

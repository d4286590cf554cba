"""Start and stop, how far it is, and what it runs on."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_film.inference.plan import Plan
from napari_film.plugin.session import State

_BUSY = (State.RUNNING, State.AHEAD)
_STATES = {State.RUNNING: "computing", State.AHEAD: "computing other values", State.FAILED: "failed"}
_DEVICES = {"cpu": "CPU", "cuda": "GPU", "mps": "Apple GPU"}
_PRECISIONS = {"float32": "32-bit", "bfloat16": "16-bit (bfloat16)"}


class RunPanel(QWidget):
    """A *Segment* button that becomes *Cancel*, a progress bar, the device, and a banner for what a person should know.

    Shows what it is told and knows no session: `setState`, `setProgress`, `setPlan`, `setBanner`.
    """

    segment_clicked = Signal()
    cancel_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = State.EMPTY
        self._button = QPushButton("Segment")
        self._button.setObjectName("film_segment")
        self._button.clicked.connect(self._clicked)
        self._bar = QProgressBar()
        self._bar.setTextVisible(True)
        self._device = QLabel()
        self._device.setObjectName("film_device")
        self._device.setWordWrap(True)
        self._progress = ""
        self._banner = QLabel()
        self._banner.setWordWrap(True)
        self._banner.setObjectName("film_banner")
        self._banner.setStyleSheet("QLabel { background: #6b4a00; color: #fff3d6; padding: 4px; border-radius: 2px; }")
        self._banner.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        layout.addWidget(self._bar)
        layout.addWidget(self._device)
        layout.addWidget(self._banner)
        self.setState(State.EMPTY)
        self.setProgress(0, 0)
        self.setPlan(None)

    def setState(self, state: State) -> None:
        """Show where the session stands."""
        self._state = state
        self._button.setText("Cancel" if state in _BUSY else "Segment")
        self._button.setEnabled(state not in (State.EMPTY, State.CLOSED))
        self._button.setToolTip("Choose a model first." if state is State.EMPTY else "")
        self._label_bar()

    def setProgress(self, done: int, total: int) -> None:
        """Show how many slices of the shown mask were computed."""
        told = f"{done} of {total} slice{'s' * (total != 1)}" if total else "no mask yet"
        if told == self._progress:
            return  # nor is it painted where nothing has changed
        self._bar.setUpdatesEnabled(False)  # else the bar paints at once, and the whole window with it, for every slice
        self._bar.setRange(0, max(total, 1))
        self._bar.setValue(done)
        self._bar.setUpdatesEnabled(True)
        self._progress = told
        self._label_bar()

    def setPlan(self, plan: Plan | None, *, checked: str = "") -> None:
        """Show what the network runs on, None before it is loaded; ``checked`` says what a comparison of precisions has shown."""
        if plan is None:
            self._device.setText("Device: none in use yet")
        else:
            words = [_DEVICES[plan.device], _PRECISIONS[plan.precision]]
            if checked and plan.precision != "float32":
                words.append("checked against 32-bit")
            self._device.setText(f"Device: {', '.join(words)}")
        self._device.setToolTip(checked)

    def setBanner(self, sentences: Sequence[str]) -> None:
        """Show what stays true until the next run; nothing hides the banner."""
        self._banner.setText("\n".join(sentences))
        self._banner.setVisible(bool(sentences))

    def _clicked(self) -> None:
        (self.cancel_clicked if self._state in _BUSY else self.segment_clicked).emit()

    def _label_bar(self) -> None:
        words = [self._progress, _STATES.get(self._state, "")]
        self._bar.setFormat(", ".join(filter(None, words)))

"""The dock below the picture: numbers of the compared masks, where the network listens to the metadata, and where it looks."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtWidgets import QPushButton, QTabWidget, QVBoxLayout, QWidget

from napari_film.inference.film_space import FiLMSpace, film_space
from napari_film.plugin.appearance import summary
from napari_film.plugin.choice import Choice, steps
from napari_film.plugin.errands import Errands
from napari_film.plugin.film_panel import FiLMPanel
from napari_film.plugin.mask_views import MaskViews
from napari_film.plugin.numbers import Numbers
from napari_film.plugin.numbers_panel import NumbersPanel
from napari_film.plugin.opened_layers import OpenedLayers
from napari_film.plugin.session import SegmentationSession
from napari_film.plugin.where_it_looks import WhereItLooks
from napari_film.plugin.where_it_looks_panel import WhereItLooksPanel
from napari_film.plugin.workbench import Workbench

if TYPE_CHECKING:
    import napari.viewer

NAME = "FiLM comparison"
_TOPIC = "film space"
_SIZE = QSize(900, 250)  # px at first: γ and β of four values, or a table of as many
_LEAST = 140  # px of height


class ComparisonDock(QWidget):
    """Opens below the canvas when one of its buttons is pressed, and again after its cross."""

    def __init__(
        self,
        viewer: "napari.viewer.Viewer",
        session: SegmentationSession,
        errands: Errands,
        workbench: Workbench,
        images: OpenedLayers,
        views: MaskViews,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._session = session
        self._errands = errands
        self._workbench = workbench
        self._docked = False
        self.numbers_panel = NumbersPanel()
        self.film_panel = FiLMPanel()
        self.numbers = Numbers(viewer, session, errands, workbench, self.numbers_panel)
        self.look_panel = WhereItLooksPanel()
        self.looks = WhereItLooks(viewer, session, errands, images, lambda: views.slots.needed, self.look_panel)
        self._tabs = QTabWidget()
        self._tabs.addTab(self.numbers_panel, "Numbers")
        self._tabs.addTab(self.film_panel, "Inside the model")
        self._tabs.addTab(self.look_panel, "Where does it look")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._tabs)
        self.setMinimumHeight(_LEAST)
        self.numbers_button = _button("Table below the picture", "film_numbers", "Volumes, components, Dice and distances of the masks.")
        self.inside_button = _button("Plot γ and β below the picture", "film_inside", "Where the network listens to the metadata.")
        self.look_button = _button("Draw where it looks", "film_look", "The windows that the metadata place, drawn over the image.")
        self.numbers_button.clicked.connect(lambda: self.open(self.numbers_panel))
        self.inside_button.clicked.connect(lambda: self.open(self.film_panel))
        self.look_button.clicked.connect(self._look)
        session.checkpoint_changed.connect(lambda _: self._show_space())
        session.choices_changed.connect(self._show_space)
        workbench.fieldChanged.connect(lambda _: self._show_space())
        self._tabs.currentChanged.connect(lambda _: self._show_space())
        self._shown: Any = None

    def sizeHint(self) -> QSize:
        """The size at first; a person can make it lower."""
        return _SIZE

    def open(self, panel: QWidget) -> None:
        """Show a panel below the canvas."""
        if not self._docked:
            self._viewer.window.add_dock_widget(self, name=NAME, area="bottom")
        self._tabs.setCurrentWidget(panel)
        parent = self.parentWidget()
        if parent is not None:
            parent.show()
        self._show_space()

    def _look(self) -> None:
        """Who presses the button wants to see something: what was turned off is on again."""
        look = self.look_panel.value()
        if not (look.ellipses or look.heat):
            self.look_panel.setValue(replace(look, ellipses=True, heat=True))
        self.open(self.look_panel)

    def close_dock(self) -> None:
        """Go with the main dock."""
        self.numbers.close()
        self.looks.close()
        if self._docked:
            self._viewer.window.remove_dock_widget(self)
        self.deleteLater()

    def event(self, event: QEvent | None) -> bool:
        """Know whether it stands in the window: its cross takes the widget out of it, without a closeEvent."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            self._docked = self.parent() is not None
            self.looks.set_open(self._docked)
        return super().event(event)

    def _show_space(self) -> None:
        """Plot the values of the chosen field, the others as they are in the slot that is edited."""
        if not self._docked or self._tabs.currentWidget() is not self.film_panel:
            return
        checkpoint, choice, name = self._session.checkpoint, self._session.choice, self._workbench.field
        if checkpoint is None or choice is None:
            self._shown = None
            self.film_panel.setSpace(None)
            return
        choices = [choice]
        if name is not None and name in choice.metadata:  # while another model is being shown it is still one of the former's
            choices = [Choice(choice.header, {**choice.metadata, name: value}) for value in steps(choice.header, name)]
        conditions = {summary(each): each.conditions()[0] for each in choices}
        wanted = (checkpoint, conditions)
        if wanted == self._shown:
            return
        self._shown = wanted

        def done(space: FiLMSpace) -> None:
            self.film_panel.setBusy(None)
            self.film_panel.setSpace(space)

        self.film_panel.setBusy("Reading γ and β…")
        self._errands.submit(_TOPIC, lambda _: film_space(checkpoint, conditions), done, self.film_panel.setBusy)


def _button(text: str, name: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button

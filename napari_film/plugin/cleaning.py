"""Clean-ups of the masks in view, done aside: each needs a whole mask, and so time.

Until one is done a layer shows the mask as it is without. What was cleaned is kept as long as its mask is in view.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_film.plugin.composition import Composition
from napari_film.plugin.errands import Errands

_REST = 150  # ms that a slider has to rest before masks are cleaned anew
_TOPIC = "clean"
_WAITS = "The clean-up follows when all slices are computed."
_CLEANS = "Cleaning up…"


class Cleaning(QObject):
    """Has one mask after the other cleaned up.

    Parameters
    ----------
    errands
        Where that is done.
    in_view
        Gives the masks in view, as they are at that moment.
    """

    cleaned = Signal()  # another mask was cleaned up
    told = Signal(str)  # how it stands, in a few words; empty where there is nothing to say

    def __init__(self, errands: Errands, in_view: Callable[[], Sequence[Composition]], parent: QObject) -> None:
        super().__init__(parent)
        self._errands = errands
        self._in_view = in_view
        self._under_way: Any = None  # identity of what is being cleaned up
        self._done: dict[Any, tuple[Composition, NDArray[np.uint8]]] = {}  # the compositions keep their identities alive
        self._rest = QTimer(self)
        self._rest.setInterval(_REST)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._begin)

    @property
    def busy(self) -> bool:
        """Whether a clean-up is under way, or soon will be."""
        return self._rest.isActive() or self._errands.busy(_TOPIC)

    def labels(self, composition: Composition) -> NDArray[np.uint8] | None:
        """Labels (N, H, W) of a mask that was cleaned up; None where it was not, or need not be."""
        found = self._done.get(composition.identity)
        return None if found is None else found[1]

    def look(self) -> None:
        """Forget what is no longer in view, and clean up what is, once nothing has changed for a moment."""
        known = {composition.identity for composition in self._in_view()}
        self._done = {identity: kept for identity, kept in self._done.items() if identity in known}
        if self._under_way not in known:
            self._errands.cancel(_TOPIC)
        self._rest.start()

    def take_note(self) -> None:
        """See whether a mask has become whole that is to be cleaned up."""
        if self._missing():
            self._rest.start()

    def stop(self) -> None:
        """Let go of everything."""
        self._rest.stop()
        self._errands.cancel(_TOPIC)
        self._done.clear()
        self.told.emit("")

    def _missing(self) -> list[Composition]:
        """The masks in view that are whole, shall be cleaned up and were not yet."""
        return [one for one in self._in_view() if one.postprocessing.cleans and one.complete and one.identity not in self._done]

    def _begin(self) -> None:
        missing = self._missing()
        if not missing:
            self._errands.cancel(_TOPIC)  # what is under way is of a mask that is no longer in view
            waits = any(one.postprocessing.cleans and not one.complete for one in self._in_view())
            self.told.emit(_WAITS if waits else "")
            return
        composition = missing[0]
        if self._errands.busy(_TOPIC) and self._under_way == composition.identity:
            return

        def done(labels: NDArray[np.uint8]) -> None:
            self._done[composition.identity] = (composition, labels)
            self.cleaned.emit()

        self._under_way = composition.identity
        self._errands.submit(_TOPIC, composition.labels, done, self.told.emit)
        self.told.emit(_CLEANS)

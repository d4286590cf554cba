"""Keys of the dock: on the canvas by napari's key bindings, inside the dock by Qt's shortcuts.

A key that nobody in the dock takes goes on to napari's window and from there to the bindings, but not out of a dock that
floats, and not past a widget that takes letters itself. So both are bound; Qt's comes first, and a key runs one of them.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QApplication, QShortcut, QWidget

if TYPE_CHECKING:
    import napari.viewer


class Shortcuts:
    """Lets keys call back, wherever the keyboard is but in a box that a person types in.

    The last one made has the keys of the canvas; closing it gives them back to whoever had them before. An active Shapes
    layer keeps the letters that it needs for itself: napari asks the layer first.

    Parameters
    ----------
    viewer
        Whose canvas the keys work on.
    dock
        Inside which they work too, docked or floating.
    callbacks
        What each key does, by its name, such as "T" or ",".
    """

    def __init__(self, viewer: "napari.viewer.Viewer", dock: QWidget, callbacks: Mapping[str, Callable[[], None]]) -> None:
        self._viewer = viewer
        self._bindings = {}
        self._shortcuts = []
        for key, callback in callbacks.items():
            binding = _Binding(key, callback, _bound(viewer, key))
            viewer.bind_key(key, binding, overwrite=True)
            self._bindings[key] = binding
            shortcut = QShortcut(QKeySequence(key), dock)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.setAutoRepeat(False)  # as on the canvas
            shortcut.activated.connect(partial(_unless_a_list_is_open, callback))
            self._shortcuts.append(shortcut)

    def close(self) -> None:
        """Let go of the keys; a second time does nothing."""
        for key, binding in self._bindings.items():
            binding.closed = True
            if _bound(self._viewer, key) is binding:  # else somebody has taken it over since
                self._viewer.bind_key(key, binding.before(), overwrite=True)
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._bindings = {}
        self._shortcuts = []


class _Binding:
    """What napari calls for a key, and who had the key before."""

    def __init__(self, key: str, callback: Callable[[], None], former: "_Bound") -> None:
        self.__name__ = f"film_{key}"
        self._callback = callback
        self._former = former
        self.closed = False

    def __call__(self, viewer: Any) -> None:
        if not self.closed:
            self._callback()

    def before(self) -> "_Bound":
        """Who had the key before and is still there: a dock that was closed meanwhile gets no key back."""
        former = self._former
        return former.before() if isinstance(former, _Binding) and former.closed else former


_Bound = _Binding | Callable[..., Any] | EllipsisType | None


def _bound(viewer: "napari.viewer.Viewer", key: str) -> _Bound:
    """What ``key`` is bound to on this viewer; None where it is free."""
    bound: dict[str, _Bound] = {str(name): function for name, function in viewer.keymap.items()}
    return bound.get(key)


def _unless_a_list_is_open(callback: Callable[[], None]) -> None:
    if QApplication.activePopupWidget() is None:
        callback()

"""Importing torch on a thread, while another one has a window to draw.

An import holds Python's lock, and the window waits. Three things hold it for long, and can be had otherwise:

- the libraries of torch are linked, 0.3 to 0.4 s in one go. Linked beforehand by the system's own ``dlopen``, which ctypes
  calls without the lock, they are only looked up by the import.
- the collector of cycles goes through everything there is, since so many objects are new: 0.1 s and more. What an import
  makes is there to stay, so it is put among the old objects unseen.
- of the rest each thread gets the lock for 5 ms in turn, and drawing asks for it a hundred times a frame. Here turns are short.
"""

import ctypes
import gc
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIBRARIES = ("libtorch_global_deps.so", "libtorch.so")  # in the order in which torch does it
_TURN = 0.0005  # s
_one = threading.Lock()  # of several threads the first imports, and the others find it done


@contextmanager
def unobtrusive_import() -> Iterator[None]:
    """Let what imports torch inside, on this thread, keep other threads waiting as little as can be."""
    with _one:
        if "torch" in sys.modules:
            yield
            return
        _link()
        turn, collects = sys.getswitchinterval(), gc.isenabled()
        sys.setswitchinterval(min(turn, _TURN))
        gc.disable()
        try:
            yield
        finally:
            if gc.get_freeze_count() == 0:  # else somebody wants the frozen ones kept apart
                gc.freeze()
                gc.unfreeze()
            if collects:
                gc.enable()
            sys.setswitchinterval(turn)


def _link() -> None:
    """Link torch's libraries, if this is a system where that is known to help; what cannot be linked is left to torch."""
    found = importlib.util.find_spec("torch")
    if sys.platform != "linux" or found is None or found.origin is None:
        return
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    for name in _LIBRARIES:
        path = Path(found.origin).parent / "lib" / name
        if path.is_file():
            dlopen(os.fsencode(path), os.RTLD_LAZY | os.RTLD_GLOBAL if name == _LIBRARIES[0] else os.RTLD_LAZY)

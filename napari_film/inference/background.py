"""Threads that work while a person works: they let the window's thread go first.

On Linux each thread has a niceness of its own, and threads that it starts inherit it: OpenMP's, which compute for the engine,
too. Where nobody else wants the cores it costs nothing. Elsewhere a thread's priority is left as it is.
"""

import os
import sys
import threading

_NICE = 10  # of 19; one core that two such threads want goes to the window's for 9 parts of 10


def stand_back() -> None:
    """Let this thread, and those that it starts from now on, come after the process's others."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        try:
            os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + _NICE))
        except OSError:  # a system that forbids it computes all the same
            return

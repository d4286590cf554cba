"""Threads that work while a person works: they let the window's thread go first.

On Linux each thread has a niceness of its own, and threads that it starts inherit it: OpenMP's, which compute for the engine,
too. Where nobody else wants the cores it costs nothing. Elsewhere a thread's priority is left as it is. Linux has a policy for
idle time only (SCHED_IDLE), with which the window is disturbed even less; but a thread cannot leave it, and beside other people's
work on a full machine inference then stands still.
"""

import os
import sys
import threading

_NICE = 19  # the most; of two cores that both want, the window's thread has all but some hundredths


def stand_back() -> None:
    """Let this thread, and those that it starts from now on, come after the process's others."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        try:
            os.setpriority(os.PRIO_PROCESS, thread, _NICE)
        except OSError:  # a system that forbids it computes all the same
            return

"""The memory allocator of a training process: what a step frees is kept for the next one.

glibc gives large pieces back to the system as soon as they are freed and asks for them again in the next step, page by page, each
of them zeroed: hundreds of thousands of pages a step for a network of width 64. The price is a process that never shrinks, and whose
heap has some holes. Only a process of ours is told so, never napari's.
"""

import ctypes
import os
import sys

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1
_NEVER = -1


def keep_memory() -> bool:
    """Tell this process's allocator to keep what is freed; say whether it was told.

    Nothing is changed where the allocator is not glibc's, or a person has set it by MALLOC_... or GLIBC_TUNABLES.
    """
    if not sys.platform.startswith("linux") or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))

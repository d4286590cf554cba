"""The machine that figures were read on, told without torch, and the memory that a process took."""

import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("napari-film", "torch", "numpy", "scipy", "nibabel", "napari")
_TOLD = ("OMP_", "KMP_", "MKL_", "MALLOC_", "ONEDNN_", "LD_PRELOAD")


def processor() -> str:
    """Name of the processor, as the system tells it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe() -> str:
    """Processor, cores, memory, system, and how busy it is at this moment."""
    parts = [processor(), f"{os.cpu_count()} cores"]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        parts.append(f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB")
    parts.append(f"{platform.system()} {platform.release()}")
    if hasattr(os, "getloadavg"):
        parts.append(f"load average {os.getloadavg()[0]:.1f} at the start")
    return ", ".join(parts)


def versions() -> str:
    """Versions of Python and of what the figures depend on."""
    found = [f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def environment() -> str:
    """Settings of threads and memory that the benchmarks were started with."""
    told = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(_TOLD)]
    return ", ".join(told) or "none"


def peak_memory() -> int:
    """Most bytes that this process has had resident so far.

    The kernel's ``ru_maxrss`` begins with what the parent had when it started the process; ``VmHWM`` does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return maxrss_bytes(resource.getrusage(resource.RUSAGE_SELF))


def maxrss_bytes(usage: resource.struct_rusage) -> int:
    """``ru_maxrss`` in bytes; macOS counts bytes, Linux kibibytes."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

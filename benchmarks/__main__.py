"""Run every benchmark and print a table: `make bench`. The last results stand in RESULTS.md, with their machine."""

import os
import platform
from pathlib import Path

import torch

from benchmarks.inference import time_command_line, time_slice


def processor() -> str:
    """Name of the processor, as the system tells it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    """Measure and print."""
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    print(f"{processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads; {versions}")
    print(f"{'what':<48}{'median ms':>12}{'minimum ms':>12}{'runs':>6}")
    for timing in [measure(model) for model in ("spinal_tumor", "abdomen") for measure in (time_slice, time_command_line)]:
        print(f"{timing.what:<48}{1000 * timing.median:>12.1f}{1000 * timing.minimum:>12.1f}{timing.runs:>6}")


if __name__ == "__main__":
    main()

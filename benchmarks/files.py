"""The files that cases need, written by processes of their own.

The kernel counts a process's peak memory from what its parent had, so a case that starts what it measures stays small.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.settings import Setting
from benchmarks.side import REPOSITORY


def write_checkpoint(setting: Setting, folder: Path) -> Path:
    """Write the network of ``setting`` into ``folder``."""
    path = folder / f"{setting.film}-{setting.depth}-{setting.features}.safetensors"
    subprocess.run([sys.executable, "-m", "benchmarks.networks", setting.model_dump_json(), path], cwd=REPOSITORY, check=True)
    return path


def write_scan(path: Path, shape: Sequence[int], spacing: Sequence[float]) -> Path:
    """Write a scan of ``shape`` (I, J, K) voxels of ``spacing`` mm, int16, .nii or .nii.gz."""
    words = [*map(str, shape), *map(str, spacing)]
    subprocess.run([sys.executable, "-m", "benchmarks.scans", path, *words], cwd=REPOSITORY, check=True)
    return path

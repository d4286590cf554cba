"""Public data sets, in the layout in which they are published, made ready for training: a table and a recipe, no copies of images."""

from collections.abc import Callable, Mapping
from pathlib import Path

from .acdc import read_acdc
from .kits19 import read_kits19
from .msd import read_msd
from .published import RECIPE, TABLE, Published, prepare

__all__ = ["READERS", "RECIPE", "TABLE", "Published", "prepare"]

READERS: Mapping[str, Callable[[Path], Published]] = {"msd": read_msd, "kits19": read_kits19, "acdc": read_acdc}
"""What reads each data set, by the name that the command knows it by."""

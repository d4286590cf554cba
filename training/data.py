"""Where a run's cases come from: a BIDS folder, or a phantom that is generated when it is not there."""

import shutil
from pathlib import Path

from rich.console import Console

from napari_film.sample_data import write_phantom

from .manifest import Case, read_bids
from .progress import counted
from .recipe import Phantom, Recipe


def find_cases(recipe: Recipe, output: Path, *, data: Path | None, console: Console) -> tuple[tuple[Case, ...], str]:
    """Give the cases of ``recipe`` (of the BIDS folder ``data``, if given), and in a few words where they come from."""
    if data is not None:
        return read_bids(data, recipe), f"BIDS folder {data.resolve().name}"
    if recipe.data.bids is not None:
        return read_bids(recipe.data.bids, recipe), f"BIDS folder {recipe.data.bids.resolve().name}"
    phantom = recipe.data.phantom
    if phantom is None:
        raise ValueError("a recipe has one source of data")
    return read_bids(_phantom_folder(phantom, output, console), recipe), f"phantom {phantom.kind}, seed {phantom.seed}"


def _phantom_folder(phantom: Phantom, output: Path, console: Console) -> Path:
    """Folder of the phantom under ``output``; generated whole, or not at all."""
    one_organ = "-one-organ" if phantom.one_organ_per_scan else ""
    folder = output / f"phantom-{phantom.kind}-{phantom.subjects}-seed{phantom.seed}{one_organ}"
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    if unfinished.is_dir():
        shutil.rmtree(unfinished)
    with counted(console, f"drawing phantom {phantom.kind}", phantom.subjects) as advance:
        write_phantom(
            phantom.kind,
            unfinished,
            subjects=phantom.subjects,
            seed=phantom.seed,
            one_organ_per_scan=phantom.one_organ_per_scan,
            progress=lambda done, total: advance(),
        )
    unfinished.rename(folder)
    return folder

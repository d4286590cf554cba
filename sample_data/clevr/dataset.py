"""Write CLEVR-Seg: pictures, instance maps and answers as PNG, and the tables that `napari-film-train` reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from napari_film.sample_data import bids_tree

from .layout import COLOURS, MARGIN, SIDE
from .scene import FEWEST_PIXELS, KIND, LABELS, NEARBY, QUADRANTS, Map, draw_places, draw_scene

MOST_SCENES = 10_000
FOLDER = "scenes"
QUESTIONS = ("quadrant", *LABELS, "location")

Row = dict[str, object]

_PERIOD = 25  # 18 train, 2 validation, 5 test, as 2880, 320 and 800 of 4000
_VALIDATION, _TEST = (1, 13), (2, 7, 12, 17, 22)


def split(index: int) -> str:
    """Give the part that scene ``index`` belongs to, the same whatever their number."""
    place = index % _PERIOD
    return "validation" if place in _VALIDATION else "test" if place in _TEST else "train"


def write(directory: Path, *, scenes: int, seed: int, processes: int, progress: Callable[[int, int], None] | None) -> Path:
    """Write ``scenes`` scenes into ``directory``; see `napari_film.sample_data.write_phantom`. The tables come last, once all is there."""
    tables: dict[str, list[Row]] = {name: [] for name in ("scene-attributes", *QUESTIONS)}
    bids_tree.start(directory)
    (directory / FOLDER).mkdir()
    for done, rows in enumerate(_written(directory, scenes, seed, processes), 1):
        for name, found in rows.items():
            tables[name] += found
        if progress is not None:
            progress(done, scenes)
    _describe(directory, seed)
    for name, found in tables.items():
        bids_tree.write_table(directory / f"{name}.tsv", found)
    return directory


def write_scene(directory: Path, seed: int, index: int) -> dict[str, list[Row]]:
    """Write the files of scene ``index`` and return its rows of each table."""
    scene = draw_scene(seed, index)
    name = f"scene-{index + 1:05d}"

    def keep(what: str, picture: Map) -> str:
        path = f"{FOLDER}/{name}{what}.png"
        Image.fromarray(picture).save(directory / path)
        return path

    keep("_instances", scene.instances)
    asked: Row = {"subject": name, "image": keep("", scene.picture())}
    part: Row = {"split": split(index)}
    rows = {
        "scene-attributes": [{"subject": name, **row} for row in scene.rows()],
        "quadrant": [{**asked, "mask": keep("_quadrant", scene.answer("quadrant")), **part}],
    }
    for question in LABELS:
        answer = keep(f"_{question}", scene.answer(question))
        rows[question] = [{**asked, "mask": answer, **part, "present": ";".join(scene.present(question))}]
    rows["location"] = [
        {**asked, "session": number, "mask": keep(f"_location-{number}", scene.at(place)), **part, "x": place.x, "y": place.y}
        for number, place in enumerate(draw_places(seed, index), 1)
    ]
    return rows


def _written(directory: Path, scenes: int, seed: int, processes: int) -> Iterator[dict[str, list[Row]]]:
    work = partial(write_scene, directory, seed)
    if processes < 2 or scenes < 2:
        yield from map(work, range(scenes))
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(work, range(scenes), chunksize=4)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what was asked for and not begun would be drawn to its end
            raise


def _describe(directory: Path, seed: int) -> None:
    """Write the data set's description, README, and what the labels mean."""
    bids_tree.write_json(
        directory / "dataset_description.json",
        {
            "Name": f"PHANTOM (synthetic): {KIND}",
            "License": "CC0",
            "Acknowledgements": "Drawn from formulas after CLEVR and CLEVR-Seg; no file of either is in it.",
            "GeneratedBy": [{"Name": "napari_film.sample_data", "Parameters": {"kind": KIND, "seed": seed}}],
        },
    )
    bids_tree.write_text(directory / "README", _ABOUT)
    rows: list[Row] = []
    for bit, name in QUADRANTS.items():
        held = [label for label in POSSIBLE if label & bit]
        rows.append({"question": "quadrant", "value": name, "labels": ";".join(map(str, held))})
    for question, values in LABELS.items():
        rows += [{"question": question, "value": value, "labels": label} for label, value in enumerate(values, 1)]
    rows.append({"question": "location", "value": "meant", "labels": 1})
    bids_tree.write_table(directory / "labels.tsv", rows)


POSSIBLE = (1, 2, 3, 4, 5, 8, 10, 12, 15)
"""Sets of quadrants, as bits, that an object can belong to: one, two side by side, or all."""

_ABOUT = f"""PHANTOM: pictures drawn from formulas, {SIDE} x {SIDE} pixels, of objects in {len(COLOURS)} colours.

scenes/scene-N.png            the picture, RGB
scenes/scene-N_instances.png  which object each pixel's middle shows; 0 is the floor
scenes/scene-N_QUESTION.png   the answer to a question as labels; labels.tsv says what they mean
scene-attributes.tsv          the objects, one a line
QUESTION.tsv                  tables for napari-film-train: subject, image, mask, split, metadata

An object is where the centroid of its visible pixels ({FEWEST_PIXELS} or more) is,
and on both sides of a midline within {MARGIN:g} pixels of it.
location: all objects whose centroid lies within {NEARBY:g} pixels of (x, y), and always the nearest; x to the right, y down, -1 to 1.
How it is made, and what is unlike CLEVR: docs/phantoms.md.
"""

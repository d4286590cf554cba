"""One scene: a layout that keeps the rules, what is seen of each object, and the answers to questions about it.

The rules: `FEWEST` to `MOST` objects, each with at least `FEWEST_PIXELS` visible pixels, and in every quadrant of the image at least
one object. An object is where the centroid of its visible pixels is; see `layout.quadrants` for the margin.

Answers are label maps, uint8 (rows, columns), 0 where nothing is meant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_film.sample_data.fields import generator

from .layout import COLOURS, FEWEST, MOST, RADII, SHAPES, SIDE, Layout, Thing, draw_layout, quadrants
from .renderer import instances, render, unoccluded

KIND = "clevr_seg"
FEWEST_PIXELS = 40  # of each object, visible
NEARBY = 40.0  # pixels: whose centroid lies within it of a place is meant by it; where none does, the nearest object is

QUADRANTS = {1: "upper left", 2: "upper right", 4: "lower left", 8: "lower right"}
"""Bits of the answer to `quadrant`."""

LABELS: dict[str, tuple[str, ...]] = {"colour": tuple(COLOURS), "shape": SHAPES, "size": tuple(RADII)}
"""What labels 1, 2, ... mean in the other answers."""

Map = NDArray[np.uint8]


@dataclass(frozen=True)
class Place:
    """A place asked about: x to the right and y down, -1 to 1 over the image."""

    x: float
    y: float

    @property
    def pixel(self) -> tuple[float, float]:
        """Give its (row, column)."""
        return (self.y + 1) * SIDE / 2, (self.x + 1) * SIDE / 2


@dataclass(frozen=True)
class Scene:
    """A layout and its instance map: 1.. in the order of ``layout.things``."""

    layout: Layout
    instances: Map

    @cached_property
    def pixels(self) -> list[int]:
        """Visible pixels of each object."""
        counted: list[int] = np.bincount(self.instances.ravel(), minlength=len(self.things) + 1)[1:].tolist()
        return counted

    @cached_property
    def centroids(self) -> list[tuple[float, float]]:
        """(row, column) of the visible pixels of each object, in the mean; the middle of the first pixel is (0.5, 0.5)."""
        found = [np.nonzero(self.instances == number) for number in range(1, len(self.things) + 1)]
        return [(float(rows.mean()) + 0.5, float(columns.mean()) + 0.5) for rows, columns in found]

    @property
    def things(self) -> tuple[Thing, ...]:
        """Give the objects."""
        return self.layout.things

    def picture(self) -> Map:
        """Render it: (rows, columns, 3)."""
        return render(self.layout)

    def quadrants(self) -> list[int]:
        """Quadrants of each object, as bits."""
        return [quadrants(*centroid) for centroid in self.centroids]

    def answer(self, question: str) -> Map:
        """Give the label map of ``quadrant`` (bits), ``colour``, ``shape`` or ``size`` (see `LABELS`)."""
        if question == "quadrant":
            return self._mapped(self.quadrants())
        return self._mapped([LABELS[question].index(getattr(thing, question)) + 1 for thing in self.things])

    def present(self, question: str) -> tuple[str, ...]:
        """Values of ``colour``, ``shape`` or ``size`` that the scene holds."""
        held = {getattr(thing, question) for thing in self.things}
        return tuple(value for value in LABELS[question] if value in held)

    def at(self, place: Place) -> Map:
        """Give the map, 1 where an object is meant by ``place``: all within `NEARBY` pixels, and always the nearest."""
        apart = [math.dist(place.pixel, centroid) for centroid in self.centroids]
        reach = max(NEARBY, min(apart))
        return self._mapped([int(distance <= reach) for distance in apart])

    def rows(self) -> list[dict[str, object]]:
        """Describe the objects, one a row, in the order of the instance map."""
        alone = unoccluded(self.layout)
        return [
            {
                "instance": number,
                "shape": thing.shape,
                "size": thing.size,
                "colour": thing.colour,
                "material": thing.material,
                "floor_x": f"{thing.centre[0]:.3f}",
                "floor_y": f"{thing.centre[1]:.3f}",
                "turned": f"{math.degrees(thing.angle):.1f}" if thing.shape == "cube" else None,
                "row": f"{self.centroids[number - 1][0]:.2f}",
                "column": f"{self.centroids[number - 1][1]:.2f}",
                "quadrants": ";".join(name for bit, name in QUADRANTS.items() if quadrants(*self.centroids[number - 1]) & bit),
                "visible_pixels": self.pixels[number - 1],
                "unoccluded_pixels": alone[number - 1],
            }
            for number, thing in enumerate(self.things, 1)
        ]

    def _mapped(self, labels: list[int]) -> Map:
        mapped: Map = np.array([0, *labels], np.uint8)[self.instances]
        return mapped


def draw_scene(seed: int, index: int) -> Scene:
    """Draw scene ``index``, the same whatever their number; a layout that breaks a rule is drawn again with as many objects."""
    rng = generator(KIND, seed, index, 0)
    count = int(rng.integers(FEWEST, MOST + 1))
    while True:
        layout = draw_layout(rng, count)
        scene = Scene(layout, instances(layout))
        if min(scene.pixels) >= FEWEST_PIXELS and np.bitwise_or.reduce(scene.quadrants()) == 15:
            return scene


def draw_places(seed: int, index: int) -> tuple[Place, ...]:
    """Draw the places that scene ``index`` is asked about: one in each quarter of the image, so that together they are spread evenly."""
    rng = generator(KIND, seed, index, 1)
    corners = [(x, y) for y in (-1, 0) for x in (-1, 0)]
    return tuple(Place(*(round(corner + float(rng.random()), 3) for corner in corners[i])) for i in range(4))

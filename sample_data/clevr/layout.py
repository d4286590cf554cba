"""What stands in a scene, where, and from where it is seen: drawn at random, before anything is rendered.

World: right-handed, x and y on the floor, z up, in the units of CLEVR (a large sphere has radius 0.7). Image: columns to the
right, rows down, in pixels; the middle of pixel (row i, column j) is (i + 0.5, j + 0.5).

**Attributes know nothing of places.** Places are drawn first, so that they would do for objects of any shape and size, and each
object's middle is put where its place in the *image* is; then the attributes are drawn. Were objects placed on the floor, the
tall ones would reach further up in the image, and the upper quadrants would hold more of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

SIDE = 200  # pixels

Shape = Literal["cube", "sphere", "cylinder"]
Size = Literal["small", "large"]
Material = Literal["rubber", "metal"]

SHAPES: tuple[Shape, ...] = get_args(Shape)
RADII: dict[Size, float] = {"small": 0.35, "large": 0.7}
MATERIALS: tuple[Material, ...] = get_args(Material)
COLOURS: dict[str, tuple[int, int, int]] = {  # sRGB, those of CLEVR
    "gray": (87, 87, 87),
    "red": (173, 35, 35),
    "blue": (42, 75, 215),
    "green": (29, 105, 20),
    "brown": (129, 74, 25),
    "purple": (129, 38, 192),
    "cyan": (41, 208, 208),
    "yellow": (255, 238, 51),
}
FEWEST, MOST = 3, 10  # objects in a scene
MARGIN = 10.0  # pixels from a midline, within which an object belongs to both sides of it
BORDER = 33.0  # pixels from the image's edge that the middle of an object keeps
APART = 14.0  # pixels in the image between the middles of two objects, at least
BEHIND = 0.5  # share of the tries that put an object behind or before another one, so that many are partly hidden
GAP = 0.05  # on the floor, between the circles that two objects stand in, at least

Point = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A pinhole; ``right``, ``down`` and ``forward`` are unit vectors of the world, ``focal`` is in pixels."""

    position: Point
    right: Point
    down: Point
    forward: Point
    focal: float

    @classmethod
    def looking_at(cls, target: Point, azimuth: float, elevation: float, distance: float, view: float) -> Camera:
        """Give the camera at ``distance`` from ``target``, its horizon level; angles in radians, ``view`` across the image."""
        backward = np.array([math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)])
        right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
        return cls(target + distance * backward, right, np.cross(-backward, right), -backward, SIDE / 2 / math.tan(view / 2))

    def project(self, points: Point) -> Point:
        """Give (row, column) in pixels, and the depth, of world points (..., 3), as (..., 3)."""
        away = points - self.position
        depth = (away * self.forward).sum(-1)
        row, column = ((away * axis).sum(-1) * self.focal / depth + SIDE / 2 for axis in (self.down, self.right))
        return np.stack([row, column, depth], -1)

    def ray(self, row: float, column: float) -> Point:
        """Give the direction (3,) in which a place of the image is seen; its part along ``forward`` is 1."""
        return self.forward + ((column - SIDE / 2) * self.right + (row - SIDE / 2) * self.down) / self.focal

    def on_level(self, row: float, column: float, height: float) -> Point:
        """Give the point (3,) at ``height`` over the floor that is seen at a place of the image."""
        ray = self.ray(row, column)
        return np.asarray(self.position + (height - self.position[2]) / ray[2] * ray)


@dataclass(frozen=True)
class Thing:
    """One object: an upright body that stands on the floor, its middle at ``centre`` (3,), turned by ``angle`` (radians) about z."""

    shape: Shape
    size: Size
    colour: str
    material: Material
    centre: Point
    angle: float

    @property
    def radius(self) -> float:
        """Radius of the circle that it stands in, seen from above."""
        return RADII[self.size]

    @property
    def half_height(self) -> float:
        """Half its height, which is also half a cube's side."""
        return half_height(self.shape, self.size)

    @property
    def reach(self) -> float:
        """Radius of a sphere about its middle that holds it."""
        return math.hypot(self.radius, self.half_height) if self.shape != "sphere" else self.radius


@dataclass(frozen=True)
class Lamp:
    """A round lamp of ``radius`` that shines on the origin; ``strength`` is what a white surface facing it there sends back."""

    position: Point
    radius: float
    strength: float


@dataclass(frozen=True)
class Layout:
    """All that a picture is made of."""

    camera: Camera
    things: tuple[Thing, ...]
    lamps: tuple[Lamp, ...]


def half_height(shape: Shape, size: Size) -> float:
    """Half the height of a body; a cube's diagonal is as wide as a sphere, as in CLEVR."""
    return RADII[size] / math.sqrt(2) if shape == "cube" else RADII[size]


KINDS: tuple[tuple[Shape, Size], ...] = tuple((shape, size) for shape in SHAPES for size in RADII)
_RADII = np.array([RADII[size] for _, size in KINDS])


def quadrants(row: float, column: float) -> int:
    """Give the quadrants of a place in the image as bits: 1 upper left, 2 upper right, 4 lower left, 8 lower right.

    A place within `MARGIN` pixels of a midline belongs to both of its sides.
    """
    upper, lower = row < SIDE / 2 + MARGIN, row > SIDE / 2 - MARGIN
    left, right = column < SIDE / 2 + MARGIN, column > SIDE / 2 - MARGIN
    return (upper and left) + 2 * (upper and right) + 4 * (lower and left) + 8 * (lower and right)


def draw_layout(rng: np.random.Generator, count: int) -> Layout:
    """Draw a scene of ``count`` objects; together they belong to all four quadrants, judged by their middles."""
    camera = _draw_camera(rng)
    places = _draw_places(rng, camera, count)
    while places is None:
        places = _draw_places(rng, camera, count)
    colours = tuple(COLOURS)
    things = []
    for row, column in places:
        shape, size = KINDS[int(rng.integers(len(KINDS)))]
        centre = camera.on_level(row, column, half_height(shape, size))
        colour, material = colours[int(rng.integers(len(colours)))], MATERIALS[int(rng.integers(len(MATERIALS)))]
        things.append(Thing(shape, size, colour, material, centre, float(rng.uniform(0, math.pi / 2))))
    return Layout(camera, tuple(things), _draw_lamps(rng, camera))


def _draw_camera(rng: np.random.Generator) -> Camera:
    return Camera.looking_at(
        target=np.array([rng.normal(0, 0.1), rng.normal(0, 0.1), 0.3]),
        azimuth=float(rng.uniform(0, 2 * math.pi)),
        elevation=math.radians(rng.uniform(29, 35)),
        distance=float(rng.uniform(16.5, 17.5)),
        view=math.radians(26),
    )


def _draw_lamps(rng: np.random.Generator, camera: Camera) -> tuple[Lamp, ...]:
    """Key, fill and back lamp, placed as seen from the camera and each moved a little."""
    away = np.array([camera.forward[0], camera.forward[1], 0.0])
    away = away / math.hypot(away[0], away[1])
    lamps = []
    for right, forward, up, radius, strength in ((4.5, -2.5, 6.5, 1.0, 0.72), (-6.0, -3.0, 4.5, 1.6, 0.18), (-1.5, 5.0, 7.0, 1.0, 0.2)):
        position = right * camera.right + forward * away + np.array([0.0, 0.0, up]) + rng.uniform(-0.6, 0.6, 3)
        lamps.append(Lamp(position, radius, strength * float(rng.uniform(0.9, 1.1))))
    return tuple(lamps)


def _draw_places(rng: np.random.Generator, camera: Camera, count: int) -> list[tuple[float, float]] | None:
    """Draw (row, column) in pixels of ``count`` objects, good for every shape and size; None where the last did not fit."""
    places: list[tuple[float, float]] = []
    floors: list[Point] = []  # of each place, where each kind of body would stand: (kinds, 2)
    for _ in range(count):
        for _ in range(60):
            row, column = (float(at) for at in rng.uniform(BORDER, SIDE - BORDER, 2))
            if places and rng.random() < BEHIND:
                before = places[int(rng.integers(len(places)))]
                row, column = before[0] + float(rng.uniform(-30, 30)), before[1] + float(rng.uniform(-15, 15))
                if not (BORDER <= row <= SIDE - BORDER and BORDER <= column <= SIDE - BORDER):
                    continue
            floor = np.array([camera.on_level(row, column, half_height(shape, size))[:2] for shape, size in KINDS])
            if all(math.hypot(row - r, column - c) >= APART for r, c in places) and all(_fit(floor, other) for other in floors):
                places.append((row, column))
                floors.append(floor)
                break
        else:
            return None
    covered = 0
    for row, column in places:
        covered |= quadrants(row, column)
    return places if covered == 15 else None


def _fit(one: Point, two: Point) -> bool:
    """Whether any body on the first place stands free of any body on the second."""
    distance = np.hypot(*np.moveaxis(one[:, None] - two[None], -1, 0))
    return bool((distance >= _RADII[:, None] + _RADII[None] + GAP).all())

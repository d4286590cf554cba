"""Pictures of a layout by casting rays: light that falls off, soft shadows, highlights, and reflections in metal.

Each pixel is the mean of 2 x 2 rays. The instance map is that of the ray through the pixel's middle, of which the picture's four
are neighbours. Colours are computed linear in light and written as sRGB.

Axes: N rays or points in the order of the image, rows first; 3 is x, y, z or red, green, blue.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .bodies import Rays, column, distance, dot, normal, unit
from .layout import COLOURS, SIDE, Camera, Lamp, Layout, Thing

SUBPIXELS = 2  # rays along a pixel's side
LAMP_SAMPLES = 8  # places on a lamp that each ray looks at: together, the four rays of a pixel look at 32
FLOOR = np.float32(0.42)  # share of light that the floor sends back
AMBIENT = (0.30, 0.30, 0.32)  # light from all around
_INF = np.float32(np.inf)


def cast(layout: Layout, subpixels: int = 1) -> tuple[NDArray[np.uint8], Rays, Rays]:
    """Cast ``subpixels`` squared rays a pixel: which object each meets (0 none, 1..), at what distance, and their directions (3, N)."""
    side = SIDE * subpixels
    directions = _directions(layout.camera, subpixels)
    origin = column(layout.camera.position)
    nearest = np.full((side, side), _INF, np.float32)
    owner = np.zeros((side, side), np.uint8)
    for number, thing in enumerate(layout.things, 1):
        window = _window(layout.camera, thing, subpixels)
        rays = directions[:, *window]
        met = distance(thing, origin, rays.reshape(3, -1)).reshape(rays.shape[1:])
        closer = met < nearest[window]
        nearest[window][closer] = met[closer]
        owner[window][closer] = number
    return owner, nearest, directions


def instances(layout: Layout) -> NDArray[np.uint8]:
    """Instance map (rows, columns): the number, from 1, of the object that the middle of each pixel shows; 0 where the floor is seen."""
    return cast(layout)[0]


def unoccluded(layout: Layout) -> list[int]:
    """Pixels that each object would fill if it stood there alone."""
    return [int(np.count_nonzero(instances(Layout(layout.camera, (thing,), ())))) for thing in layout.things]


def render(layout: Layout) -> NDArray[np.uint8]:
    """Picture (rows, columns, 3) in sRGB."""
    owner, nearest, directions = cast(layout, SUBPIXELS)
    origin, places = column(layout.camera.position), _places(SIDE * SUBPIXELS)
    light = _seen(layout, origin, directions.reshape(3, -1), owner.ravel(), nearest.ravel(), places, mirrors=True)
    light = 1 - np.exp(-1.25 * light)  # as film does, so that highlights fade to white and do not end at an edge
    light = light.reshape(3, SIDE, SUBPIXELS, SIDE, SUBPIXELS).mean(axis=(2, 4))
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)
    return np.ascontiguousarray(np.moveaxis(np.rint(np.clip(encoded, 0, 1) * 255).astype(np.uint8), 0, -1))


def _directions(camera: Camera, subpixels: int) -> Rays:
    """Directions (3, rows, columns) of all rays; their part along ``forward`` is 1."""
    at = ((np.arange(SIDE * subpixels) + 0.5) / subpixels - SIDE / 2) / camera.focal
    across = camera.right[:, None, None] * at[None, None, :] + camera.down[:, None, None] * at[None, :, None]
    return (across + camera.forward[:, None, None]).astype(np.float32)


def _window(camera: Camera, thing: Thing, subpixels: int) -> tuple[slice, slice]:
    """Rows and columns of rays that may meet ``thing``."""
    row, col, depth = camera.project(thing.centre)
    reach = 1.1 * camera.focal * thing.reach / (depth - thing.reach) + 1
    low = [max(0, math.floor((at - reach) * subpixels)) for at in (row, col)]
    high = [max(0, math.ceil((at + reach) * subpixels)) for at in (row, col)]
    return slice(low[0], high[0]), slice(low[1], high[1])


def _places(side: int) -> NDArray[np.uint8]:
    """Which of a pixel's rays each ray (N,) is, so that they look at different places on a lamp."""
    odd = np.arange(side, dtype=np.uint8) % SUBPIXELS
    return (SUBPIXELS * odd[:, None] + odd[None, :]).ravel()


def _seen(
    layout: Layout, origin: Rays, rays: Rays, owner: NDArray[np.uint8], nearest: Rays, places: NDArray[np.uint8], *, mirrors: bool
) -> Rays:
    """Light (3, N) along rays that meet ``owner`` (N,) at the distance ``nearest``; without an owner, the floor or the room."""
    to_floor = np.where(rays[2] < 0, -origin[2] / np.minimum(rays[2], np.float32(-1e-6)), _INF)
    grounded = (owner == 0) & (to_floor < 60)  # beyond, it is as bright as the room
    reached = np.where(grounded, to_floor, np.where(owner > 0, nearest, np.float32(0)))
    points = origin + reached * rays
    normals = np.zeros_like(points)
    normals[2] = 1
    albedo = np.full_like(points, FLOOR)
    gloss = np.zeros((2, owner.size), np.float32)  # strength and exponent of highlights
    diffuse = np.ones_like(reached)
    for number, thing in enumerate(layout.things, 1):
        mine = np.flatnonzero(owner == number)
        if not mine.size:
            continue
        normals[:, mine] = normal(thing, points[:, mine])
        albedo[:, mine] = _linear(COLOURS[thing.colour])[:, None]
        gloss[:, mine] = np.array([[0.9], [90]] if thing.material == "metal" else [[0.08], [14]], np.float32)
        diffuse[mine] = 0.45 if thing.material == "metal" else 1.0
    solid = np.flatnonzero(grounded | (owner > 0))
    view = unit(-rays)
    light = np.empty_like(points)
    light[:] = _room(rays)
    light[:, solid] = _lit(layout, points[:, solid], normals[:, solid], albedo[:, solid] * diffuse[solid], gloss[:, solid],
                           view[:, solid], owner[solid], places[solid])  # fmt: skip
    if mirrors:
        for number, thing in enumerate(layout.things, 1):
            if thing.material == "metal":
                mine = np.flatnonzero(owner == number)
                if not mine.size:
                    continue
                facing = np.clip(dot(view[:, mine], normals[:, mine]), 0, 1)
                away = 2 * facing * normals[:, mine] - view[:, mine]
                edge = (1 - facing) ** 5  # metal is whiter at a grazing angle (Schlick)
                tint = 0.06 + 0.8 * albedo[:, mine]
                tint = tint + (1 - tint) * edge
                light[:, mine] += tint * _reflected(layout, number, points[:, mine], away.astype(np.float32), places[mine])
    return light


def _reflected(layout: Layout, number: int, points: Rays, away: Rays, places: NDArray[np.uint8]) -> Rays:
    """Light (3, N) that object ``number`` sees from ``points`` of its surface in the directions ``away``; mirrors in mirrors are dull."""
    nearest = np.full(points.shape[1], _INF, np.float32)
    owner = np.zeros(points.shape[1], np.uint8)
    for other, thing in enumerate(layout.things, 1):
        if other != number:
            met = distance(thing, points, away)
            closer = met < nearest
            nearest[closer], owner[closer] = met[closer], other
    return _seen(layout, points, away, owner, nearest, places, mirrors=False)


def _room(rays: Rays) -> Rays:
    """What stands around the scene: bright above, as the floor towards the horizon."""
    up = np.clip(unit(rays)[2], 0, 1)
    bright: Rays = 0.3 + 0.55 * up
    return bright


def _lit(
    layout: Layout, points: Rays, normals: Rays, albedo: Rays, gloss: Rays, view: Rays, owner: NDArray[np.uint8], places: NDArray[np.uint8]
) -> Rays:
    """Light (3, N) that surfaces send towards the camera: from all around, and from each lamp as far as it is seen from there."""
    around = 0.72 + 0.28 * normals[2]
    things = [(thing, to := column(thing.centre) - points, dot(to, to), owner != number) for number, thing in enumerate(layout.things, 1)]
    for thing, to, square, others in things:  # what is close by takes light away, as the sphere that holds it would
        hidden = np.maximum(dot(to, normals), 0) * np.float32(thing.radius**2) / (square * np.sqrt(square))
        around = around * (1 - np.where(others, np.minimum(0.8 * hidden, np.float32(0.8)), 0))
    light = np.array(AMBIENT, np.float32)[:, None] * around * albedo
    shiny = np.flatnonzero(owner > 0)
    for lamp in layout.lamps:
        to = column(lamp.position) - points
        square = dot(to, to)
        facing = np.maximum(dot(to, normals), 0) / np.sqrt(square)
        reach = np.float32(lamp.strength * float((lamp.position**2).sum())) / square
        reach = reach * _visible(things, lamp, points, to, square, places, facing > 0)
        light = light + reach * albedo * facing
        half = unit(unit(to[:, shiny]) + view[:, shiny])
        shine = gloss[0, shiny] * np.maximum(dot(half, normals[:, shiny]), 0) ** gloss[1, shiny]
        light[:, shiny] += reach[shiny] * np.where(facing[shiny] > 0, shine, 0)
    return np.asarray(light)


def _visible(
    things: Sequence[tuple[Thing, Rays, Rays, NDArray[np.bool_]]],
    lamp: Lamp,
    points: Rays,
    to: Rays,
    square: Rays,
    places: NDArray[np.uint8],
    facing: NDArray[np.bool_],
) -> Rays:
    """Share (N,) of a lamp that each point sees; it lies ``to`` (3, N) from there, and each thing as ``things`` say."""
    hidden = np.zeros((LAMP_SAMPLES, points.shape[1]), bool)
    spots = np.stack(list(_spots(lamp)), 1).astype(np.float32).reshape(3, LAMP_SAMPLES, -1)
    for thing, middle, away, others in things:
        forward = dot(middle, to)
        along = np.clip(forward / square, 0, 1)
        apart = away - along * (2 * forward - along * square)
        # the cone of rays to the lamp is as wide at the object as it is far from the point
        near = apart < (np.float32(thing.reach) + np.float32(lamp.radius) * along) ** 2
        some = np.flatnonzero(near & facing & others)
        if some.size:
            start = points[:, some][:, None]
            way = spots[:, np.arange(LAMP_SAMPLES)[:, None], places[some]] - start
            met = distance(thing, np.broadcast_to(start, way.shape).reshape(3, -1), way.reshape(3, -1))
            hidden[:, some] |= met.reshape(way.shape[1:]) < 1
    return np.asarray(1 - hidden.mean(axis=0, dtype=np.float32))


def _spots(lamp: Lamp) -> Iterator[NDArray[np.float64]]:
    """Places (3,) spread evenly over a lamp; of four that follow one another, each is in another ring."""
    axis = lamp.position / math.sqrt(float((lamp.position**2).sum()))
    one = np.cross(axis, [0.0, 0.0, 1.0])
    one = one / math.sqrt(float((one**2).sum()))
    two = np.cross(axis, one)
    total = LAMP_SAMPLES * SUBPIXELS**2
    for spot in range(total):
        order = (spot * 7) % total
        radius, angle = lamp.radius * math.sqrt((order + 0.5) / total), order * math.pi * (3 - math.sqrt(5))  # a sunflower
        yield lamp.position + radius * (math.cos(angle) * one + math.sin(angle) * two)


def _linear(colour: Sequence[int]) -> NDArray[np.float32]:
    """Linear light of an sRGB colour."""
    part = np.array(colour) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4).astype(np.float32)

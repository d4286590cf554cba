"""Rays against bodies: spheres, upright cylinders and boxes, each by its formula.

Rays are float32 arrays of three rows, x, y and z: ``origin`` (3, N) or (3, 1), ``direction`` (3, N), of any length. A distance is in
lengths of the direction; infinity where the ray misses.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .layout import Thing

Rays = NDArray[np.floating[Any]]  # float32
_TINY = np.float32(1e-9)


def dot(a: Rays, b: Rays) -> Rays:
    """Inner product of (3, N) and (3, N) or (3, 1), term by term: the same on every machine, and without threads."""
    product: Rays = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


def unit(vectors: Rays) -> Rays:
    """Give (3, N) in unit length."""
    scaled: Rays = vectors / np.sqrt(dot(vectors, vectors))
    return scaled


def column(point: NDArray[np.float64]) -> Rays:
    """Give a point (3,) as (3, 1) float32."""
    return point.astype(np.float32)[:, None]


def distance(thing: Thing, origin: Rays, direction: Rays) -> Rays:
    """Distance (N,) at which rays from outside meet the front of ``thing``."""
    start, way = _turned(thing, origin - column(thing.centre)), _turned(thing, direction)
    if thing.shape == "sphere":
        return _round(start, way, np.float32(thing.radius), 3)
    if thing.shape == "cylinder":
        near, far = _interval(start, way, np.float32(thing.radius), 2)
        bottom, top = _slab(start[2], way[2], np.float32(thing.half_height))
        return _first(np.maximum(near, bottom), np.minimum(far, top))
    slabs = [_slab(start[axis], way[axis], np.float32(thing.half_height)) for axis in range(3)]
    enter = np.maximum(np.maximum(slabs[0][0], slabs[1][0]), slabs[2][0])
    leave = np.minimum(np.minimum(slabs[0][1], slabs[1][1]), slabs[2][1])
    return _first(enter, leave)


def normal(thing: Thing, points: Rays) -> Rays:
    """Outward unit normals (3, N) of ``thing`` at points (3, N) of its surface."""
    local = _turned(thing, points - column(thing.centre))
    if thing.shape == "sphere":
        found = local / np.float32(thing.radius)
    elif thing.shape == "cylinder":
        cap = np.abs(local[2]) / np.float32(thing.half_height) > np.hypot(local[0], local[1]) / np.float32(thing.radius)
        side = unit(np.stack([local[0], local[1], np.zeros_like(local[2])]) + _TINY)
        found = np.where(cap, np.stack([np.zeros_like(local[0]), np.zeros_like(local[0]), np.sign(local[2])]), side)
    else:
        face = np.abs(local).argmax(axis=0)
        found = np.where(np.arange(3)[:, None] == face, np.sign(local), np.float32(0))
    return _turned(thing, found.astype(np.float32), back=True)


def _turned(thing: Thing, vectors: Rays, *, back: bool = False) -> Rays:
    """Give vectors in the axes of a box (or back in the world's); the other bodies look alike from all sides."""
    if thing.shape != "cube":
        return vectors
    cosine, sine = np.float32(math.cos(thing.angle)), np.float32(math.sin(thing.angle) * (-1 if back else 1))
    return np.stack([cosine * vectors[0] + sine * vectors[1], cosine * vectors[1] - sine * vectors[0], vectors[2]])


def _round(start: Rays, way: Rays, radius: np.float32, axes: int) -> Rays:
    near, far = _interval(start, way, radius, axes)
    return _first(near, far)


def _interval(start: Rays, way: Rays, radius: np.float32, axes: int) -> tuple[Rays, Rays]:
    """Where rays are within ``radius`` of the origin, along the first ``axes`` axes: from, to; an empty interval where never."""
    a = sum((way[axis] * way[axis] for axis in range(1, axes)), way[0] * way[0]) + _TINY
    b = sum((start[axis] * way[axis] for axis in range(1, axes)), start[0] * way[0])
    c = sum((start[axis] * start[axis] for axis in range(1, axes)), start[0] * start[0]) - radius * radius
    square = b * b - a * c
    root = np.sqrt(np.maximum(square, np.float32(0)))
    inside = square > 0
    return np.where(inside, (-b - root) / a, np.float32(np.inf)), np.where(inside, (-b + root) / a, np.float32(-np.inf))


def _slab(start: Rays, way: Rays, half: np.float32) -> tuple[Rays, Rays]:
    """Where rays are between -half and half of one axis: from, to."""
    way = np.where(np.abs(way) < _TINY, _TINY, way)
    one, two = (-half - start) / way, (half - start) / way
    return np.minimum(one, two), np.maximum(one, two)


def _first(enter: Rays, leave: Rays) -> Rays:
    met: Rays = np.where((leave > enter) & (enter > 0), enter, np.float32(np.inf))
    return met

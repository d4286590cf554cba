"""The spine of one phantom subject as continuous functions of RAS+ millimetres.

A centre line runs through the canal. The cord coordinates of a point are (u, v, s) in mm: u to the right and v to the front of
the centre line, both across it, s along it, upwards. Every tissue is a signed distance in (u, v, s), so that any
channel can sample the same anatomy on a grid of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fields import Array, SmoothField, ellipsoid, soft

LEVELS = ("cervical", "thoracic", "thoracolumbar")


@dataclass(frozen=True)
class LevelAnatomy:
    """Adult sizes in mm at one level, and their spread; rounded from textbook morphometry."""

    body_height: float
    disc_height: float
    body_depth: float
    canal: tuple[float, float]  # half width, half depth
    cord: tuple[float, float]  # half width, half depth
    curvature: float  # of the centre line, 1 / mm; positive is lordosis (bulges to the front)
    skin: float  # from the canal's centre back to the skin


ANATOMY = {
    "cervical": LevelAnatomy(14.0, 5.0, 16.0, (11.5, 7.2), (6.4, 3.8), 0.0022, 48.0),
    "thoracic": LevelAnatomy(19.5, 4.2, 25.0, (9.0, 7.4), (4.6, 3.4), -0.0016, 46.0),
    "thoracolumbar": LevelAnatomy(24.0, 7.0, 29.0, (10.5, 8.0), (4.9, 3.9), 0.0009, 52.0),
}


@dataclass(frozen=True)
class Spine:
    """One subject's spine. Distances are in mm, in cord coordinates; ``discs`` are the discs' middles along s."""

    level: str
    size: LevelAnatomy
    line: NDArray[np.float64]  # (3, n): z, x(z), y(z) of the centre line
    discs: NDArray[np.float64]
    conus: float | None
    fat: float  # thickness of the fat under the skin
    degeneration: NDArray[np.float64]  # one number in 0..1 a disc, 1 a dark disc
    texture: SmoothField
    vessels: tuple[tuple[float, float, float, float, float], ...]  # side (-1 back, 1 front), amplitude, wave number, phase, radius

    @classmethod
    def draw(cls, rng: np.random.Generator, level: str) -> Spine:
        """Draw a subject's spine at ``level`` (one of `LEVELS`)."""
        base = ANATOMY[level]
        scale = rng.normal(1.0, 0.06)  # between adults
        width = rng.normal(1.0, 0.06)
        size = LevelAnatomy(
            base.body_height * scale,
            base.disc_height * scale * rng.uniform(0.8, 1.15),
            base.body_depth * scale * width,
            (base.canal[0] * width, base.canal[1] * width * rng.uniform(0.93, 1.1)),
            (base.cord[0] * width, base.cord[1] * width),
            base.curvature + rng.normal(0, 0.0006),
            base.skin + rng.normal(0, 4),
        )
        z = np.linspace(-160, 160, 321)
        bend = size.curvature * (-(z**2) / 2 + 60**2 / 2)
        x = rng.normal(0, 0.7) * np.sin(z / rng.uniform(50, 90) + rng.uniform(0, 6.3)) + rng.normal(0, 0.5)
        y = bend + rng.normal(0, 1.0) * np.sin(z / rng.uniform(35, 60) + rng.uniform(0, 6.3))
        first = -150 + rng.uniform(0, 20)
        growth = -0.0012  # vertebrae get smaller upwards
        discs = [first]
        while discs[-1] < 160:
            discs.append(discs[-1] + (size.body_height + size.disc_height) * (1 + growth * discs[-1]))
        wear = np.clip(rng.beta(1.2, 2.2, len(discs)) + rng.normal(0, 0.1), 0, 1)
        vessels = tuple(
            (float(side), rng.uniform(1.0, 3.5), rng.uniform(0.15, 0.4), rng.uniform(0, 6.3), rng.uniform(0.25, 0.6))
            for side in (-1, -1, 1)
        )
        return cls(
            level,
            size,
            np.stack([z, x, y]),
            np.array(discs),
            float(rng.uniform(-75, -50)) if level == "thoracolumbar" else None,
            float(np.clip(rng.lognormal(2.4, 0.35), 5, 24)),
            wear,
            SmoothField.draw(rng, (-40, -80, -130), (40, 80, 130), 7.0),
            vessels,
        )

    def cord_coordinates(self, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
        """Return (u, v, s) of world points: one step towards the nearest place of the centre line."""
        line_z, line_x, line_y = self.line
        slope = np.interp(z, line_z, np.gradient(line_y, line_z)).astype(np.float32)
        s = z + slope * (y - np.interp(z, line_z, line_y).astype(np.float32)) / (1 + slope**2)
        slope = np.interp(s, line_z, np.gradient(line_y, line_z)).astype(np.float32)
        v = (y - np.interp(s, line_z, line_y).astype(np.float32) - slope * (z - s)) / np.sqrt(1 + slope**2)
        return x - np.interp(s, line_z, line_x).astype(np.float32), v, s

    def to_world(self, u: float, v: float, s: float) -> tuple[float, float, float]:
        """Return the RAS+ mm of a point given in cord coordinates."""
        line_z, line_x, line_y = self.line
        slope = float(np.interp(s, line_z, np.gradient(line_y, line_z)))
        run = v / float(np.sqrt(1 + slope**2))
        return u + float(np.interp(s, line_z, line_x)), float(np.interp(s, line_z, line_y)) + run, s - slope * run

    def cord_radii(self, s: Array, expansion: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Return the cord's half width and half depth at s (mm); a tumour widens it as far as the canal lets it."""
        grown = 1 + expansion(s)
        wide, deep = self.size.cord[0] * grown, self.size.cord[1] * grown
        wide = np.minimum(wide, self.size.canal[0] - 1.6)
        deep = np.minimum(deep, self.size.canal[1] - 1.3)
        if self.conus is not None:
            taper = np.sqrt(np.clip((s - self.conus) / 28, 0, 1))
            wide, deep = wide * taper, deep * taper
        return wide.astype(np.float32), deep.astype(np.float32)

    def place(self, s: Array) -> tuple[Array, Array, NDArray[np.intp]]:
        """Return where s lies in its vertebra: mm to the nearest disc's middle, the share 0..1 upwards, the index."""
        count = np.interp(s, self.discs, np.arange(len(self.discs))).astype(np.float32)
        index = np.clip(count.astype(np.intp), 0, len(self.discs) - 2)
        share = count - index
        height = np.diff(self.discs).astype(np.float32)[index]
        return np.minimum(share, 1 - share) * height, share, index

    def bones(self, u: Array, v: Array, s: Array) -> dict[str, Array]:
        """Return signed distances (mm) of vertebral bodies, discs, pedicles with arches, spinous processes, and the canal."""
        to_disc, share, _ = self.place(s)
        half_disc = self.size.disc_height / 2
        front = self.size.canal[1] + 1.5
        depth = self.size.body_depth
        waist = 1.4 * np.clip(to_disc / 6, 0, 1).astype(np.float32)  # bodies are narrower at mid height
        column = np.minimum(
            np.minimum(v - front - 0.4 * waist, front + depth - waist - v),
            depth * 0.72 - waist - np.abs(u) - 0.012 * (v - front - depth / 2) ** 2,
        )
        pedicle = np.minimum(
            np.minimum(np.abs(u) - self.size.canal[0] * 0.92, self.size.canal[0] + 9 - np.abs(u)),
            np.minimum(4.2 - np.abs(share - 0.66) * (self.size.body_height * 0.9), np.minimum(v + 6, front + 2 - v)),
        )
        facet = ellipsoid(np.abs(u), v, (share - 0.25) * self.size.body_height, (self.size.canal[0] + 5, -7, 0), (5.5, 6, 9))
        # the process leaves the arch at mid height and slopes down to the back
        slope = {"cervical": 0.35, "thoracic": 0.8, "thoracolumbar": 0.2}[self.level]
        back = -(self.size.canal[1] + 3.0)
        length = (self.size.skin - self.fat) * 0.62
        _, share_process, _ = self.place(s - slope * (v - back) * 0.8)
        thick = self.size.body_height * (0.22 if self.level != "thoracolumbar" else 0.34)
        process = np.minimum(
            np.minimum(thick - np.abs(share_process - 0.45) * (self.size.body_height + self.size.disc_height), 3.6 - np.abs(u)),
            np.minimum(back - v, v + length),
        )
        canal = ellipsoid(u, v, np.zeros_like(u), (0, 0, 0), (*self.size.canal, 1.0))
        return {
            "body": np.minimum(column, to_disc - half_disc),
            "disc": np.minimum(column + 0.8, half_disc - 0.3 - to_disc),
            "pedicle": np.maximum(pedicle, facet),
            "process": process,
            "canal": canal,
        }

    def vessel_membership(self, u: Array, v: Array, s: Array, depth: Array, width: float, extra: Array | float) -> Array:
        """Return the share of a voxel taken by the winding veins on the cord's back and front; ``extra`` adds to their radius, mm."""
        share = np.zeros_like(u)
        for side, amplitude, wave, phase, radius in self.vessels:
            along = np.float32(amplitude) * np.sin(np.float32(wave) * s + np.float32(phase)).astype(np.float32)
            surface = np.float32(side) * (depth + 0.5)
            distance = np.hypot(u - along, v - surface)
            bore = np.float32(radius) + extra
            # a tube thinner than a voxel covers about (bore / half voxel) of it in the plane of the slice
            share = np.maximum(share, soft(bore - distance, width) * np.minimum(1.0, 2 * bore / np.float32(width)))
        return share

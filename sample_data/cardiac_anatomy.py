"""Ventricles, atria and great vessels of the phantom `cardiac` at one moment, as functions of millimetres.

Coordinates are the heart's own, in mm: u towards the lateral wall, v towards the inferior wall, s along the long axis from the base to the
apex; (0, 0, 0) is the middle of the mitral ring at end-diastole. θ = atan2(v, u), so the septum is at ±π. ζ = 0 is the mitral ring of the
moment and ζ = 1 the tip. Distances are in the plane u, v, positive inside; partial volume along s is the acquisition's. The left cavity is

    R(ζ, θ) = radius · p(ζ) · h(θ)      p half an ellipse, and its beginning beyond the middle; h two waves around

and its wall lies around it. The right ventricle is an ellipse in the plane, less what the left ventricle takes of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fields import Array, SmoothField, soft

WIDEST = 0.25  # ζ where the left ventricle is widest
_ZETA = ((np.arange(64) + 0.5) / 64)[:, None]
_THETA = np.linspace(-np.pi, np.pi, 72, endpoint=False)[None, :]


@dataclass(frozen=True)
class Region:
    """A part of the wall: an infarct, or where a wall is thick. Angle and width in radians, depth and extent as ζ."""

    angle: float
    width: float
    depth: float
    extent: float

    def __call__(self, zeta: Array, theta: Array) -> Array:
        """Return 1 in the middle of the region, falling to 0 around it."""
        turn = np.mod(theta - self.angle + np.pi, 2 * np.pi) - np.pi
        return np.asarray(np.exp(-((turn / self.width) ** 2) - ((zeta - self.depth) / self.extent) ** 2))


@dataclass(frozen=True)
class Form:
    """What stays of a heart while it beats."""

    ellipticity: tuple[float, float]  # amount, and its angle in radians
    flat_septum: float  # how far a full right ventricle pushes the septum in, as a share of the radius
    thick: Region
    thickening: float  # of the wall in `thick`, as a share
    infarct: Region
    thinning: float  # of the wall in `infarct`; 0 where there is none
    papillary: tuple[float, float]  # angles of the two muscles, radians
    papillary_radius: float  # mm
    mitral_tilt: tuple[float, float]  # rise of the mitral ring along u and v, mm per mm
    right_lift: float  # mm by which the right ventricle's outflow stands above the mitral ring
    fat: float  # mm of fat around the heart
    texture: SmoothField


@dataclass(frozen=True)
class Left:
    """The left ventricle at one moment; lengths in mm."""

    form: Form
    base: float  # s of the mitral ring
    length: float  # of the cavity
    radius: float
    wall: float  # at the base where nothing is thick or thin
    tip: float  # wall at the apex
    akinesia: float = 0.0  # how much wider the cavity is in the infarct than elsewhere, as a share
    thickened: float = 1.0  # wall in the infarct, against its share at end-diastole

    def cavity(self, zeta: Array, theta: Array) -> Array:
        """Return the cavity's radius in mm; negative beyond the tip, by how far it is away."""
        wide = self.radius * self._around(theta) * (1 + self.akinesia * self.form.infarct(zeta, theta))
        return np.where(zeta < 1, _profile(zeta) * wide, (1 - zeta) * self.length)

    def outer(self, depth: Array, theta: Array) -> Array:
        """Return the outer radius in mm, ``depth`` mm behind the mitral ring."""
        length = self.length + self.tip
        zeta = depth / length
        wide = (self.radius * (1 + self.akinesia * self.form.infarct(zeta, theta)) + self._wall(zeta, theta)) * self._around(theta)
        return np.where(zeta < 1, _profile(zeta) * wide, (1 - zeta) * length)

    def volume(self) -> float:
        """Return the cavity's volume in mL."""
        return float((self.cavity(_ZETA, _THETA) ** 2).mean() * np.pi * self.length / 1000)

    def wall_volume(self) -> float:
        """Return the wall's volume in mL."""
        length = self.length + self.tip
        whole = (self.outer(_ZETA * length, _THETA) ** 2).mean() * np.pi * length / 1000
        return float(whole) - self.volume()

    def thickest(self) -> float:
        """Return the thickest wall in mm, above the apex."""
        return float(self._wall(_ZETA[:40], _THETA).max())

    def ring(self, u: Array, v: Array) -> Array:
        """Return s of the mitral ring's plane."""
        return self.base + self.form.mitral_tilt[0] * u + self.form.mitral_tilt[1] * v

    def papillary(self, u: Array, v: Array, depth: Array) -> Array:
        """Return the distance to the papillary muscles, mm."""
        zeta = depth / self.length
        found = np.full_like(depth, -50.0)
        for angle in self.form.papillary:
            radius = self.form.papillary_radius * np.clip(1.6 * (1 - ((zeta - 0.58) / 0.3) ** 2), -1, 1)
            middle = np.maximum(self.radius * _profile(zeta) * 0.98 - self.form.papillary_radius * (1.15 + 0.5 * (zeta < 0.5)), 0)
            found = np.maximum(found, radius - np.hypot(u - middle * np.cos(angle), v - middle * np.sin(angle)))
        return found

    def _around(self, theta: Array) -> Array:
        amount, angle = self.form.ellipticity
        septum = np.exp(-(((np.pi - np.abs(theta)) / 0.75) ** 2))
        return np.asarray(1 + amount * np.cos(2 * (theta - angle)) - self.form.flat_septum * septum)

    def _wall(self, zeta: Array, theta: Array) -> Array:
        form, near = self.form, np.clip(zeta, 0, 1)
        scar = 1 - (1 - (1 - form.thinning) * self.thickened) * form.infarct(zeta, theta)
        return np.asarray(self.wall * (1 - 0.2 * near) * (1 + form.thickening * form.thick(zeta, theta)) * scar)


@dataclass(frozen=True)
class Heart:
    """The whole heart at one moment."""

    left: Left
    right_base: float  # s of the tricuspid ring
    outflow_base: float  # s where the right ventricle's outflow ends
    right_length: float  # mm, from the tricuspid ring to the right ventricle's tip
    right_width: float  # mm, from the septum to the free wall at the base
    atrium: float  # mm, radius of the left atrium

    def right(self, u: Array, v: Array, s: Array) -> tuple[Array, Array]:
        """Return the distance to the right ventricle's ellipse, and how far below its valves a point is, both mm."""
        left = self.left
        septum = np.maximum(left.outer(np.maximum(s - left.base, 0), np.full_like(s, np.pi)), 0)
        down = np.clip((s - self.right_base) / self.right_length, 0, None)
        taper = np.sqrt(np.clip(1 - down**1.6, 0, None))
        blunt = np.sqrt(np.clip(1 - down**3, 0, None))
        across = 0.4 * septum * blunt + self.right_width * taper
        along = np.maximum((0.72 * septum + 0.42 * self.right_width) * blunt, 0.5 * across)
        x = u + 0.6 * septum
        across = np.where(x > 0, np.minimum(across, 0.85 * septum), across)  # it never reaches round the left ventricle
        inside = _ellipse(x, v + 3 + 5 * np.clip(1 - down, 0, 1), across, along)
        inside = np.where(down < 1, inside, np.minimum(inside, 1.5 * (1 - down) * self.right_length))
        outflow = np.clip((12 - v) / 40, 0, 1)  # 1 in front, where blood leaves for the lungs
        return inside, s - (self.right_base + outflow * (self.outflow_base - self.right_base))

    def right_volume(self) -> float:
        """Return the right ventricle's volume in mL, on a lattice of 5 mm."""
        u, v, s = np.meshgrid(np.arange(-98, 18, 5.0), np.arange(-70, 62, 5.0), np.arange(-12, 108, 5.0), indexing="ij")
        inside, below = self.right(u, v, s)
        depth = s - self.left.base
        outside = np.hypot(u, v) - self.left.outer(depth, np.arctan2(v, u))
        return float((soft(np.minimum(inside, np.where(depth > 0, outside, inside)), 5.0) * soft(below, 5.0)).sum()) * 0.125

    def basins(self, u: Array, v: Array, s: Array) -> tuple[Array, Array]:
        """Return the distances to the blood of the atria, and of the great arteries, mm; both lie above the valves."""
        left = self.left
        up = left.ring(u, v) - s
        widen = np.clip(up / 14, 0, 1)
        wide = left.radius * 0.74 * (1 - widen) + self.atrium * widen
        atria = np.minimum(wide - np.hypot(u - 5 * widen, (v - 7 * widen) / 1.1), up)
        _, below = self.right(u, v, s)
        rise = np.clip(-below / 14, 0, 1)
        far = left.radius + left.wall + 0.45 * self.right_width
        right = (0.7 + 0.3 * rise) * (0.45 * self.right_width + 8) - np.hypot(u + far, v - 9 - 4 * rise)
        atria = np.maximum(atria, np.minimum(right, -below))
        aorta = np.minimum(0.52 * left.radius + 1 - np.hypot(u + 0.48 * left.radius + 3, v + 0.62 * left.radius + 3), up + 3)
        lung = np.minimum(12.5 - np.hypot(u + 0.5 * far, v + left.radius + left.wall + 7), -below)
        return atria, np.maximum(aorta, lung)


def _profile(zeta: Array) -> Array:
    """Return the radius along the axis, as a share of the widest."""
    below = np.clip((zeta - WIDEST) / (1 - WIDEST), 0, 1)
    above = np.clip((WIDEST - zeta) / WIDEST, 0, 2)
    return np.asarray(np.sqrt(1 - below**2) - 0.1 * above**2)


def _ellipse(x: Array, y: Array, a: Array, b: Array) -> Array:
    """Return the first-order signed distance to an ellipse of half axes ``a`` and ``b``, mm, positive inside."""
    a, b = np.maximum(a, 1e-3), np.maximum(b, 1e-3)
    ratio = np.hypot(x / a, y / b)
    slope = np.hypot(x / a**2, y / b**2) / np.maximum(ratio, 1e-6)
    return np.asarray(np.clip((1 - ratio) / np.maximum(slope, 1e-6), -200, np.minimum(a, b)))

"""What lies around the heart of the phantom `cardiac`: chest wall, lungs, liver, stomach, spleen, spine, great vessels behind.

Coordinates are RAS+ mm, (0, 0, 0) on the middle line of the thorax at the height of the mitral ring. Signals are those of a balanced
steady-state sequence, as shares of the blood's: bright fluid and fat, dark muscle and lung.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fields import Array, SmoothField, ellipsoid, paint, soft

# Shares of the blood's signal: T2 over T1 of textbooks, rounded; their spread between patients is drawn.
SIGNAL = {"blood": 1.0, "muscle": 0.28, "myocardium": 0.4, "fat": 0.85, "lung": 0.06, "liver": 0.42, "spleen": 0.55, "stomach": 0.7,
          "marrow": 0.45, "bone": 0.12, "air": 0.0, "csf": 1.1}  # fmt: skip


@dataclass(frozen=True)
class Chest:
    """One patient's thorax; lengths in mm."""

    half_width: float
    half_depth: float
    fat: float  # under the skin
    diaphragm: tuple[float, float]  # tops of the right and of the left dome
    gas: float  # front part of the stomach that holds gas, mm
    rib_phase: float
    texture: SmoothField
    vessels: SmoothField

    @classmethod
    def draw(cls, rng: np.random.Generator, body_mass_index: float) -> Chest:
        """Draw the thorax of a patient of that body mass index (kg/m2)."""
        low, high = (-200, -140, -160), (200, 160, 160)
        return cls(
            float(np.clip(rng.normal(158, 9), 138, 180)),
            float(np.clip(rng.normal(108, 8), 92, 128)),
            float(np.clip(rng.normal(1.1 * (body_mass_index - 14), 4), 4, 34)),
            (float(rng.normal(-18, 7)), float(rng.normal(-42, 7))),
            float(rng.uniform(-15, 25)),
            float(rng.uniform(0, 1)),
            SmoothField.draw(rng, low, high, 12.0),
            SmoothField.draw(rng, low, high, 20.0),
        )

    def signal(self, x: Array, y: Array, z: Array, breath: Array, width: float) -> Array:
        """Return the signal at points; ``breath`` is how far the diaphragm is down there, ``width`` a voxel's in the plane, mm."""
        flat, texture, branches = np.zeros_like(z), self.texture(x, y, z), self.vessels(x, y, z)
        skin = ellipsoid(x, y, flat, (0, 0, 0), (self.half_width, self.half_depth, 1e4))
        cavity = ellipsoid(x, y, flat, (0, 6, 0), (self.half_width - self.fat - 24, self.half_depth - 0.7 * self.fat - 20, 1e4))
        image: Array = np.full_like(z, SIGNAL["air"])
        image = paint(image, soft(skin, width), SIGNAL["muscle"])
        image = paint(image, soft(skin - 2, width), SIGNAL["fat"] * (1 + 0.05 * texture))
        wall = np.minimum(skin - self.fat - 2 + 1.5 * texture, 40)
        image = paint(image, soft(wall, width), SIGNAL["muscle"] * (1 + 0.1 * texture))
        image = paint(image, 0.6 * soft(np.minimum(3 - np.abs(wall - 8), branches * 4), 2.0), SIGNAL["fat"])
        ribs = np.minimum(5 - np.abs(cavity + 7), 5.5 - 30 * np.abs(_fraction((z + 0.45 * y + 0.1 * np.abs(x)) / 30 + self.rib_phase)))
        image = paint(image, soft(ribs, width), SIGNAL["bone"])
        image = paint(image, soft(ribs - 1.6, width), SIGNAL["marrow"])
        image = paint(image, soft(cavity, width), SIGNAL["lung"] * (1 + 0.2 * texture))
        image = paint(
            image, 0.55 * soft(np.minimum(0.32 - np.abs(branches), 0.5 - np.abs(texture)) * 8, 3.0) * soft(cavity - 6, 3.0), SIGNAL["blood"]
        )
        image = self._below(image, x, y, z + breath, texture, branches, cavity, width)
        return self._middle(image, x, y, z, texture, width)

    def _below(self, image: Array, x: Array, y: Array, z: Array, texture: Array, branches: Array, cavity: Array, width: float) -> Array:
        """Diaphragm, liver, stomach and spleen."""
        right = self.diaphragm[0] - ((x - 70) / 75) ** 2 * 26 - ((y - 5) / 70) ** 2 * 26
        left = self.diaphragm[1] - ((x + 78) / 62) ** 2 * 24 - ((y + 5) / 70) ** 2 * 26
        under = np.minimum(np.maximum(right, left) - z, cavity)
        image = paint(image, soft(under, width), SIGNAL["muscle"])
        inside = under - 3
        image = paint(image, soft(inside, width), SIGNAL["fat"] * (1 + 0.06 * texture))
        spleen = np.minimum(ellipsoid(x, y, z, (-105, -45, self.diaphragm[1] - 42), (34, 42, 48)), inside)
        image = paint(image, soft(spleen, width), SIGNAL["spleen"])
        stomach = np.minimum(ellipsoid(x, y, z, (-62, 8, self.diaphragm[1] - 40), (42, 46, 42)), inside)
        image = paint(image, soft(stomach, width), SIGNAL["muscle"])
        image = paint(image, soft(stomach - 4, width), SIGNAL["stomach"] * (1 + 0.2 * texture))
        image = paint(image, soft(np.minimum(stomach - 4, y - 8 - self.gas), width), SIGNAL["air"])
        liver = np.minimum(np.minimum(inside, x + 42 + 0.4 * (y - 20)), -stomach - 2)
        liver_signal = SIGNAL["liver"] * (1 + 0.03 * texture)
        image = paint(image, soft(liver, width), liver_signal)
        tree = np.minimum(0.22 - np.abs(branches), 0.7 - np.abs(texture)) * 9
        return paint(image, 0.8 * soft(tree, 3.0) * soft(liver - 6, 4.0), 0.85 * SIGNAL["blood"])

    def _middle(self, image: Array, x: Array, y: Array, z: Array, texture: Array, width: float) -> Array:
        """Mediastinum, spine, aorta, caval vein and oesophagus."""
        flat = np.zeros_like(z)
        image = paint(image, soft(ellipsoid(x, y, flat, (-4, -48, 0), (36, 30, 1e4)), 3.0), SIGNAL["fat"] * (1 + 0.06 * texture))
        back = ellipsoid(np.abs(x), y, flat, (30, -self.half_depth + self.fat + 18, 0), (28, 19, 1e4))
        image = paint(image, soft(back, width), SIGNAL["muscle"] * (1 + 0.1 * texture))
        spine = ellipsoid(x, y, flat, (0, -64, 0), (18, 16, 1e4))
        disc = 3.0 - 26 * np.abs(_fraction(z / 26 + self.rib_phase))
        image = paint(image, soft(spine, width), SIGNAL["bone"])
        image = paint(image, soft(spine - 1.5, width), SIGNAL["marrow"] * (1 + 0.05 * texture))
        image = paint(image, soft(np.minimum(spine, disc), width), 0.35)
        canal = ellipsoid(x, y, flat, (0, -86, 0), (9, 8, 1e4))
        image = paint(image, soft(canal, width), SIGNAL["csf"])
        image = paint(image, soft(canal - 3, width), 0.6)
        for centre, radius in (((-24.0, -46.0), 11.5), ((24.0, -14.0), 12.0)):
            tube = radius - np.hypot(x - centre[0], y - centre[1])
            image = paint(image, soft(tube + 1.5, width), SIGNAL["muscle"])
            image = paint(image, soft(tube, width), 0.95 * SIGNAL["blood"])
        return paint(image, soft(7 - np.hypot(x + 6, y + 38), width), SIGNAL["muscle"])


def _fraction(turns: Array) -> Array:
    return np.asarray(turns - np.round(turns))

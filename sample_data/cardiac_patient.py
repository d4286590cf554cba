"""Patients of the phantom `cardiac`: who has which heart, in the five groups of ACDC.

Volumes are drawn per body surface (mL/m2, Mosteller), cut at the limits by which ACDC defines its groups (Bernard et al. 2018). Means and
spreads of healthy adults follow the UK Biobank (Petersen et al. 2017), how far the atrioventricular plane comes down follows Carlsson et
al. 2007; those of patients are rounded to fit the groups' definitions. docs/phantoms.md says more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fields import balanced_choice, generator

KIND = "cardiac"
GROUPS = ("NOR", "MINF", "DCM", "HCM", "RV")
MYOCARDIUM = 1.05  # g/mL


@dataclass(frozen=True)
class Draw:
    """A normal distribution, cut at two limits."""

    mean: float
    spread: float
    low: float
    high: float

    def __call__(self, rng: np.random.Generator, scale: float = 1.0) -> float:
        """Draw one number; ``scale`` multiplies the mean, not the limits."""
        return float(np.clip(rng.normal(self.mean * scale, self.spread), self.low, self.high))


@dataclass(frozen=True)
class Group:
    """What a diagnosis means. Volumes in mL/m2, masses in g/m2, fractions in percent, displacements in mm."""

    volume: Draw  # left ventricle at end-diastole
    ejection: Draw
    mass: Draw
    descent: Draw  # of the mitral ring, from end-diastole to end-systole
    right_volume: Draw
    right_ejection: Draw
    right_descent: Draw  # of the tricuspid ring at the free wall
    length: float = 1.0  # of the left ventricle, as a share of a healthy one of that volume


RANGES = {
    "NOR": Group(Draw(76, 9, 52, 90), Draw(60, 4.5, 51, 72), Draw(49, 7, 36, 70), Draw(16, 2, 11, 21),
                 Draw(82, 9, 55, 99), Draw(57, 5, 46, 70), Draw(21, 3, 15, 27)),
    "MINF": Group(Draw(95, 16, 65, 150), Draw(31, 6, 15, 39.5), Draw(61, 8, 45, 85), Draw(9.5, 2, 5.5, 14),
                  Draw(78, 11, 50, 105), Draw(50, 7, 35, 65), Draw(18, 3, 11, 24)),
    "DCM": Group(Draw(128, 20, 101, 185), Draw(26, 7, 10, 39.5), Draw(74, 9, 58, 94), Draw(7, 2, 4.5, 12),
                 Draw(90, 18, 55, 140), Draw(42, 10, 20, 60), Draw(15, 3, 8, 22), length=0.95),
    "HCM": Group(Draw(72, 10, 48, 95), Draw(67, 5, 56, 80), Draw(119, 8, 111, 145), Draw(11, 2, 7, 16),
                 Draw(72, 10, 45, 98), Draw(62, 6, 45, 75), Draw(19, 3, 13, 25)),
    "RV": Group(Draw(70, 10, 45, 90), Draw(57, 5, 50, 68), Draw(50, 7, 36, 72), Draw(13.5, 2, 9, 18),
                Draw(130, 18, 111, 185), Draw(40, 7, 22, 55), Draw(15, 3, 9, 22)),
}  # fmt: skip
WOMEN = 0.9  # volumes and masses per body surface, as a share of men's; the means above are between the two


@dataclass(frozen=True)
class Patient:
    """One patient: body, diagnosis, and the sizes of both ventricles. Volumes are mL, lengths mm."""

    group: str
    sex: str
    height: float  # cm
    weight: float  # kg
    volumes: tuple[float, float]  # left ventricle's cavity, papillary muscles counted to it: end-diastole, end-systole
    right_volumes: tuple[float, float]
    mass: float  # g, of the left ventricle's wall
    length: float  # mitral ring to the cavity's tip at end-diastole
    descent: float
    right_descent: float
    frames: int  # of the cine
    systole: int  # number of the frame of end-systole; end-diastole is frame 1

    @property
    def surface(self) -> float:
        """Body surface in m2 (Mosteller)."""
        return float(np.sqrt(self.height * self.weight / 3600))


def draw_patient(seed: int, index: int) -> Patient:
    """Draw patient ``index``: every run of five holds each group once."""
    rng = generator(KIND, seed, index, 2)
    group = balanced_choice(KIND, seed, index, GROUPS, 1)
    ranges = RANGES[group]
    sex = "FM"[int(rng.integers(2))]
    height = Draw(175, 7, 155, 198)(rng) if sex == "M" else Draw(163, 6.5, 145, 182)(rng)
    weight = Draw(26.5, 4, 18, 40)(rng) * (height / 100) ** 2
    surface = float(np.sqrt(height * weight / 3600))
    scale = 2 * (1.0 if sex == "M" else WOMEN) / (1 + WOMEN)
    volume = ranges.volume(rng, scale)
    end_diastole = (min(volume, 80.0) if group == "NOR" and sex == "F" else volume) * surface
    right = ranges.right_volume(rng, scale) * surface
    end_systole = end_diastole * (1 - ranges.ejection(rng) / 100)
    right_systole = right * (1 - ranges.right_ejection(rng) / 100)
    mass = ranges.mass(rng, scale) * surface
    length = Draw(86, 3.5, 76, 96)(rng) * ranges.length * (end_diastole / 150) ** 0.36
    frames = int(rng.integers(20, 36))
    return Patient(
        group,
        sex,
        round(height, 1),
        round(weight, 1),
        (end_diastole, end_systole),
        (right, right_systole),
        mass,
        float(np.clip(length, 62, 97)),
        ranges.descent(rng),
        ranges.right_descent(rng),
        frames,
        1 + round(frames * float(rng.uniform(0.31, 0.42))),
    )

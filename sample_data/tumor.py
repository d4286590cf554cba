"""The tumour of a spinal phantom: one picture model for all types, and a labelling rule that differs by type.

Every tumour is an infiltrated region (bright on T2w, widens the cord, border more or less sharp, enhancing in part), a nodule in
it that enhances more, oedema above and below, and sometimes cavities. The core is

    astrocytoma, ependymoma     the infiltrated region with its nodule, less the cavities
    hemangioblastoma            the nodule alone: the region around it is oedema

(Lemay et al. 2021, appendix B; Baleriaux 1999; Baker et al. 2000). The looks are drawn from a distribution of each type's own, and
these overlap; a share of the tumours, `MIMICRY`, is drawn from another type's distribution, so the type cannot be read with certainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fields import Array, SmoothField, ellipsoid, soft
from .spine import Spine

TYPES = ("astrocytoma", "ependymoma", "hemangioblastoma")
LABELS = {1: "tumor core", 2: "oedema", 3: "cavity"}

MIMICRY = 0.16
"""Share of tumours that look like another type: atypical tumours are common enough that biopsy decides (docs/phantoms.md)."""


@dataclass(frozen=True)
class Looks:
    """How tumours of a type look: (low, high) of uniform draws, or chances in 0..1."""

    half_length: tuple[float, float]  # mm, of the infiltrated region: half of its extent along the cord, log-uniform
    off_centre: tuple[float, float]  # of the region across the cord, as a share of the cord's radius
    border: tuple[float, float]  # mm over which the region fades out
    patchy: tuple[float, float]  # heterogeneity of the region, as a share of its contrast
    enhancement: tuple[float, float]  # of the region on Gd-e T1w, as a share of the cord's signal
    nodule: tuple[float, float]  # mm, the nodule's radius across the cord
    nodule_length: tuple[float, float]  # its half length, as a multiple of that radius
    nodule_enhancement: tuple[float, float]  # as a share of the cord's signal
    nodule_border: tuple[float, float]  # mm
    nodule_surface: tuple[float, float]  # 0 in the region's middle, 1 at the back of the cord
    cavity: float  # chance of cavities
    dark_cap: float  # chance of old blood (dark on T2w) at the poles
    feeding_vessels: float  # chance of prominent veins


LOOKS = {
    # large, ill-defined, heterogeneous, partial or moderate enhancement, off the cord's middle
    "astrocytoma": Looks((15, 52), (0.18, 0.5), (1.8, 5.5), (0.35, 0.95), (0.05, 0.45), (2.2, 5.2), (1.0, 2.6), (0.3, 1.2),
                         (1.0, 3.5), (0.0, 0.8), 0.35, 0.08, 0.15),
    # central, better defined, more even and stronger enhancement, caps of old blood, polar cysts
    "ependymoma": Looks((13, 42), (0.0, 0.22), (0.6, 2.4), (0.1, 0.45), (0.2, 0.75), (2.6, 5.4), (1.2, 3.0), (0.45, 1.4),
                        (0.6, 2.5), (0.0, 0.35), 0.55, 0.4, 0.15),
    # a small nodule that enhances intensely at the cord's surface, in a long bright region that enhances little, with a syrinx
    "hemangioblastoma": Looks((14, 50), (0.0, 0.3), (1.0, 3.5), (0.05, 0.4), (0.0, 0.22), (2.2, 4.6), (0.9, 1.7), (0.9, 1.8),
                              (0.5, 1.8), (0.3, 1.0), 0.65, 0.1, 0.55),
}  # fmt: skip


@dataclass(frozen=True)
class Ball:
    """An ellipsoid in cord coordinates: centre and radii (u, v, s) in mm."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]

    def distance(self, u: Array, v: Array, s: Array) -> Array:
        """Return the signed distance in mm, positive inside."""
        return ellipsoid(u, v, s, self.centre, self.radii)


@dataclass(frozen=True)
class Tumor:
    """One subject's tumour, in cord coordinates (mm)."""

    tumor_type: str
    region: Ball
    nodule: Ball
    oedema: Ball
    cavities: tuple[Ball, ...]
    widening: float
    border: float
    nodule_border: float
    patchy: float
    enhancement: float
    nodule_enhancement: float
    t2_region: float  # brightness of the region on T2w, as a share of the cord's signal above the cord's
    t2_nodule: float
    dark_cap: float
    feeding_vessels: float  # mm added to the veins' radius
    shape: SmoothField
    speckle: SmoothField

    @classmethod
    def draw(cls, rng: np.random.Generator, spine: Spine, tumor_type: str) -> Tumor:
        """Draw a tumour of ``tumor_type`` (one of `TYPES`) into ``spine``."""
        others = [name for name in TYPES if name != tumor_type]
        look = LOOKS[others[int(rng.integers(2))] if rng.random() < MIMICRY else tumor_type]

        def pick(bounds: tuple[float, float]) -> float:
            return float(rng.uniform(*bounds))

        half = float(np.exp(rng.uniform(*np.log(look.half_length))))
        reach = 84.0 - half  # the whole of it lies inside both fields of view
        low = -reach if spine.conus is None else max(-reach, spine.conus + half + 8)
        middle = float(np.clip(rng.normal(0, 22), low, max(low, reach)))
        widening = float(rng.uniform(0.25, 0.75))
        wide = min(spine.size.cord[0] * (1 + widening), spine.size.canal[0] - 1.6)
        deep = min(spine.size.cord[1] * (1 + widening), spine.size.canal[1] - 1.3)
        off, angle = pick(look.off_centre), float(rng.uniform(0, 2 * np.pi))
        fill = rng.uniform(0.78, 1.0, 2)
        centre = (off * wide * np.cos(angle) * 0.7, off * deep * np.sin(angle) * 0.7, middle)
        region = Ball(centre, (wide * fill[0], deep * fill[1], half))

        radius = min(pick(look.nodule), 0.8 * wide)
        flat = min(radius, 0.72 * deep)
        surface = pick(look.nodule_surface)
        length = min(radius * pick(look.nodule_length), 0.7 * half)
        nodule = Ball(
            (
                centre[0] * (1 - surface) + float(rng.normal(0, 0.25)) * (wide - radius),
                centre[1] * (1 - surface) - surface * (deep - flat),
                middle + float(rng.uniform(-0.6, 0.6)) * (half - length),
            ),
            (radius, flat, length),
        )
        swelling = float(rng.uniform(1.1, 1.5)) * half
        oedema = Ball((0.0, 0.0, middle + float(rng.normal(0, 0.06)) * half), (0.8 * wide, 0.8 * deep, swelling))

        cavities = []
        if rng.random() < look.cavity:
            for _ in range(int(rng.integers(1, 4))):
                long = float(rng.uniform(4, 16))
                near = rng.random() < 0.5  # beside the nodule, or at a pole of the region
                side = float(rng.choice([-1.0, 1.0]))
                at = nodule.centre[2] + side * (length + 0.7 * long) if near else middle + side * (half - 0.3 * long)
                at = float(np.clip(at, middle - swelling, middle + swelling))
                spread = rng.uniform(0.35, 0.7, 2)
                cavities.append(Ball((0.3 * centre[0], 0.3 * centre[1], at), (wide * spread[0], deep * spread[1], long)))
        return cls(
            tumor_type,
            region,
            nodule,
            oedema,
            tuple(cavities),
            widening,
            pick(look.border),
            pick(look.nodule_border),
            pick(look.patchy),
            pick(look.enhancement),
            pick(look.nodule_enhancement),
            float(rng.uniform(0.7, 1.25)),
            float(rng.uniform(0.35, 1.1)),
            float(rng.uniform(0.5, 0.9)) if rng.random() < look.dark_cap else 0.0,
            float(rng.uniform(0.25, 0.7)) if rng.random() < look.feeding_vessels else 0.0,
            SmoothField.draw(rng, (-24, -24, -130), (24, 24, 130), 8.0),
            SmoothField.draw(rng, (-24, -24, -130), (24, 24, 130), 4.5),
        )

    def expansion(self, s: Array) -> Array:
        """Return by what share the tumour widens the cord at s."""
        t = (s - np.float32(self.region.centre[2])) / np.float32(1.1 * self.region.radii[2])
        bump: Array = np.float32(self.widening) * np.exp(-(t**4))
        for cavity in self.cavities:
            t = (s - np.float32(cavity.centre[2])) / np.float32(1.2 * cavity.radii[2])
            bump = np.maximum(bump, np.float32(0.6 * self.widening) * np.exp(-(t**4)))
        return bump

    def distances(self, u: Array, v: Array, s: Array, to_cord: Array) -> dict[str, Array]:
        """Return signed distances (mm) of region, nodule, oedema and cavity; ``to_cord`` is the cord's own."""
        wobble = self.shape(u, v, s)
        region = np.minimum(self.region.distance(u, v, s) + np.float32(0.4 + 0.18 * self.border) * wobble, to_cord)
        nodule = np.minimum(self.nodule.distance(u, v, s) + np.float32(0.35) * wobble, to_cord - 0.2)
        oedema = np.minimum(self.oedema.distance(u, v, s) + np.float32(0.8) * wobble, to_cord - 0.3)
        cavity = np.full_like(u, -50.0)
        for ball in self.cavities:
            cavity = np.maximum(cavity, ball.distance(u, v, s) + np.float32(0.3) * wobble)
        cavity = np.minimum(np.minimum(cavity, to_cord - 0.7), -nodule)
        return {"region": region, "nodule": nodule, "oedema": oedema, "cavity": cavity}

    def truth(self, distances: dict[str, Array], width: float) -> Array:
        """Return the shares (3, ...) of core, oedema and cavity in a voxel of ``width`` mm, by the type's labelling rule."""
        cavity = soft(distances["cavity"], width)
        solid = distances["nodule"] if self.tumor_type == "hemangioblastoma" else np.maximum(distances["region"], distances["nodule"])
        core = soft(solid, width) * (1 - cavity)
        swollen = soft(np.maximum(np.maximum(distances["region"], distances["oedema"]), distances["nodule"]), width)
        return np.stack([core, np.clip(swollen - core - cavity, 0, 1), cavity])

"""What a spinal scan shows: spine, tumour and their surroundings, as signal at any point.

Tissues are painted one over the other, each by its membership (see `fields`), far to near: muscle, fat, bone, canal, cord, tumour, veins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fields import Array, SmoothField, paint, soft
from .spine import Spine
from .tumor import Tumor

# Signals as shares of the normal cord's, read off usual spin-echo pictures: T1w with gadolinium, T2w.
SIGNAL = {
    "cord": (1.0, 1.0), "csf": (0.42, 2.7), "fat": (2.1, 1.9), "muscle": (0.8, 0.5), "marrow": (1.15, 0.95), "cortex": (0.15, 0.12),
    "disc": (0.8, 1.5), "dark_disc": (0.7, 0.4), "ligament": (0.3, 0.2), "vein": (1.9, 0.25), "plexus": (1.6, 1.1), "air": (0.02, 0.02),
    "cavity": (0.45, 2.55), "oedema": (0.93, 1.5), "region": (0.88, 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """What is drawn once for a subject and seen by both channels."""

    spine: Spine
    tumor: Tumor
    streaks: SmoothField
    marrow: float
    muscle: float
    airway: float

    @classmethod
    def draw(cls, rng: np.random.Generator, spine: Spine, tumor: Tumor) -> Scene:
        """Draw what surrounds ``spine`` and ``tumor``."""
        streaks = SmoothField.draw(rng, (-40, -80, -130), (40, 80, 130), 5.0)
        return cls(spine, tumor, streaks, float(rng.normal(1, 0.12)), float(rng.normal(1, 0.08)), float(rng.uniform(0, 1)))

    def signal(self, world: tuple[Array, Array, Array], contrast: int, width: float) -> tuple[Array, Array]:
        """Return the signal (normal cord = 1) at world points, and the shares (3, ...) of core, oedema and cavity.

        ``contrast`` is 0 for Gd-e T1w and 1 for T2w, ``width`` the voxel's width in the plane in mm.
        """
        u, v, s = self.spine.cord_coordinates(*world)
        texture, streaks = self.spine.texture(*world), self.streaks(*world)
        image = self._soft_tissue(u, v, s, texture, streaks, contrast, width)
        bones = self.spine.bones(u, v, s)
        image = self._bone(image, u, v, s, texture, streaks, bones, contrast, width)
        image = self._canal(image, v, streaks, bones["canal"], contrast, width)
        shares = np.zeros((3, *image.shape), np.float32)
        near = bones["canal"] > -2.0  # the rest of the work is done where it shows
        image[near], shares[:, near] = self._cord(image[near], u[near], v[near], s[near], texture[near], contrast, width)
        # air behind the back, softened by the skin
        image = paint(image, soft(-self.spine.size.skin - v + 0.4, width), SIGNAL["cortex"][contrast])
        return paint(image, soft(-self.spine.size.skin - v - 1.2, width), SIGNAL["air"][contrast]), shares

    def _soft_tissue(self, u: Array, v: Array, s: Array, texture: Array, streaks: Array, contrast: int, width: float) -> Array:
        """Muscle, fat under the skin, and what lies in front of the spine: airway, lung, great vessel."""
        spine, level = self.spine, {name: value[contrast] for name, value in SIGNAL.items()}
        image: Array = level["muscle"] * self.muscle * (1 + 0.06 * texture)
        image = paint(image, 0.55 * soft(streaks - 1.1, 1.2), level["fat"])
        under_skin = -(spine.size.skin - spine.fat) - v + 1.5 * texture
        image = paint(image, soft(under_skin, width), level["fat"] * (1 + 0.03 * streaks))
        front = spine.size.canal[1] + 1.5 + spine.size.body_depth
        if spine.level == "cervical":
            airway = soft(3.5 - np.abs(v - front - 14 - 4 * self.airway), width) * soft(9 - np.abs(u), 2)
            image = paint(image, airway, level["air"])
            image = paint(image, soft(v - front - 34, 6), level["fat"])
            return paint(image, soft(v - front - 44 - 0.25 * np.abs(s), width), level["air"])
        image = paint(image, soft(v - front - 1.5 + texture, 4), 0.6 * level["fat"])
        if spine.level == "thoracic":
            image = paint(image, soft(np.maximum(np.abs(u) - 17, v - front - 26) + 2 * texture, 4), 3 * level["air"])
        aorta = np.hypot(u + 10, v - front - 12) if spine.level == "thoracolumbar" else np.hypot(u + 16, v - front - 4)
        return paint(image, soft(10.5 - aorta, width), level["cortex"])  # a flow void

    def _bone(
        self,
        image: Array,
        u: Array,
        v: Array,
        s: Array,
        texture: Array,
        streaks: Array,
        bones: dict[str, Array],
        contrast: int,
        width: float,
    ) -> Array:
        """Foramina, ligaments, marrow in its cortex, basivertebral veins and discs."""
        spine, level = self.spine, {name: value[contrast] for name, value in SIGNAL.items()}
        to_disc, _, index = spine.place(s)
        wear = spine.degeneration.astype(np.float32)[index]
        foramen = 5.5 - np.hypot(np.abs(u) - spine.size.canal[0] - 3.5, v - 1)
        image = paint(image, soft(foramen, 3), level["fat"])
        between = np.minimum(6.5 - np.abs(u), np.minimum(-spine.size.canal[1] - v, v + spine.size.skin * 0.6))
        image = paint(image, soft(between, 2), 0.5 * (level["ligament"] + level["muscle"]) * (1 + 0.2 * streaks))
        for name in ("body", "pedicle", "process"):
            image = paint(image, soft(bones[name] + 0.7, width), level["cortex"])
            marrow = level["marrow"] * self.marrow * (1 + 0.07 * texture + 0.05 * streaks)
            image = paint(image, soft(bones[name] - 0.4, width), marrow)
        middle = spine.size.canal[1] + 1.5
        vein = np.minimum(np.minimum(1.3 - 0.12 * (v - middle), 9 - (v - middle)), 6 - np.abs(u))
        image = paint(image, 0.7 * soft(vein - np.maximum(spine.size.body_height / 2 - to_disc, 0), 1.5), level["plexus"] * 1.05)
        nucleus = paint(np.full_like(image, level["dark_disc"]), soft(bones["disc"] - 1.2, 2.0) * (1 - wear), level["disc"])
        image = paint(image, soft(bones["disc"], width), nucleus)
        front = middle + spine.size.body_depth
        return paint(image, soft(1.4 - np.abs(v - front), 1.4) * soft(8 - np.abs(u), 3), level["ligament"])

    def _canal(self, image: Array, v: Array, streaks: Array, canal: Array, contrast: int, width: float) -> Array:
        """Ligament, fat behind and veins in front of the dura, then CSF."""
        level = {name: value[contrast] for name, value in SIGNAL.items()}
        image = paint(image, soft(canal + 1.4, width), level["ligament"])
        outside = np.where(v < 0, level["fat"], level["plexus"] if contrast == 0 else level["ligament"] * 2)
        image = paint(image, soft(canal + 0.8, width), outside)
        return paint(image, soft(canal, width), level["csf"] * (1 + (0.08 if contrast else 0.02) * streaks))

    def _cord(self, image: Array, u: Array, v: Array, s: Array, texture: Array, contrast: int, width: float) -> tuple[Array, Array]:
        """Roots, cord, tumour and veins; and the shares of core, oedema and cavity."""
        spine, tumor, level = self.spine, self.tumor, {name: value[contrast] for name, value in SIGNAL.items()}
        wide, deep = spine.cord_radii(s, tumor.expansion)
        # the cord keeps to the inside of a bend
        v_cord = v - 0.35 * (spine.size.canal[1] - deep) * np.clip(-spine.size.curvature * 500, -1, 1)
        wide, present = np.maximum(wide, 0.3), deep > 0.5
        deep = np.maximum(deep, 0.3)
        to_cord = (1 - np.hypot(u / wide, v_cord / deep)) * deep
        if spine.conus is not None:
            roots = soft(0.9 - np.abs(v + 3.2 - 1.2 * np.sin(0.05 * s) + 0.4 * texture), width)
            roots = np.maximum(roots, soft(0.7 - np.abs(v + 5 + 0.3 * texture), width))
            image = paint(image, 0.75 * roots * soft(spine.conus + 12 - s, 15) * soft(6 - np.abs(u), 3), level["cord"])
        image = paint(image, soft(to_cord, width) * present, 1 + 0.03 * texture)

        near = tumor.distances(u, v_cord, s, to_cord)
        speckle = np.clip(tumor.speckle(u, v_cord, s), -2, 2)
        within = soft(to_cord, width)
        image = paint(image, soft(near["oedema"], 4.0) * within, level["oedema"])
        region = soft(near["region"] - 0.25 * tumor.border, tumor.border) * within
        if contrast == 0:
            patches = np.clip(1 + 1.4 * tumor.patchy * speckle, 0, 2.2)
            image = paint(image, region, level["region"] + tumor.enhancement * patches)
            nodule = 1 + tumor.nodule_enhancement * (1 + 0.2 * tumor.patchy * speckle)
        else:
            image = paint(image, region, 1 + tumor.t2_region + 0.35 * tumor.patchy * tumor.t2_region * speckle)
            nodule = 1 + tumor.t2_nodule + 0.1 * tumor.patchy * speckle
        image = paint(image, soft(near["nodule"], tumor.nodule_border), nodule)
        if contrast == 1:
            half = np.float32(tumor.region.radii[2])
            to_pole = 1.6 - np.abs(np.abs(s - np.float32(tumor.region.centre[2])) - 0.93 * half)
            image = paint(image, tumor.dark_cap * soft(to_pole, 2.0) * soft(to_cord - 0.6, 2), 0.35)  # old blood
        image = paint(image, soft(near["cavity"], width), level["cavity"])
        closeness = np.exp(-(((s - np.float32(tumor.nodule.centre[2])) / np.float32(tumor.region.radii[2] + 15)) ** 2))
        veins = spine.vessel_membership(u, v_cord, s, deep, width, np.float32(tumor.feeding_vessels) * closeness)
        return paint(image, veins * present, level["vein"]), tumor.truth(near, width)

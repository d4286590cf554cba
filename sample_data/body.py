"""The upper abdomen of one phantom subject as continuous functions of RAS+ millimetres.

A structure is a signed distance (mm, positive inside) in the coordinates (x right, y front, z up) of an average adult: the
subject's own coordinates are scaled to that adult and bent by smooth random fields. z = 0 lies at the first lumbar vertebra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fields import Array, SmoothField, ellipsoid

MISSING = ("none", "spleen", "left kidney", "right kidney", "both kidneys")


@dataclass(frozen=True)
class Blob:
    """A loop of bowel, a cyst or a lesion: centre and radii in mm, and whether gas stands in its front part."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    gas: bool = False
    content: float = 0.0  # HU

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """Return the signed distance in mm, positive inside."""
        return ellipsoid(x, y, z, self.centre, self.radii)


@dataclass(frozen=True)
class Body:
    """One subject. Sizes are shares of the average adult's, lengths are mm."""

    half_width: float  # of the trunk, to the skin
    half_depth: float
    fat: float  # thickness under the skin
    breath: float  # how far the organs are pushed down
    liver: float
    spleen: float
    kidneys: tuple[float, float]  # right, left
    missing: str
    warp: tuple[SmoothField, SmoothField, SmoothField]
    texture: SmoothField
    vessels: tuple[SmoothField, SmoothField]
    bowel: tuple[Blob, ...]
    stomach: Blob
    liver_lesions: tuple[Blob, ...]
    kidney_cysts: tuple[Blob, ...]
    rib_phase: float

    @classmethod
    def draw(cls, rng: np.random.Generator, kept: str) -> Body:
        """Draw a subject who has the organ ``kept`` (liver, spleen or kidneys)."""
        low, high = (-180, -140, -150), (180, 140, 170)
        missing = str(rng.choice(MISSING, p=(0.78, 0.09, 0.05, 0.05, 0.03)))
        if missing == kept or (kept == "kidneys" and missing == "both kidneys"):
            missing = "none"
        warp = tuple(SmoothField.draw(rng, low, high, 70.0) for _ in range(3))
        bowel = []
        for _ in range(int(rng.integers(34, 50))):
            centre = (float(rng.uniform(-105, 105)), float(rng.uniform(-12, 68)), float(rng.uniform(-130, 22)))
            radii = (float(rng.uniform(12, 30)), float(rng.uniform(9, 19)), float(rng.uniform(11, 26)))
            bowel.append(
                Blob(centre, radii, bool(rng.random() < 0.4), float(rng.choice([15.0, 35.0, 60.0, 210.0], p=(0.4, 0.3, 0.2, 0.1))))
            )
        fill = float(rng.uniform(0.55, 1.05))
        stomach = Blob(
            (-48 + float(rng.normal(0, 5)), 30 + float(rng.normal(0, 5)), 45 + float(rng.normal(0, 8))),
            (44 * fill, 34 * fill, 46 * fill),
            True,
            float(rng.choice([15.0, 40.0, 180.0], p=(0.5, 0.35, 0.15))),
        )
        lesions = [
            Blob(
                (float(rng.uniform(15, 100)), float(rng.uniform(-35, 45)), float(rng.uniform(-10, 70))),
                (
                    r := float(np.exp(rng.uniform(np.log(4), np.log(22)))),
                    r * float(rng.uniform(0.8, 1.2)),
                    r * float(rng.uniform(0.8, 1.2)),
                ),
                content=float(rng.uniform(5, 70)),
            )
            for _ in range(int(rng.poisson(0.8)))
        ]
        cysts = [
            Blob(
                (side * float(rng.uniform(45, 80)), float(rng.uniform(-55, -20)), float(rng.uniform(-60, 25))),
                (r := float(rng.uniform(4, 14)), r, r),
                content=float(rng.uniform(-2, 18)),
            )
            for side in rng.choice([-1.0, 1.0], int(rng.poisson(0.5)))
        ]
        return cls(
            float(np.clip(rng.normal(150, 10), 122, 166)),
            float(np.clip(rng.normal(104, 10), 82, 128)),
            float(np.clip(rng.lognormal(2.7, 0.4), 5, 34)),
            float(rng.normal(0, 9)),
            float(np.clip(rng.normal(1, 0.08), 0.8, 1.25)),
            float(np.clip(rng.lognormal(0, 0.17), 0.7, 1.5)),
            (float(np.clip(rng.normal(1, 0.08), 0.75, 1.2)), float(np.clip(rng.normal(1, 0.08), 0.75, 1.2))),
            missing,
            (warp[0], warp[1], warp[2]),
            SmoothField.draw(rng, low, high, 9.0),
            (SmoothField.draw(rng, low, high, 26.0), SmoothField.draw(rng, low, high, 26.0)),
            tuple(bowel),
            stomach,
            tuple(lesions),
            tuple(cysts),
            float(rng.uniform(0, 1)),
        )

    def average_coordinates(self, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
        """Return where a point of this subject lies in the average adult (mm)."""
        bent = [p + np.float32(a) * f(x, y, z) for p, a, f in zip((x, y, z), (4.0, 4.0, 5.0), self.warp, strict=True)]
        return bent[0] / np.float32(self.half_width / 150), bent[1] / np.float32(self.half_depth / 104), bent[2]

    def distances(self, x: Array, y: Array, z: Array) -> dict[str, Array]:
        """Return the signed distances (mm, positive inside) of all structures at points of the average adult."""
        nothing = np.full_like(z, -500.0)
        flat = np.zeros_like(z)
        trunk = ellipsoid(x, y, flat, (0, 0, 0), (150, 104, 1e4)) + 14 * np.clip(np.abs(x) / 150, 0, 1) * np.clip(-y / 104, 0, 1)
        cavity = ellipsoid(x, y, flat, (0, 4, 0), (137 - self.fat, 88 - 0.6 * self.fat, 1e4))
        up = z + np.float32(self.breath)  # organs below the diaphragm go down with it
        dome = (
            92
            - 34 * ((y - 8) / 80) ** 2
            - 24 * (np.maximum(np.abs(x) - 58, 0) / 60) ** 2
            - 9 * (np.minimum(np.abs(x) - 58, 0) / 58) ** 2
            - 10 * (x < 0)
        )
        column = ellipsoid(x, y, flat, (0, -58, 0), (23, 20, 1e4))

        organs = self._organs(x, y, up, dome, np.minimum(cavity - 2, -column - 4))
        vertebra = np.maximum(column, np.minimum(9 - np.abs(y + 72), 34 - np.abs(x) - 6 * np.abs(np.sin(z / 10))))
        vertebra = np.maximum(vertebra, np.minimum(5 - np.abs(x), np.minimum(-70 - y, y + 96)))
        ring = 4.2 - np.abs(cavity + 6)
        turn = (z + 0.45 * y + 0.1 * np.abs(x)) / 29 + self.rib_phase
        ribs = np.minimum(np.minimum(ring, 5.0 - 29 * np.abs(turn - np.round(turn))), 40 + 0.4 * z - y)
        psoas_size = np.clip(1.0 - z / 130, 0.3, 1.5).astype(np.float32)
        psoas = ellipsoid(np.abs(x) / psoas_size, (y + 52) / psoas_size, flat, (33, 0, 0), (16, 17, 1e4))
        back = ellipsoid(np.abs(x), y, flat, (34, -84, 0), (31, 19, 1e4))
        return {
            "trunk": trunk,
            "cavity": cavity,
            "lung": np.minimum(cavity - 1.5, np.minimum(up - dome, -column - 3)),
            "heart": np.minimum(np.minimum(ellipsoid(x, y, up, (-18, 38, 112), (56, 44, 34)), up - dome + 3), cavity - 6),
            "diaphragm": np.minimum(cavity, 2.0 - np.abs(up - dome)),
            "muscle": np.maximum(np.minimum(cavity + 11, np.minimum(-cavity, trunk - 4)), np.maximum(psoas, np.minimum(back, trunk - 5))),
            "vertebra": vertebra,
            "canal": ellipsoid(x, y, flat, (0, -76, 0), (10, 8, 1e4)),
            "ribs": np.where(z > -55, ribs, nothing),
            "aorta": ellipsoid(x, y, flat, (-7, -30, 0), (10.5, 10.5, 1e4)),
            "cava": ellipsoid(x, y, flat, (21, -27, 0), (12, 9.5, 1e4)),
            **organs,
        }

    def _organs(self, x: Array, y: Array, z: Array, dome: Array, room: Array) -> dict[str, Array]:
        """Return liver, spleen, kidneys, cortex, gallbladder, pancreas, stomach and their insides; ``room`` bounds them all."""
        below = dome - z - 2.5
        k = self.liver
        right = ellipsoid(x, y, z, (64, -2, 26), (66 * k, 74 * k, 72 * k))
        left = ellipsoid(x, y, z + 0.25 * x, (0, 40, 48), (72 * k, 30 * k, 34 * k))
        gall = ellipsoid(x, y, z, (36, 44, -18), (12, 13, 26))
        k = self.spleen
        spleen = np.minimum(ellipsoid(x, y, z, (-90, -26, 40), (30 * k, 43 * k, 50 * k)), -ellipsoid(x, y, z, (-52, -6, 42), (30, 30, 60)))
        wholes, kidneys, cortex, sinus = [], [], [], []
        for side, size, up in ((1.0, self.kidneys[0], -24.0), (-1.0, self.kidneys[1], -12.0)):
            lean = x - side * (58 - 0.22 * (z - up))  # upper poles lean to the spine
            whole = ellipsoid(lean, y + 0.15 * (z - up), z, (0, -40, up), (27 * size, 23 * size, 55 * size))
            hollow = ellipsoid(lean, y, z, (-side * 12 * size, -34, up), (14 * size, 9 * size, 24 * size))
            gone = self.missing in ("both kidneys", "right kidney" if side > 0 else "left kidney")
            whole = np.full_like(whole, -500.0) if gone else whole
            wholes.append(whole)
            kidneys.append(np.minimum(whole, -hollow))
            cortex.append(6.5 - whole)
            sinus.append(np.minimum(whole, hollow))
        kidney, whole = np.minimum(np.maximum(*kidneys), room), np.maximum(*wholes)
        liver = np.minimum(np.minimum(np.maximum(right, left), np.minimum(below, room)), np.minimum(-gall - 1, -whole - 2))
        liver = np.minimum(liver, -ellipsoid(x, y, np.zeros_like(z), (21, -27, 0), (13, 10.5, 1e4)))  # the caval vein's groove
        spleen = np.minimum(np.minimum(spleen, np.minimum(below, room)), -whole - 2)
        if self.missing == "spleen":
            spleen = np.full_like(spleen, -500.0)
        taken = np.maximum(np.maximum(liver, spleen), whole)
        stomach = np.minimum(np.minimum(self.stomach.distance(x, y, z), np.minimum(below, room)), -taken - 2)
        pancreas = ellipsoid(x, y - 0.0016 * x**2 + 4, z - 0.2 * np.abs(x), (-18, -2, 6), (62, 10, 13))
        return {
            "liver": liver,
            "spleen": spleen,
            "kidneys": kidney,
            "cortex": np.minimum(*cortex),
            "sinus": np.minimum(np.maximum(*sinus), room),
            "gallbladder": np.minimum(gall, room),
            "pancreas": np.minimum(np.minimum(pancreas, room), -taken - 2),
            "stomach": stomach,
            "bowel_room": np.minimum(np.minimum(room - 1, -taken - 3), -stomach - 2),
        }

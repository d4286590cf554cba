"""How the phantom `cardiac` looks on a balanced steady-state cine: tissue by tissue, then what the scanner adds.

Signals are shares of the blood's. The truth is not how it looks: blood above the valves is as bright as blood below them, papillary muscles
are as dark as the wall and belong to the cavity, and the mask ends at the valves' planes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cardiac_anatomy import Heart
from .cardiac_chest import SIGNAL
from .fields import Array, bias_field, paint, rician, soft

LABELS = {1: "right ventricle", 2: "myocardium", 3: "left ventricle"}


@dataclass(frozen=True)
class Look:
    """What differs from patient to patient and from scanner to scanner."""

    blood: float  # textbook signal, times this
    myocardium: float
    slow: float  # how much darker slow or whirling blood is, as a share
    trabeculae: float  # mm
    noise: float  # of the blood's signal: 1 / SNR
    shading: float  # standard deviation of the log bias field's terms
    coil: float  # mm over which the chest coil's signal falls to 1/e
    gain: float  # units of the file for the blood's signal

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Look:
        """Draw one examination."""
        return cls(
            float(np.clip(rng.normal(1, 0.06), 0.85, 1.15)),
            float(np.clip(rng.normal(1, 0.08), 0.8, 1.2)),
            float(rng.uniform(0.03, 0.12)),
            float(rng.uniform(0.8, 3.0)),
            float(rng.uniform(0.025, 0.06)),
            float(rng.uniform(0.04, 0.12)),
            float(rng.uniform(140, 260)),
            float(np.exp(rng.uniform(np.log(120), np.log(500)))),
        )


def paint_heart(
    image: Array, heart: Heart, look: Look, points: tuple[Array, Array, Array], width: float, *, systole: bool
) -> tuple[Array, Array]:
    """Paint ``heart`` over ``image`` at ``points`` (u, v, s in mm); return it and the shares (3, ...) of the labels.

    ``width`` is a voxel's in the plane, mm.
    """
    u, v, s = points
    left, form = heart.left, heart.left.form
    theta, radius = np.arctan2(v, u), np.hypot(u, v)
    ring = left.ring(u, v)
    depth = s - ring
    near = np.maximum(depth, 0)
    outer = left.outer(near, theta) - radius
    inner = left.cavity(near / left.length, theta) - radius
    ellipse, below = heart.right(u, v, s)
    right = np.minimum(ellipse, np.where(depth > -6, -outer, ellipse))
    atria, arteries = heart.basins(u, v, s)
    texture = form.texture(u, v, s)
    muscle = SIGNAL["myocardium"] * look.myocardium * (1 + 0.05 * texture)
    blood = SIGNAL["blood"] * look.blood * (1 - look.slow * np.clip(texture, 0, 2))

    # Fat of the heart, thick in the groove between atria and ventricles and over the right ventricle.
    under, over = soft(depth, 3.0), soft(below, 3.0)
    groove = 5 * np.exp(-((depth / 9) ** 2))
    wall = np.maximum(np.minimum(outer, depth + 4), np.minimum(ellipse + 3.2, below + 3))
    whole = np.maximum(wall, np.maximum(atria, arteries) + 2.5)
    image = paint(image, soft(whole + form.fat + 1.5 + groove + 1.2 * texture, width), 0.3)  # pericardium
    image = paint(image, soft(whole + form.fat + groove + 1.2 * texture, width), SIGNAL["fat"] * (1 + 0.05 * texture))
    image = paint(image, soft(np.maximum(atria, arteries) + 2.2, width), 0.9 * muscle)
    image = paint(image, soft(np.minimum(ellipse + 3.2, below + 2), width), muscle)
    image = paint(image, soft(np.minimum(outer, depth + 2.5), width), muscle)

    # Blood: flow through an open valve, or out of the aortic one, is darker than blood at rest.
    jet = np.exp(-(((depth - (6 if systole else 12)) / 12) ** 2) - ((radius / 14) ** 2))
    moving = blood * (1 - (3.0 if systole else 1.7) * look.slow * jet)
    image = paint(image, soft(np.maximum(atria, arteries), width), moving)
    rough = look.trabeculae * np.clip(0.6 + 0.6 * texture, 0, 2)
    image = paint(image, soft(np.minimum(right, below + 3), width), blood)
    image = paint(image, 0.5 * soft(rough * 1.6 - right, 2.0) * soft(right, width) * over, muscle)
    opening = np.where(atria > -1.5, depth + 4, depth)  # through the mitral valve blood is blood
    image = paint(image, soft(np.minimum(inner, opening), width), moving)
    image = paint(image, 0.5 * soft(rough - inner, 1.5) * soft(inner, width) * under, muscle)
    image = paint(image, soft(np.minimum(left.papillary(u, v, near), inner + 1.5), width) * under, muscle)

    cavity = soft(inner, width) * under
    shell = np.clip(soft(outer, width) * under - cavity, 0, 1)
    return image, np.stack([soft(right, width) * over * (1 - np.clip(cavity + shell, 0, 1)), shell, cavity])


def degrade(rng: np.random.Generator, image: Array, look: Look, field: Array, front: Array) -> Array:
    """Add bands, shading and noise to ``image`` (I, J, K).

    ``field`` is the phase in turns by which the field is off: a balanced sequence loses its signal at half turns. ``front`` is the distance
    from the chest coil in mm.
    """
    bands = 1 - 0.75 * np.exp(-(((np.abs(field - np.round(field)) - 0.5) / 0.06) ** 2))
    coil = np.exp(-(front - 90) / look.coil)
    shape = (image.shape[0], image.shape[1], image.shape[2])
    return rician(rng, image * bands * coil * bias_field(rng, shape, look.shading), look.noise)

"""How the heart of the phantom `cardiac` beats: the same form with the drawn volumes at end-diastole and end-systole.

The apex stays where it is and the valves come down to it; the wall keeps its volume, so it thickens; an infarct neither moves nor thickens.
Sizes are solved, so that a heart has the volumes, the mass and the ejection fraction that were drawn for its patient.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from .cardiac_anatomy import Form, Heart, Left, Region
from .cardiac_patient import MYOCARDIUM, Draw, Patient
from .fields import SmoothField

PHASES = ("ED", "ES")


def draw_form(rng: np.random.Generator, patient: Patient) -> Form:
    """Draw what stays of ``patient``'s heart while it beats."""
    group = patient.group
    thick = float(rng.uniform(0.3, 0.55)) if group == "HCM" else float(rng.uniform(0.0, 0.15))
    angle = float(rng.normal(-2.6, 0.35))  # the septum in front, where hypertrophy is commonest
    # The three territories: anterior and septal, lateral, inferior.
    territory = float(rng.choice([-2.0, -0.2, 1.7], p=(0.5, 0.15, 0.35))) + float(rng.normal(0, 0.2))
    infarct = Region(territory, float(rng.uniform(0.75, 1.15)), float(rng.uniform(0.4, 0.75)), float(rng.uniform(0.35, 0.55)))
    return Form(
        (abs(float(rng.normal(0, 0.03))), float(rng.uniform(0, np.pi))),
        float(rng.uniform(0.05, 0.16)) if group == "RV" else float(rng.uniform(0, 0.03)),
        Region(angle, float(rng.uniform(0.9, 1.5)), float(rng.uniform(0.25, 0.5)), float(rng.uniform(0.45, 0.8))),
        thick,
        infarct,
        float(rng.uniform(0.25, 0.5)) if group == "MINF" else 0.0,
        (float(rng.normal(-0.75, 0.15)), float(rng.normal(1.3, 0.18))),
        Draw(4.8, 0.6, 3.6, 6.2)(rng),
        (float(np.clip(rng.normal(0, 0.05), -0.1, 0.1)), float(np.clip(rng.normal(0, 0.05), -0.1, 0.1))),
        float(rng.uniform(0, 3)),
        float(np.clip(rng.lognormal(1.3, 0.4), 1.5, 8)),
        SmoothField.draw(rng, (-110, -90, -40), (90, 90, 130), 9.0),
    )


def beat(patient: Patient, form: Form) -> tuple[Heart, Heart]:
    """Return the heart at end-diastole and at end-systole."""
    wall = patient.mass / MYOCARDIUM
    tip = 4.5 if patient.group != "HCM" else 7.0
    open_ = _sized(Left(form, 0.0, patient.length, 1.0, 1.0, tip), patient.volumes[0], wall)
    closed_tip = 1.4 * tip
    length = patient.length + tip - closed_tip - patient.descent
    closed = Left(form, patient.descent, length, 1.0, 1.0, closed_tip, thickened=0.65 if form.thinning else 1.0)
    if form.thinning:
        # A share of how much narrower the rest becomes, so it is solved together with the radius.
        def stiff(radius: float) -> Left:
            return replace(closed, radius=radius, akinesia=max(0.85 * (open_.radius / radius - 1), 0.0))

        closed = stiff(float(brentq(lambda radius: stiff(radius).volume() - patient.volumes[1], 1.0, 80.0)))
        closed = _walled(closed, wall)
    else:
        closed = _sized(closed, patient.volumes[1], wall)
    reach = 0.9 * (patient.length + tip)  # s of the right ventricle's tip, which stays
    hearts = []
    for left, base, outflow, atrium, volume in (
        (open_, 2.0, -form.right_lift, 20.0, patient.right_volumes[0]),
        (closed, 2.0 + patient.right_descent, -form.right_lift + 0.6 * patient.right_descent, 24.0, patient.right_volumes[1]),
    ):
        heart = Heart(left, base, outflow, reach - base, 1.0, atrium)
        width = brentq(lambda w, heart=heart, volume=volume: replace(heart, right_width=w).right_volume() - volume, 1.0, 90.0, xtol=0.1)
        hearts.append(replace(heart, right_width=float(width)))
    return hearts[0], hearts[1]


def _sized(left: Left, cavity: float, wall: float) -> Left:
    """Give ``left`` the volumes asked for, mL."""
    return _walled(replace(left, radius=float(np.sqrt(cavity / replace(left, radius=1.0).volume()))), wall)


def _walled(left: Left, wall: float) -> Left:
    return replace(left, wall=float(brentq(lambda thick: replace(left, wall=thick).wall_volume() - wall, 0.1, 60.0)))

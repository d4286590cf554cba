"""The three colours of the difference between the masks A and B.

A and B have the orange and the sky blue of Okabe and Ito (2008). Where both are, a violet dark enough that people with
protanopia, deuteranopia or tritanopia tell it from either by its lightness: simulated after Machado et al. (2009), each
two are at least 40 apart in CIELAB, and 30 when they lie at 60 % opacity over mid-grey.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class DifferenceColour:
    """One part of the difference, the name of its colour, and the colour as #RRGGBB in sRGB."""

    part: str
    name: str
    code: str


COLOUR_A = "#E69F00"
COLOUR_B = "#56B4E9"

DIFFERENCE_COLOURS = (
    DifferenceColour("both", "violet", "#6A00A8"),
    DifferenceColour("only A", "orange", COLOUR_A),
    DifferenceColour("only B", "sky blue", COLOUR_B),
)
"""In the order of the labels 1, 2, 3 of the difference layer."""

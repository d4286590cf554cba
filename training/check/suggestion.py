"""The preprocessing that a data set suggests, as lines to paste into a recipe.

Slices lie across the axis of the thickest voxels, where the scanner put them; of cubic voxels they are axial. Spacing in the plane
is the image's own where all agree within 5 %, else the median of both axes; across the slices nothing is resampled. CT has absolute
units and gets a window: what the masks hold (0.5th to 99.5th percentile) and as much again around it, since the neighbours decide
where an organ ends. Everything else is z-scored slice by slice, as in Lemay et al. 2021. The patch is the median slice at that
spacing, at most 320 pixels a side, in multiples of what the network halves; depth leaves 16 pixels or more at its bottom: 4 for the
paper's 320 x 256 slices, 5 for its 512 x 512 ones.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_film.header import Range
from napari_film.volume import ACROSS, SLICED_AXES, SliceAxis

from ..recipe import Recipe
from ..recipe.images import ChannelRecipe
from .measuring import Seen
from .profile import Profile

ISOTROPIC = 1.2  # thickest to thinnest voxel side, up to which no axis is the slices'
AGREEING = 1.05
LARGEST_PATCH = 320
BOTTOM = 16  # pixels
_AIR = -500.0  # HU: no other scanner's images go so low

_ACROSS: dict[int, SliceAxis] = {axes[0]: name for name, axes in ACROSS.items()}


@dataclass(frozen=True)
class Suggestion:
    """Keys of a recipe; ``channels`` are those of [[channels]], and ``why`` says what each was taken from."""

    slice_axis: SliceAxis
    spacing: tuple[float, float, float]
    depth: int
    patch: tuple[int, int]
    channels: tuple[dict[str, Any], ...]
    why: dict[str, str]
    fourth_axis: str = "frame"

    def toml(self) -> str:
        """Give the lines to paste."""
        lines = ["[model]", f"depth = {self.depth}  # {self.why['depth']}", ""]
        for channel in self.channels:
            lines += ["[[channels]]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in channel.items()), ""]
        spacing = ", ".join(f"{length:g}" for length in self.spacing)
        lines += ["[preprocessing]", f'slice_axis = "{self.slice_axis}"  # {self.why["slice_axis"]}']
        lines += [f"spacing = [{spacing}]  # {self.why['spacing']}"]
        lines += [f'fourth_axis = "{self.fourth_axis}"', ""] if self.fourth_axis != "frame" else [""]
        lines += ["[training]", f"patch = [{self.patch[0]}, {self.patch[1]}]  # {self.why['patch']}"]
        return "\n".join(lines)


def suggest(profile: Profile, seen: Sequence[Seen], recipe: Recipe) -> Suggestion:
    """Say what ``profile`` suggests for the channels of ``recipe``."""
    middle = [of.median for of in profile.spacing]
    thickest = max(range(3), key=lambda axis: middle[axis])
    flat = middle[thickest] > ISOTROPIC * min(middle)
    acquired = recipe.preprocessing.slice_axis == "acquired"  # asked for, so it stays
    slice_axis: SliceAxis = "acquired" if acquired else _ACROSS[thickest] if flat else "axial"
    across, *plane = SLICED_AXES[slice_axis]
    low, high = min(profile.spacing[axis].low for axis in plane), max(profile.spacing[axis].high for axis in plane)
    agree = high <= low * AGREEING
    plainly = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    wanted = 0.0 if agree else round(sum(middle[axis] for axis in plane) / 2, 2)
    sides = [profile.size[axis].median * (1 if agree else middle[axis] / wanted) for axis in plane]
    height, width = (min(side, LARGEST_PATCH) for side in sides)
    depth = min(5, max(1, int(math.log2(max(min(height, width), 2 * BOTTOM) / BOTTOM))))
    divisor = max(16, 2**depth)
    patch = (divisor * math.ceil(height / divisor), divisor * math.ceil(width / divisor))
    return Suggestion(
        slice_axis=slice_axis,
        spacing=(wanted * (across != 0), wanted * (across != 1), wanted * (across != 2)),
        depth=depth,
        patch=patch,
        channels=tuple(_channel(channel, profile, seen, reference=number == 0) for number, channel in enumerate(recipe.channels)),
        fourth_axis=recipe.preprocessing.fourth_axis,
        why={
            "slice_axis": "as the recipe has it"
            if acquired
            else f"voxels are thickest along {'RAS'[thickest]}, {middle[thickest]:g} mm"
            if flat
            else "voxels are nearly cubes",
            "spacing": f"mm along {', '.join(profile.axes)}; {plainly} in the plane; 0 keeps the image's own",
            "patch": f"the median slice has {' x '.join(f'{side:.0f}' for side in sides)} pixels at this spacing",
            "depth": f"the patch becomes {patch[0] >> depth} x {patch[1] >> depth} at the bottom",
        },
    )


def _channel(channel: ChannelRecipe, profile: Profile, seen: Sequence[Seen], *, reference: bool) -> dict[str, Any]:
    """Give the keys of one channel: how it is named now, and the normalisation that suits it."""
    named: dict[str, Any] = {"name": channel.name}
    if channel.suffixes:
        named["suffix"] = channel.suffixes[0] if len(channel.suffixes) == 1 else list(channel.suffixes)
    found = profile.intensity.get(channel.name)
    if found is None or not _is_ct(channel, found, seen):
        return {**named, "method": "zscore", "scope": "slice"}
    inside = profile.foreground if reference and profile.foreground is not None else found
    around = (inside.high - inside.low) / 2
    return {**named, "method": "window", "window": [_tens(inside.low - around), _tens(inside.high + around)]}


def _is_ct(channel: ChannelRecipe, found: Range, seen: Sequence[Seen]) -> bool:
    said = " ".join([str(channel.suffix), channel.name, channel.description, *(case.record.cells.get("Modality", "") for case in seen[:1])])
    return "ct" in said.casefold().replace("_", " ").split() or "HU" in said.split() or found.low < _AIR


def _tens(value: float) -> int:
    return 10 * round(value / 10)

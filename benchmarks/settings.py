"""The networks that are measured, told without torch: architecture, slice size, and the header of a checkpoint.

FLOP of a convolution 3x3: 2 · C_in · C_out · 9 · H · W;   of a network: the sum over its convolutions
"""

from typing import Literal

from pydantic import BaseModel

from napari_film.architecture import Architecture, Conditioning
from napari_film.conditioning import MetadataSchema
from napari_film.fields import CategoricalField
from napari_film.header import Channel, Header
from napari_film.preprocessing import Normalisation, Preprocessing

VALUES = ("first", "second", "third")
FIELD = "target"


class Setting(BaseModel, frozen=True):
    """A network of one class and three condition values, and the slices (height, width) that it is given.

    ``certain`` makes one whose mask is what is bright in the first channel, with hardly a doubtful voxel, as a trained network's
    mask is: bfloat16 passes for float32 with it, and not with a random one.
    """

    depth: int
    channels: int
    height: int
    width: int
    features: int = 64
    film: Literal["everywhere", "decoder"] = "everywhere"
    spacing: float | None = None
    certain: bool = False

    @property
    def words(self) -> str:
        """What the table calls it."""
        return f"depth {self.depth}, width {self.features}, {self.channels} x {self.height} x {self.width}"

    @property
    def architecture(self) -> Architecture:
        """With FiLM at all places, or at the decoder's units alone."""
        decoder: tuple[Conditioning, ...] = ("none",) * (self.depth + 1) + ("film",) * self.depth + ("none",)
        return Architecture(
            depth=self.depth,
            width=self.features,
            channels=self.channels,
            classes=1,
            condition=len(VALUES),
            places=decoder if self.film == "decoder" else ("film",) * (2 * self.depth + 2),
        )

    @property
    def header(self) -> Header:
        """Axial slices, z-scored one by one, resampled to ``spacing`` mm along each axis; None keeps the image's."""
        schema = MetadataSchema(fields=(CategoricalField(name=FIELD, role="target", values=VALUES),))
        preprocessing = Preprocessing(
            slice_axis="axial",
            spacing=(self.spacing,) * 3,
            normalisation=(Normalisation(),) * self.channels,
            divisor=self.architecture.divisor,
        )
        return Header(
            name="benchmark",
            architecture=self.architecture,
            metadata_schema=schema,
            channels=tuple(Channel(name=f"channel {number}") for number in range(self.channels)),
            classes=("class",),
            preprocessing=preprocessing,
        )

    @property
    def flop(self) -> float:
        """FLOP of one slice, convolutions alone."""
        return convolution_flop(self.architecture, self.height, self.width)


CEILING_FLOP = 2.0 * 9 * 256 * 256 * 128 * 128
"""Of what the machine's ceiling is measured with: 256 channels to 256, 1 x 256 x 128 x 128."""

DEPTH_4 = Setting(depth=4, channels=2, height=320, width=256)
DEPTH_5 = Setting(depth=5, channels=1, height=512, width=512)
SPINAL_TUMOR = Setting(depth=3, channels=2, height=128, width=64, features=16)
"""The demo model's network, and the patches that it is trained on."""


def in_decoder(setting: Setting) -> Setting:
    """The same with FiLM at the decoder's units alone."""
    return setting.model_copy(update={"film": "decoder"})


def convolution_flop(architecture: Architecture, height: int, width: int) -> float:
    """FLOP of the network's convolutions for one slice of ``height`` x ``width``."""
    depth, places = architecture.depth, architecture.place_channels
    widths = places[:depth]
    inputs = (architecture.channels, *widths, *(places[depth + i] + widths[depth - 1 - i] for i in range(depth)))
    levels = (*range(depth + 1), *reversed(range(depth)))
    total = 0.0
    for inside, outside, level in zip(inputs, places[:-1], levels, strict=True):
        total += 2 * 9 * (inside + outside) * outside * (height >> level) * (width >> level)
    return total + 2 * 9 * places[-2] * places[-1] * height * width


def one_hot(columns: int, hot: int = 0) -> tuple[float, ...]:
    """Condition of the value number ``hot``."""
    return tuple(float(column == hot) for column in range(columns))

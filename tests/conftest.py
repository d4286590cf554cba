"""Factories of synthetic volumes and tiny models, so that no test needs a download.

Volumes are permuted, flipped, oblique and anisotropic. Models are seeded random networks whose masks are neither empty nor
full, and differ between conditions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_film.architecture import Architecture, Conditioning
from napari_film.checkpoint import save_checkpoint
from napari_film.conditioning import MetadataSchema
from napari_film.fields import CategoricalField, ContinuousField
from napari_film.header import Channel, Header
from napari_film.inference import plan
from napari_film.models.unet import ConditionedUNet
from napari_film.preprocessing import Normalisation, Preprocessing
from napari_film.volume import Volume

Affine = NDArray[np.float64]

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

TUMOR = CategoricalField(
    name="tumor_type",
    role="target",
    values=("astrocytoma", "ependymoma", "hemangioblastoma"),
    synonyms={"hemangioblastoma": ("HB", "haemangioblastoma")},
)
SITE = CategoricalField(name="site", values=("north", "south"), unknown=True)
AGE = ContinuousField(name="age", minimum=0, maximum=100, unit="years", outside="clamp")


def affine_of(
    axes: Sequence[int] = (0, 1, 2),
    flips: Sequence[bool] = (False, False, False),
    *,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    angles: Sequence[float] = (0.0, 0.0, 0.0),
    origin: Sequence[float] = (0.0, 0.0, 0.0),
) -> Affine:
    """Make an affine whose voxel axis d points along world axis ``axes[d]`` (against it if flipped), then tilted by ``angles`` degrees."""
    affine = np.eye(4)
    for axis, (world, flip, size) in enumerate(zip(axes, flips, spacing, strict=True)):
        affine[:3, axis] = 0
        affine[world, axis] = -size if flip else size
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 3] = origin
    return affine


def world_of(affine: Affine, shape: Sequence[int]) -> NDArray[np.float64]:
    """RAS+ mm of every voxel: (*shape, 3)."""
    return np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]


def random_network(architecture: Architecture, *, seed: int = 0) -> ConditionedUNet:
    """Make a network in which every part matters: FiLM far from constant, batch statistics other than 0 and 1, logits of both signs."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ConditionedUNet(architecture)
        with torch.no_grad():
            for name, tensor in network.state_dict().items():
                if name.startswith(("generator", "inside", "guides")):
                    tensor.normal_()
                elif name.endswith("running_mean"):
                    tensor.normal_(0.3, 0.2)
                elif name.endswith("running_var"):
                    tensor.uniform_(0.2, 0.6)
                elif architecture.normalisation == "none" and name.endswith(("conv1.weight", "conv2.weight")):
                    tensor.mul_(6**0.5)  # as large as keeps features from fading from unit to unit
                elif name == "head.weight":  # sees changes alone, so that no constant of a feature map decides everywhere
                    tensor.normal_(0, 10)
                    tensor -= tensor.mean(dim=(2, 3) if tensor.shape[2] > 1 else 1, keepdim=True)
                elif name == "head.bias":
                    tensor.fill_(-3)
    return network.eval()


def header_of(
    *fields: CategoricalField | ContinuousField,
    channels: int = 1,
    classes: Sequence[str] = ("lesion",),
    depth: int = 2,
    width: int = 4,
    places: Sequence[Conditioning] | None = None,
    preprocessing: dict[str, Any] | None = None,
    header: dict[str, Any] | None = None,
    **architecture: Any,
) -> Header:
    """Make a header whose parts agree."""
    schema = MetadataSchema(fields=fields)
    words = ("film" if schema.width else "none",) * (2 * depth + 2) if places is None else tuple(places)
    return Header(
        **{
            "name": "tiny",
            "architecture": Architecture(
                depth=depth, width=width, channels=channels, classes=len(classes), condition=schema.width, places=words, **architecture
            ),
            "metadata_schema": schema,
            "channels": tuple(Channel(name=f"channel {number}") for number in range(channels)),
            "classes": tuple(classes),
            "preprocessing": Preprocessing(
                **{"slice_axis": "axial", "normalisation": (Normalisation(),) * channels, "divisor": 2**depth, **(preprocessing or {})}
            ),
            **(header or {}),
        }
    )


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Keep torch to one thread: for networks this small more only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_slice_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a CPU's plan to batches of one: small networks would get more, and slices could not be told apart."""
    monkeypatch.setitem(plan._BATCHES, "cpu", 1)


@pytest.fixture(scope="session")
def make_affine() -> Callable[..., Affine]:
    """Give :func:`affine_of`: affines in any orientation."""
    return affine_of


@pytest.fixture(scope="session")
def make_world() -> Callable[..., NDArray[np.float64]]:
    """Give :func:`world_of`: where each voxel is."""
    return world_of


@pytest.fixture(scope="session")
def make_volume() -> Callable[..., Volume]:
    """Give a maker of int16 volumes of noise: ``make_volume(shape, affine=None, seed=0)``."""

    def make(shape: Sequence[int], affine: Affine | None = None, *, seed: int = 0, dtype: Any = np.int16) -> Volume:
        values = np.random.default_rng(seed).integers(0, 1000, size=shape)
        return Volume(np.asfortranarray(values.astype(dtype)), np.eye(4) if affine is None else affine, "noise.nii")

    return make


@pytest.fixture(scope="session")
def make_network() -> Callable[..., ConditionedUNet]:
    """Give :func:`random_network`."""
    return random_network


@pytest.fixture(scope="session")
def make_header() -> Callable[..., Header]:
    """Give :func:`header_of`; without fields it is a plain U-Net's."""
    return header_of


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Give a maker of checkpoint files: ``make_checkpoint(*fields, seed=0, **as header_of)``."""

    def make(*fields: CategoricalField | ContinuousField, seed: int = 0, **options: Any) -> Path:
        header = header_of(*fields, **options)
        path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
        save_checkpoint(path, random_network(header.architecture, seed=seed), header)
        return path

    return make


@pytest.fixture(scope="session")
def tumor() -> CategoricalField:
    """Give a target of three values, one of them with synonyms; not trained with unknown."""
    return TUMOR


@pytest.fixture(scope="session")
def site() -> CategoricalField:
    """Give a context of two values, trained with unknown."""
    return SITE


@pytest.fixture(scope="session")
def age() -> ContinuousField:
    """Give a number from 0 to 100 that is clamped."""
    return AGE


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of real data; skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not here")
    return SHARED

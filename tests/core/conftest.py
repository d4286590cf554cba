"""Factories of tiny models: seeded random networks whose masks are neither empty nor full, and differ between conditions."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_film.architecture import Architecture
from napari_film.checkpoint import save_checkpoint
from napari_film.conditioning import CategoricalField, ContinuousField, MetadataSchema
from napari_film.header import Channel, Header
from napari_film.models.unet import FiLMedUNet
from napari_film.preprocessing import Normalisation, Preprocessing

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

TUMOR = CategoricalField(
    name="tumor_type",
    role="target",
    values=("astrocytoma", "ependymoma", "hemangioblastoma"),
    synonyms={"hemangioblastoma": ("HB", "haemangioblastoma")},
)
SITE = CategoricalField(name="site", values=("north", "south"), unknown=True)
AGE = ContinuousField(name="age", minimum=0, maximum=100, unit="years", outside="clamp")


def random_network(architecture: Architecture, *, seed: int = 0) -> FiLMedUNet:
    """Make a network in which every part matters: FiLM far from constant, batch statistics other than 0 and 1, logits of both signs."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = FiLMedUNet(architecture)
        with torch.no_grad():
            for name, tensor in network.state_dict().items():
                if name.startswith("generator"):
                    tensor.normal_()
                elif name.endswith("running_mean"):
                    tensor.normal_(0.3, 0.2)
                elif name.endswith("running_var"):
                    tensor.uniform_(0.2, 0.6)
                elif name == "head.weight":  # sees changes alone, so that no constant of a feature map decides everywhere
                    tensor.normal_(0, 10)
                    tensor -= tensor.mean(dim=(2, 3), keepdim=True)
                elif name == "head.bias":
                    tensor.fill_(-3)
    return network.eval()


def header_of(
    *fields: CategoricalField | ContinuousField,
    channels: int = 1,
    classes: Sequence[str] = ("lesion",),
    depth: int = 2,
    width: int = 4,
    film: Sequence[bool] | None = None,
    preprocessing: dict[str, Any] | None = None,
    header: dict[str, Any] | None = None,
    **architecture: Any,
) -> Header:
    """Make a header whose parts agree."""
    schema = MetadataSchema(fields=fields)
    places = (bool(schema.width),) * (2 * depth + 2) if film is None else tuple(film)
    return Header(
        **{
            "name": "tiny",
            "architecture": Architecture(
                depth=depth, width=width, channels=channels, classes=len(classes), condition=schema.width, film=places, **architecture
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


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give a runner of Python code in an interpreter of its own: ``run_python(code, *arguments)``."""

    def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def make_network() -> Callable[..., FiLMedUNet]:
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

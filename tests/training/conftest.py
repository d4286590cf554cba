"""A data set of a few small volumes, so that a training run takes seconds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch

from napari_film import nifti
from napari_film.training.recipe import Recipe, parse_recipe
from napari_film.volume import Volume

TYPES = ("astrocytoma", "ependymoma", "hemangioblastoma")

CONTEXT_RECIPE = """
[model]
name = "tiny"
depth = 1
width = 4
dropout = 0.1

[data]
bids = "data"

[[channels]]
name = "T1w"
suffix = "ce-gadolinium_T1w"

[[channels]]
name = "T2w"
suffix = "T2w"

[[classes]]
name = "core"
labels = [1]

[[fields]]
name = "tumor_type"
values = ["astrocytoma", "ependymoma", "hemangioblastoma"]
unknown = true

[preprocessing]
slice_axis = "sagittal"

[training]
epochs = 2
samples = 24
batch = 4
patch = [16, 16]
learning_rate = 0.01
seed = 3
"""

TARGET_RECIPE = """
[model]
name = "tiny_organs"
depth = 1
width = 4

[data]
bids = "data"

[[channels]]
name = "T1w"
suffix = "ce-gadolinium_T1w"

[[fields]]
name = "organ"
role = "target"
values = ["large", "small"]
labels = { large = [1, 2], small = [2] }

[preprocessing]
slice_axis = "axial"

[training]
epochs = 2
samples = 16
batch = 4
"""


def write_bids(folder: Path, *, subjects: int = 9) -> Path:
    """Write ``subjects`` subjects of 6 x 20 x 20 voxels along R, A, S: a bright block (1) with a core (2), T2w on another grid."""
    rows = ["participant_id\ttumor_type\tage"]
    for number in range(subjects):
        rng = np.random.default_rng(number)
        name = f"sub-{number + 1:02d}"
        truth = np.zeros((6, 20, 20), dtype=np.uint8)
        a, s = rng.integers(3, 8, size=2)
        truth[1:5, a : a + 9, s : s + 9] = 1
        truth[2:4, a + 3 : a + 6, s + 3 : s + 6] = 2
        image = rng.normal(100, 10, truth.shape) + 60 * (truth > 0) + 40 * (truth == 2)
        affine = np.diag([3.0, 1.0, 1.0, 1.0])
        reference = Volume(image.astype(np.int16), affine, f"{name}_ce-gadolinium_T1w.nii.gz")
        shifted = affine.copy()
        shifted[:3, 3] = (0.0, -0.5, 0.25)
        other = Volume((200 - image).astype(np.int16), shifted, f"{name}_T2w.nii.gz")
        masks = folder / "derivatives" / "labels" / name / "anat"
        (folder / name / "anat").mkdir(parents=True)
        masks.mkdir(parents=True)
        for volume in (reference, other):
            nifti.write(folder / name / "anat" / volume.name, volume.data, like=volume)
        nifti.write(masks / f"{name}_ce-gadolinium_T1w_dseg.nii.gz", truth, like=reference)
        rows.append(f"{name}\t{TYPES[number % 3]}\t{20 + number}")
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small gain nothing from threads that wait for each other, and lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs that name no cache use one that goes with the tests, never the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platformdirs, "user_cache_path", lambda *_: tmp_path_factory.getbasetemp() / "cache")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "xdg-cache"))  # of processes that tests start
        yield


@pytest.fixture(scope="session")
def bids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine subjects, three of each tumour type. Tests that change the data write their own."""
    return write_bids(tmp_path_factory.mktemp("bids") / "data")


@pytest.fixture(scope="session")
def context_recipe(bids: Path) -> Recipe:
    """Two channels, one class, a context field with *unknown*."""
    return parse_recipe(CONTEXT_RECIPE.replace('"data"', f'"{bids}"'), name="tiny.toml")


@pytest.fixture(scope="session")
def target_recipe(bids: Path) -> Recipe:
    """One channel and a target field whose values overlap in the mask."""
    return parse_recipe(TARGET_RECIPE.replace('"data"', f'"{bids}"'), name="organs.toml")


@pytest.fixture
def write_recipe(tmp_path: Path, bids: Path) -> Callable[..., Path]:
    """Give a writer of recipe files: ``write_recipe(("epochs = 2", "epochs = 1"), text=...)``."""

    def write(*changes: tuple[str, str], text: str = CONTEXT_RECIPE, data: Path = bids) -> Path:
        text = text.replace('"data"', f'"{data}"')
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write

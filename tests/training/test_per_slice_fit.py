"""Fields that the program fills in slice by slice: the same numbers in training, validation and after it; and the recipe of the heart."""

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_film import nifti
from napari_film.architecture import Architecture
from napari_film.checkpoint import load_checkpoint
from napari_film.fields import BY_SLICE, UNKNOWN
from napari_film.inference.predictor import Predictor
from napari_film.models.unet import ConditionedUNet
from napari_film.training.cache import Cache
from napari_film.training.cases.reading import read_cases, read_records, source_at
from napari_film.training.check.inspection import inspect
from napari_film.training.dataset import TrainingSlices, prepare_cases
from napari_film.training.fit import Fitted, fit
from napari_film.training.module import TrainingModule
from napari_film.training.prior import deaf
from napari_film.training.recipe import Recipe, RecipeError, load_recipe
from napari_film.training.sampling import Sample
from napari_film.volume import Volume

from .test_picture_fit import KINDS, SHORT

SLICES = 5
SMALL = [
    *SHORT,
    "training.patch=[16, 16]",
    "training.validate_every=1",
    "model.width=4",
    "model.depth=2",
    "preprocessing.spacing=[0, 0, 0]",
]


def write_stacks(folder: Path, count: int = 6) -> Path:
    """Write oblique stacks of 5 thick slices in which the ventricle moves along; give the table."""
    folder.mkdir()
    rows = ["subject\tsession\timage\tmask\tphase"]
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn * (1.5, 1.5, 9.0)
    for number in range(count):
        for phase in ("ED", "ES"):
            rng = np.random.default_rng([number, phase == "ES"])
            truth = np.zeros((22, 20, SLICES), dtype=np.uint8)
            for k in range(SLICES - (phase == "ES")):
                truth[4 + k : 12 + k, 5:14, k] = 2
                truth[6 + k : 10 + k, 7:12, k] = 3
                truth[2 + k : 4 + k, 5:14, k] = 1
            image = rng.normal(100, 10, truth.shape) + 50 * truth
            stack = Volume(image.astype(np.int16), affine, f"p{number}{phase}.nii.gz")
            nifti.write(folder / stack.name, stack.data, stack)
            nifti.write(folder / f"p{number}{phase}_gt.nii.gz", truth, stack)
            rows.append(f"p{number}\t{phase}\t{stack.name}\tp{number}{phase}_gt.nii.gz\t{phase}")
    (folder / "cases.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "cases.tsv"


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stacks(tmp_path_factory.mktemp("stacks") / "data")


def run(table: Path, output: Path, *settings: str) -> Fitted:
    recipe, text = load_recipe("cardiac", [*SMALL, *settings])
    return fit(recipe, text, output, data=table)


def cardiac() -> Recipe:
    return load_recipe("cardiac", [*SMALL, "training.metadata_dropout=0"])[0]


def test_training_tells_each_slice_its_own_place(stacks: Path, tmp_path: Path) -> None:
    recipe = cardiac()
    cases = read_cases([source_at(stacks)], recipe)
    assert {case.metadata["slice_position"] for case in cases} == {BY_SLICE}
    slices = TrainingSlices(prepare_cases(cases[:1], recipe, Cache(tmp_path)), recipe)
    for k in range(SLICES):
        condition = slices[Sample(0, k, "ED", 0, k)][1].tolist()
        assert condition == pytest.approx([1, 0, 0, 1 - k / 4, k / 4])  # ED, ES, unknown; first, last


def test_the_check_misses_no_column_for_what_the_program_fills_in(stacks: Path) -> None:
    inspection = inspect(read_records(source_at(stacks), cardiac()), cardiac())
    assert not [finding.text for finding in inspection.findings if "slice_position" in finding.text]


def test_validation_sees_what_inference_computes(stacks: Path, tmp_path: Path) -> None:
    """One slice after the other, each under its own condition, in a batch or alone, padded, as the Predictor does."""
    fitted = run(stacks, tmp_path / "run")
    recipe, checkpoint = cardiac(), load_checkpoint(fitted.checkpoint)
    case = prepare_cases(read_cases([source_at(stacks)], recipe)[:1], recipe, Cache(tmp_path / "cache"))[0]
    module = TrainingModule(checkpoint.network, recipe, validation_cases=1).eval()
    mask = module.segment(case, "ED")
    alone = np.concatenate([module.segment(case, "ED", slice(k, k + 1)) for k in range(SLICES)])
    assert (mask != alone).mean() < 1e-3
    predicted = Predictor(checkpoint, precision="float32").predict(
        [nifti.read(path) for path in case.case.images], {"phase": "ED", "slice_position": BY_SLICE}
    )
    found = predicted.prepared.from_source(predicted.probabilities() >= 0.5)
    height, width = found.shape[2:]
    ours = np.moveaxis(mask, 1, 0)[:, :, :height, :width]
    assert 0 < ours.mean() < 1
    assert (found != ours).mean() < 2e-3  # the cache holds float16


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_conditioning_trains_on_stacks(kind: str, stacks: Path, tmp_path: Path) -> None:
    fitted = run(stacks, tmp_path / "run", *KINDS[kind])
    table = fitted.scores["tables"]["test"]["left ventricle"]
    assert set(table) == {"ED", "ES"}
    assert set(table["ED"]) == {"ED", "ES", UNKNOWN}
    assert load_checkpoint(fitted.checkpoint).header.metadata_schema["slice_position"].default == BY_SLICE


def test_a_column_for_what_the_program_fills_in_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"column 'z' stands beside per_slice, which the program fills in without a table"):
        load_recipe("cardiac", ["fields.slice_position.column=z"])


def test_slices_that_are_told_their_place_are_not_resampled_along_it() -> None:
    with pytest.raises(RecipeError, match=r"spacing resamples acquired slices along their axis, and slice_position is per slice; give 0"):
        load_recipe("cardiac", ["preprocessing.spacing=[1.8, 1.8, 5]"])
    load_recipe("cardiac", ["preprocessing.spacing=[0, 1.5, 0]", "preprocessing.slice_axis=sagittal"])


def test_the_control_arm_is_deaf_to_every_kind_of_conditioning() -> None:
    torch.manual_seed(0)
    schema = load_recipe("cardiac", ["fields.slice_position.unknown=true"])[0].metadata_schema()
    places = ("film", "inside", "guide", "inside", "film", "none")
    network = ConditionedUNet(
        Architecture(depth=2, width=4, channels=1, classes=1, condition=schema.width, places=places, condition_map=True, coordinates=True)
    ).eval()
    told = [{"phase": phase, "slice_position": z} for phase in ("ED", "ES", UNKNOWN) for z in (0.0, 0.3, 1.0, UNKNOWN)]
    rows = torch.stack([torch.from_numpy(schema.encode(metadata)) for metadata in told])
    images = torch.randn(1, 1, 16, 16).expand(len(told), -1, -1, -1)
    with torch.no_grad():
        before = network(images, rows)
        network.load_state_dict(deaf(network.state_dict(), schema, network.architecture))
        after = network(images, rows)
    assert float((before - before[-1:]).abs().max()) > 1e-4
    torch.testing.assert_close(after, before[-1:].expand_as(before), rtol=0, atol=1e-5)


def test_sizes_of_windows_are_penalised_as_the_recipe_says(stacks: Path, tmp_path: Path) -> None:
    """The gradient of a huge penalty alone pulls σ before its activation towards 0; without it nothing does so."""
    sizes = {}
    for weight in (0.0, 100.0):
        recipe, text = load_recipe("cardiac", [*SMALL, f"training.sigma_penalty={weight}"])
        fitted = fit(recipe, text, tmp_path / f"run{weight}", data=stacks)
        network = load_checkpoint(fitted.checkpoint).network
        rows = torch.eye(recipe.metadata_schema().width)
        sizes[weight] = float(network.window_penalty(network.modulations(rows)))
    assert sizes[100.0] < sizes[0.0]

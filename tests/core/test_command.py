"""The command that a mask is copied as makes the same mask, voxel for voxel, on the grid of the source."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_film import cli, nifti
from napari_film.bundled import bundled_checkpoints
from napari_film.checkpoint import load_checkpoint
from napari_film.fields import CategoricalField, Value
from napari_film.inference.command import predict_command
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import Plan
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import Prediction, joint_mask
from napari_film.inference.predictor import Predictor

GRADE = CategoricalField(name="grade", values=("low, slow", "high = fast", '"none"'), unknown=True)
EXPECTED = Mixture(field="grade", percent={"low, slow": 35, "high = fast": 25, '"none"': 40})
BLENDED = EXPECTED.model_copy(update={"mode": "blended"})
CLEAN = Postprocessing(threshold=211, largest_component=True, smallest_mm3=7.25, fill_holes=True)
PLAN = Plan(device="cpu", batch=2, tile=16)


@dataclass(frozen=True)
class Case:
    """A patient's two channels, in other files than their names say, and a model that takes them."""

    images: tuple[Path, Path]
    model: Path
    output: Path

    def predictions(self, metadata: Sequence[Mapping[str, Value]], mixture: Mixture | None, **changes: Any) -> list[Prediction]:
        predictor = Predictor(load_checkpoint(self.model), plan=PLAN)
        volumes = [nifti.read(image) for image in self.images]
        return [replace(prediction, **changes) for prediction in predictor.predict_each(volumes, metadata, mixture=mixture)]


@pytest.fixture(scope="module")
def case(
    tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable, make_volume: Callable, make_affine: Callable, tumor: Any, age: Any
) -> Case:
    folder = tmp_path_factory.mktemp("O'Neill & sons")
    thresholds = [
        {"when": {"grade": "low, slow"}, "classes": (60,)},
        {"when": {"grade": "high = fast", "tumor_type": "ependymoma"}, "classes": (175,)},
    ]
    model = make_checkpoint(tumor, GRADE, age, seed=3, channels=2, header={"thresholds": thresholds})
    affine = make_affine((2, 0, 1), (True, False, True), spacing=(0.9, 1.3, 2.5), angles=(4, -3, 7), origin=(-20, 13, 55))
    images = (folder / "z first.nii.gz", folder / "a $second.nii")
    for seed, image in enumerate(images):
        volume = make_volume((6, 22, 19), affine, seed=seed)
        nifti.write(image, volume.data, volume)
    return Case(images, model, folder / "the mask.nii.gz")


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *words = shlex.split(command)
    assert name == "napari-film"
    monkeypatch.setattr(sys, "argv", [name, *words])
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main()


ALL = [{"tumor_type": value, "age": 33.3} for value in ("astrocytoma", "ependymoma", "hemangioblastoma")]


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell's quoting is read here")
@pytest.mark.parametrize("postprocessing", [Postprocessing(), CLEAN, Postprocessing(smallest_mm3=1e-5)], ids=["plain", "clean", "speck"])
@pytest.mark.parametrize(
    ("metadata", "mixture"),
    [
        ([{**ALL[1], "grade": "high = fast"}], None),
        ([{**ALL[2], "grade": "unknown", "age": 1 / 3}], None),
        ([{**values, "grade": '"none"'} for values in ALL], None),
        (ALL[1:2], EXPECTED),
        (ALL[1:2], BLENDED),
        (ALL, EXPECTED),
    ],
    ids=["single", "unknown", "all values", "expected", "blended", "all values, expected"],
)
def test_the_command_makes_the_mask_again(
    metadata: list[dict[str, Value]], mixture: Mixture | None, postprocessing: Postprocessing, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = case.predictions(metadata, mixture, postprocessing=postprocessing)
    run(predict_command(case.images, case.model, case.output, made, all_values=len(made) > 1), monkeypatch)
    written = nifti.read(case.output)
    expected = joint_mask(made)
    assert 0 < (expected > 0).mean() < 1
    np.testing.assert_array_equal(written.data, expected)
    np.testing.assert_array_equal(written.affine, nifti.read(case.images[0]).affine)
    content = json.loads(case.output.with_name("the mask.json").read_text(encoding="utf-8"))
    assert content["Plan"] == PLAN.model_dump()
    recorded = content["Metadata"] if len(made) > 1 else [content["Metadata"]]
    assert [values["age"] for values in recorded] == [values["age"] for values in metadata]  # to the last bit
    assert set(content["MetadataOrigin"].values()) == {"command line"}
    if mixture is None:
        assert "Mixture" not in content
    else:
        assert content["Mixture"]["Percent"] == mixture.percent


def test_the_ways_to_ask_give_other_masks(case: Case) -> None:
    single = case.predictions([{**ALL[1], "grade": "low, slow"}], None)
    masks = [joint_mask(case.predictions(ALL[1:2], mixture)) for mixture in (EXPECTED, BLENDED)]
    for postprocessing in (Postprocessing(), CLEAN, Postprocessing(threshold=CLEAN.threshold)):
        masks.append(joint_mask([replace(each, postprocessing=postprocessing) for each in single]))
    assert len({mask.tobytes() for mask in masks}) == len(masks)


def test_a_bundled_model_is_named_and_another_is_a_path(case: Case) -> None:
    made = case.predictions([{**ALL[1], "grade": "low, slow"}], None)
    assert f"--model {shlex.quote(str(case.model))} " in predict_command(case.images, case.model, case.output, made, all_values=False)
    for name, path in bundled_checkpoints().items():
        for model in (name, path, str(path)):
            assert f" --model {name} " in predict_command(case.images, model, case.output, made, all_values=False)


def test_a_file_that_looks_like_an_option_is_still_a_file(case: Case) -> None:
    made = case.predictions([{**ALL[1], "grade": "low, slow"}], None)
    command = predict_command([Path("-f.nii"), Path("--x.nii")], case.model, Path("-o.nii"), made, all_values=False)
    words = shlex.split(command)
    assert words[2:4] == [os.path.join(".", "-f.nii"), os.path.join(".", "--x.nii")]

"""A tiny recipe is fitted, with and without prior, and evaluated by the command; an independent loop says the same numbers."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.image
import nibabel
import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric, HausdorffDistanceMetric, SurfaceDiceMetric

from napari_film import nifti
from napari_film.checkpoint import load_checkpoint, save_checkpoint
from napari_film.fields import UNKNOWN
from napari_film.header import read_header
from napari_film.inference.predictor import Predictor
from napari_film.training.cli import main

from .conftest import CONTEXT_RECIPE, TARGET_RECIPE, TYPES, write_bids

WITHOUT = "without prior"
Rows = list[dict[str, str]]


def ended(*arguments: str | Path) -> int:
    """Exit code of the command line."""
    with pytest.raises(SystemExit, match=r"^\d*$") as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


def read(folder: Path) -> tuple[Rows, dict[str, Any]]:
    with (folder / "evaluation.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file)), json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, bids: Path) -> Callable[..., Path]:
    """Give a trainer of checkpoints, each once: ``fitted(("seed = 3", "seed = 4"), text=...)``."""
    folder = tmp_path_factory.mktemp("runs")
    kept: dict[tuple[Any, ...], Path] = {}

    def fit(*changes: tuple[str, str], text: str = CONTEXT_RECIPE, data: Path = bids) -> Path:
        key = (changes, text, data)
        if key not in kept:
            for old, new in (('"data"', f'"{data}"'), ("epochs = 2", "epochs = 6\npictures = false\ntensorboard = false"), *changes):
                assert old in text
                text = text.replace(old, new)
            recipe = folder / f"recipe{len(kept)}.toml"
            recipe.write_text(text, encoding="utf-8")
            assert ended("fit", recipe, "--output", folder / f"run{len(kept)}") == 0
            kept[key] = folder / f"run{len(kept)}" / "best.safetensors"
        return kept[key]

    return fit


@pytest.fixture(scope="module")
def model(fitted: Callable[..., Path]) -> Path:
    return fitted()


@pytest.fixture(scope="module")
def control(fitted: Callable[..., Path]) -> Path:
    return fitted(("seed = 3", 'seed = 3\nprior = "none"'))


@pytest.fixture(scope="module")
def evaluated(model: Path, control: Path, bids: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All subjects of the data that the model was trained on, with the control."""
    folder = tmp_path_factory.mktemp("evaluation") / "all"
    options = ("--without-prior", control, "--subjects", "all", "--tolerance", "1.5", "--draws", "500", "-o", folder)
    assert ended("evaluate", model, bids, *options) == 0
    return folder


def test_the_numbers_are_those_of_an_independent_loop(evaluated: Path, model: Path, control: Path, bids: Path) -> None:
    """Masks by the user's inference, numbers by MONAI on what nibabel reads."""
    rows, _ = read(evaluated)
    assert len(rows) == 9 * 5
    informed, without = (Predictor(load_checkpoint(path), precision="float32") for path in (model, control))
    scores = (
        DiceMetric(include_background=True),
        SurfaceDiceMetric([1.5], include_background=True),
        HausdorffDistanceMetric(include_background=True, percentile=95),
    )
    found = 0
    for row in rows:
        folder = bids / row["subject"] / "anat"
        images = [folder / f"{row['subject']}_{suffix}.nii.gz" for suffix in ("ce-gadolinium_T1w", "T2w")]
        label = bids / "derivatives" / "labels" / row["subject"] / "anat" / f"{row['subject']}_ce-gadolinium_T1w_dseg.nii.gz"
        truth = np.asarray(nibabel.load(label).dataobj) == 1
        predictor, told = (without, UNKNOWN) if row["given"] == WITHOUT else (informed, row["given"])
        mask = predictor.predict([nifti.read(path) for path in images], {"tumor_type": told}).mask() == 1
        ml = float(np.prod(nibabel.load(label).header.get_zooms())) / 1000
        assert float(row["truth_ml"]) == pytest.approx(truth.sum() * ml, rel=1e-5)
        assert float(row["mask_ml"]) == pytest.approx(mask.sum() * ml, rel=1e-5)
        assert float(row["volume_error_ml"]) == pytest.approx((mask.sum() - truth.sum()) * ml, abs=1e-5)
        assert float(row["volume_error_percent"]) == pytest.approx(100 * (mask.sum() / truth.sum() - 1), abs=1e-3)
        assert row["false_positive_ml"] == ""
        if mask.any():
            both = [torch.from_numpy(one[None, None].astype(np.float32)) for one in (mask, truth)]
            keys = ("dice", "surface_dice", "hd95_mm")
            by_monai = [float(scores[0](*both)), *(float(score(*both, spacing=(3.0, 1.0, 1.0))) for score in scores[1:])]
            assert [float(row[key]) for key in keys] == pytest.approx(by_monai, abs=1e-4)
            found += 1
    assert found > 9  # a network that finds nothing would be no test


def test_the_words_follow_from_the_table(evaluated: Path) -> None:
    rows, content = read(evaluated)
    parts = {"not trained on": ("test",), "trained on": ("train", "validation")}
    assert set(content["summary"]) == set(parts)
    for group, own in parts.items():
        dice = {(row["subject"], row["given"]): float(row["dice"]) for row in rows if row["part"] in own}
        true = {row["subject"]: row["true"] for row in rows if row["part"] in own}
        summary = content["summary"][group]["core"]
        for value in TYPES:
            subjects = [subject for subject, other in true.items() if other == value]
            gain = np.mean([dice[subject, value] - dice[subject, WITHOUT] for subject in subjects])
            assert summary["gain"][value]["gain"]["mean"] == pytest.approx(gain, abs=1e-5)
            assert summary["gain"][value]["gain"]["n"] == len(subjects)
            assert summary["unknown"][value]["mean"] == pytest.approx(np.mean([dice[s, UNKNOWN] for s in subjects]), abs=1e-5)
            for wrong in set(TYPES) - {value}:
                lost = np.mean([dice[subject, value] - dice[subject, wrong] for subject in subjects])
                assert summary["reliance"][value]["wrong"][wrong]["lost"]["mean"] == pytest.approx(lost, abs=1e-5)
                assert summary["reliance"][value]["wrong"][wrong]["test"]["family"] == 6


def test_subjects_that_were_trained_on_are_told_apart(evaluated: Path, model: Path) -> None:
    rows, content = read(evaluated)
    split = json.loads((model.parent / "scores.json").read_text(encoding="utf-8"))["subjects"]
    assert {row["subject"]: row["part"] for row in rows} == {subject: part for part, own in split.items() for subject in own}
    assert content["data"]["subjects"] == {"tiny, seed 3": split}
    assert "6 subject(s) were trained on" in " ".join(content["notices"])


def test_the_scores_of_the_run_are_found_again(evaluated: Path, model: Path) -> None:
    """The test subjects' Dice at the end of `fit` and here are by two ways: histograms of probabilities, and masks."""
    rows, _ = read(evaluated)
    dice = {(row["subject"], row["given"]): float(row["dice"]) for row in rows}
    for row in json.loads((model.parent / "scores.json").read_text(encoding="utf-8"))["test"]:
        for given, score in row["dice"].items():
            assert dice[row["subject"], given] == pytest.approx(score, abs=1e-4)


def test_nothing_says_where_anything_lies(evaluated: Path, model: Path, bids: Path) -> None:
    text = "".join((evaluated / name).read_text(encoding="utf-8") for name in ("evaluation.csv", "evaluation.json"))
    assert str(bids) not in text
    assert str(model.parent) not in text
    _, content = read(evaluated)
    assert content["settings"] == {"tolerance_mm": 1.5, "draws": 500, "seed": 0, "precision": "float32"}
    assert set(content["conventions"]) >= {"dice", "hd95_mm", "gain", "reliance", "unknown", "interval", "p"}
    assert len(content["models"][0]["sha256"]) == len(content["models"][0]["without_prior"]["sha256"]) == 64


def test_the_pictures_are_there(evaluated: Path) -> None:
    assert {path.name for path in evaluated.iterdir()} == {"evaluation.csv", "evaluation.json", "values.png"}
    picture = matplotlib.image.imread(evaluated / "values.png")
    assert picture.shape[0] > 3 * 250
    assert picture.shape[1] > 5 * 250


def test_the_same_seed_leaves_the_same_files_and_test_subjects_are_the_default(
    model: Path, bids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "other"):
        assert ended("evaluate", model, bids, "-o", tmp_path / name, "--draws", "200", "--seed", "7") == 0
    for name in ("evaluation.csv", "evaluation.json", "values.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    rows, content = read(tmp_path / "one")
    assert {row["part"] for row in rows} == {"test"}
    assert content["summary"]["not trained on"]["core"]["gain"] == {}
    told = capsys.readouterr().out
    assert "reliance: Dice lost under a wrong value" in told
    assert "6 subject(s) are left out, since the model was trained on subjects of these names" in told
    assert "n too small to tell" in told
    assert "gain" not in told


def test_the_split_is_drawn_again_where_the_run_is_not_beside_the_model(model: Path, bids: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(model.read_bytes())
    assert ended("evaluate", alone, bids, "-o", tmp_path / "out", "--draws", "100") == 0
    rows, _ = read(tmp_path / "out")
    split = json.loads((model.parent / "scores.json").read_text(encoding="utf-8"))["subjects"]
    assert {row["subject"] for row in rows} == set(split["test"])


def test_where_it_is_not_known_it_is_told(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other data, and a model without its run: names that are the same mean nothing."""
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(model.read_bytes())
    other = write_bids(tmp_path / "other", subjects=3)
    assert ended("evaluate", alone, other, "-o", tmp_path / "out", "--draws", "100") == 0
    assert "cannot be told" in capsys.readouterr().out
    rows, content = read(tmp_path / "out")
    assert {row["part"] for row in rows} == {""}
    assert set(content["summary"]) == {"not known whether trained on"}


def test_several_trainings_are_one_experiment(fitted: Callable[..., Path], model: Path, bids: Path, tmp_path: Path) -> None:
    other = fitted(("seed = 3", "seed = 4"))
    assert ended("evaluate", model, other, bids, "-o", tmp_path / "out", "--draws", "300") == 0
    rows, content = read(tmp_path / "out")
    assert [entry["name"] for entry in content["models"]] == ["tiny, seed 3", "tiny, seed 4"]
    means = []
    for name, path in (("tiny, seed 3", model), ("tiny, seed 4", other)):
        own = [row for row in rows if row["model"] == name]
        split = json.loads((path.parent / "scores.json").read_text(encoding="utf-8"))["subjects"]
        assert {row["subject"] for row in own} == set(split["test"])
        means.append(np.mean([float(row["dice"]) for row in own if row["true"] == row["given"] == TYPES[0]]))
    found = content["summary"]["not trained on"]["core"]["measures"]["dice"][TYPES[0]][TYPES[0]]
    assert found["mean"] == pytest.approx(np.mean(means), abs=1e-5)


def test_structures_have_no_wrong_value(
    fitted: Callable[..., Path], bids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = fitted(text=TARGET_RECIPE)
    assert ended("evaluate", model, bids, "-o", tmp_path / "out", "--subjects", "all", "--draws", "100") == 0
    rows, content = read(tmp_path / "out")
    assert {(row["true"], row["given"]) for row in rows} == {(a, b) for a in ("large", "small") for b in ("large", "small")}
    assert {row["surface_dice"] == "" for row in rows if row["true"] != row["given"]} == {True}
    assert content["summary"]["not trained on"]["organ"]["reliance"] == {}
    told = capsys.readouterr().out
    assert "overlap with another structure's truth" in told
    assert "reliance" not in told


def test_a_list_of_subjects_and_a_table(model: Path, bids: Path, tmp_path: Path) -> None:
    """A table is data too, and a file names subjects with or without sub-."""
    names = ("sub-02", "sub-05", "sub-09")
    lines = ["subject,image:T1w,image:T2w,mask,tumor_type"]
    for number, name in enumerate(names):
        mask = bids / "derivatives" / "labels" / name / "anat" / f"{name}_ce-gadolinium_T1w_dseg.nii.gz"
        images = [bids / name / "anat" / f"{name}_{suffix}.nii.gz" for suffix in ("ce-gadolinium_T1w", "T2w")]
        lines.append(",".join(map(str, (name, *images, mask, TYPES[(1, 1, 2)[number]]))))
    (tmp_path / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "subjects.txt").write_text("02\nsub-09\n\n", encoding="utf-8")
    options = ("--subjects", tmp_path / "subjects.txt", "-o", tmp_path / "out", "--draws", "100")
    assert ended("evaluate", model, tmp_path / "cases.csv", *options) == 0
    rows, content = read(tmp_path / "out")
    assert {row["subject"] for row in rows} == {"sub-02", "sub-09"}
    assert content["data"]["asked_for"] == "subjects.txt"


def test_a_recipe_stands_for_its_data(model: Path, evaluated: Path, write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    recipe = write_recipe(("seed = 3", "seed = 77"), ("width = 4", "width = 9"))  # its network and training say nothing here
    assert ended("evaluate", model, recipe, "-o", tmp_path / "out", "--subjects", "all", "--tolerance", "1.5", "--draws", "100") == 0
    rows, content = read(tmp_path / "out")
    expected, with_control = read(evaluated)
    assert rows == [row for row in expected if row["given"] != WITHOUT]
    assert content["data"]["hash"] == with_control["data"]["hash"]


def test_an_empty_truth_counts_what_is_found_in_it(model: Path, tmp_path: Path) -> None:
    data = write_bids(tmp_path / "data", subjects=3)
    (mask,) = data.glob("derivatives/**/sub-02_*.nii.gz")
    volume = nifti.read(mask)
    nifti.write(mask, np.zeros_like(volume.data), like=volume)
    assert ended("evaluate", model, data, "-o", tmp_path / "out", "--subjects", "all", "--draws", "100") == 0
    rows, content = read(tmp_path / "out")
    own = [row for row in rows if row["subject"] == "sub-02"]
    assert {row["dice"] for row in own} == {row["hd95_mm"] for row in own} == {""}
    assert all(float(row["false_positive_ml"]) == float(row["mask_ml"]) for row in own)
    assert any("false_positive_ml" in found["core"]["measures"] for found in content["summary"].values())


# What a person can mend.


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    capsys.readouterr()
    assert ended("evaluate", *arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("napari-film-train: ")
    assert told.count("\n") == 1
    return told


def test_a_folder_that_holds_an_evaluation_is_refused(evaluated: Path, model: Path, bids: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in evaluated.iterdir()}
    assert "already holds an evaluation (evaluation.csv, evaluation.json, values.png)" in refused(capsys, model, bids, "-o", evaluated)
    assert {path.name: path.read_bytes() for path in evaluated.iterdir()} == before


def test_data_that_do_not_fit_are_refused(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("-o", tmp_path / "out")
    assert "nowhere does not exist" in refused(capsys, model, tmp_path / "nowhere", *out)
    data = write_bids(tmp_path / "data", subjects=3)
    (data / "participants.tsv").write_text("participant_id\tage\nsub-01\t3\nsub-02\t3\nsub-03\t4\n", encoding="utf-8")
    assert "tumor_type" in refused(capsys, model, data, *out)
    (mask,) = data.glob("derivatives/**/sub-02_*.nii.gz")
    mask.unlink()
    assert "no mask" in refused(capsys, model, data, *out)
    assert not list((tmp_path / "out").glob("*"))


def test_controls_that_are_none_are_refused(
    fitted: Callable[..., Path], model: Path, control: Path, bids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: str | Path) -> str:
        return refused(capsys, *arguments, "-o", tmp_path / "out")

    assert "was not trained without prior" in told(model, bids, "--without-prior", fitted(("seed = 3", "seed = 4")))
    assert "was trained without prior, so there is nothing to tell it" in told(control, bids)
    wide = fitted(("seed = 3", 'seed = 3\nprior = "none"'), ("width = 4", "width = 5"))
    assert "differ in their recipe (model.width)" in told(model, bids, "--without-prior", wide)
    organs = fitted(text=TARGET_RECIPE)
    assert "is told what to segment (organ)" in told(organs, bids, "--without-prior", control)
    assert "differ in their" in told(model, organs, bids)
    pair = (model, fitted(("seed = 3", "seed = 4")))
    assert "give one of the same seed for each model" in told(*pair, bids, "--without-prior", control)
    assert not (tmp_path / "out").exists()


def test_a_model_that_does_not_say_how_it_was_trained_is_refused(
    model: Path, bids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = read_header(model)
    silent = header.model_copy(update={"provenance": header.provenance.model_copy(update={"recipe": ""})})
    save_checkpoint(tmp_path / "silent.safetensors", load_checkpoint(model).network, silent)
    assert "does not say by which recipe it was trained" in refused(capsys, tmp_path / "silent.safetensors", bids, "-o", tmp_path / "out")


def test_subjects_that_are_not_there_are_refused(model: Path, bids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "subjects.txt").write_text("sub-77\n", encoding="utf-8")
    out = ("-o", tmp_path / "out")
    assert "subjects.txt names sub-77, which is no subject" in refused(capsys, model, bids, "--subjects", tmp_path / "subjects.txt", *out)
    assert "cannot be read; --subjects takes test, all, or a text file" in refused(capsys, model, bids, "--subjects", "some", *out)
    assert "give 100 to 1000000 draws" in refused(capsys, model, bids, "--draws", "3", *out)
    assert "give a length of 0 mm or more" in refused(capsys, model, bids, "--tolerance", "-1", *out)


def test_subjects_of_other_data_with_names_of_the_training(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = json.loads((model.parent / "scores.json").read_text(encoding="utf-8"))["subjects"]["train"]
    data = write_bids(tmp_path / "data")
    for path in [*data.glob("sub-*"), *data.glob("derivatives/labels/sub-*")]:
        if path.name not in trained:
            for file in path.glob("*/*"):
                file.unlink()
    assert "have names of subjects that the model was trained on" in refused(capsys, model, data, "-o", tmp_path / "out")


@pytest.mark.slow
def test_the_demo_model_on_a_phantom_drawn_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Patients nobody drew before: told the type, a hemangioblastoma is found; told another, it is lost."""
    assert ended("phantom", "spinal_tumor", tmp_path / "phantom", "--subjects", "6", "--seed", "2026") == 0
    assert ended("evaluate", "spinal_tumor", tmp_path / "phantom", "-o", tmp_path / "out") == 0
    _, content = read(tmp_path / "out")
    found = content["summary"]["not known whether trained on"]["tumour core"]
    assert {true: row[true]["n"] for true, row in found["measures"]["dice"].items()} == dict.fromkeys(TYPES, 2)
    assert found["reliance"]["hemangioblastoma"]["mean"]["mean"] > 0.2
    assert all(found["measures"]["dice"][value][value]["mean"] > 0.5 for value in TYPES)
    assert "cannot be told" in capsys.readouterr().out

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.pytorch import LightningModule

from napari_film.checkpoint import load_checkpoint
from napari_film.errors import InputError
from napari_film.fields import UNKNOWN
from napari_film.header import read_header
from napari_film.inference.predictor import Predictor
from napari_film.nifti import read
from napari_film.recent import RecentFiles
from napari_film.training.card import model_card
from napari_film.training.cases.reading import read_cases
from napari_film.training.fit import Fitted, Interrupted, fit
from napari_film.training.module import TrainingModule
from napari_film.training.recipe import load_recipe
from napari_film.training.report import closing_words

from .conftest import CONTEXT_RECIPE, TARGET_RECIPE, TYPES


def run(path: Path, output: Path) -> Fitted:
    recipe, text = load_recipe(str(path))
    return fit(recipe, text, output)


@pytest.fixture(scope="module")
def context_run(tmp_path_factory: pytest.TempPathFactory, bids: Path) -> Fitted:
    folder = tmp_path_factory.mktemp("context")
    (folder / "recipe.toml").write_text(CONTEXT_RECIPE.replace('"data"', f'"{bids}"'), encoding="utf-8")
    return run(folder / "recipe.toml", folder / "run")


def test_a_run_leaves_the_checkpoint_its_recipe_and_its_numbers(context_run: Fitted) -> None:
    folder = context_run.checkpoint.parent
    assert {path.name for path in folder.iterdir()} == {
        "best.md",
        "best.safetensors",
        "last.ckpt",
        "metrics.csv",
        "pictures",
        "recipe.toml",
        "scores.json",
        "tensorboard",
    }
    assert {path.name for path in (folder / "pictures").iterdir()} == {"curves.png", "overlays.png"}
    assert (folder / "best.md").read_text() == model_card(read_header(context_run.checkpoint), context_run.scores)
    assert RecentFiles().paths()[0] == context_run.checkpoint
    metrics = (folder / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"loss", "dice", "dice/ependymoma", "dice/unknown"} <= set(metrics)
    assert json.loads((folder / "scores.json").read_text()) == context_run.scores


def test_the_header_is_complete(context_run: Fitted, bids: Path) -> None:
    header = read_header(context_run.checkpoint)
    assert [channel.suffix for channel in header.channels] == ["ce-gadolinium_T1w", "T2w"]
    assert header.classes == ("core",)
    assert [entry.when for entry in header.thresholds] == [{"tumor_type": value} for value in (*TYPES, UNKNOWN)]
    fingerprint = header.fingerprint
    assert fingerprint is not None
    assert fingerprint.subjects == 3
    assert fingerprint.metadata == {"tumor_type": dict.fromkeys(TYPES, 1)}
    assert [axis.median for axis in fingerprint.spacing] == [3, 1, 1]
    assert [axis.low for axis in fingerprint.size] == [6, 20, 20]
    assert all(channel.low < channel.median < channel.high for channel in fingerprint.intensity)
    provenance = header.provenance
    text = (context_run.checkpoint.parent / "recipe.toml").read_text()
    assert provenance.recipe == text.replace(str(bids), "bids")
    assert str(bids.parent).encode() not in context_run.checkpoint.read_bytes()  # a path can name a patient
    assert provenance.seed == 3
    assert {"torch", "lightning", "napari-film"} <= set(provenance.versions)
    assert len(provenance.data_hash) == 64
    assert set(provenance.scores) == {"test, core", "validation, core"}
    assert {true: set(row) for true, row in provenance.scores["test, core"].items()} == {value: {*TYPES, UNKNOWN} for value in TYPES}


def test_scores_come_from_the_inference_of_the_user(context_run: Fitted, bids: Path) -> None:
    recipe, _ = load_recipe(str(context_run.checkpoint.parent / "recipe.toml"))
    case = context_run.split.test[0]
    predictor = Predictor(load_checkpoint(context_run.checkpoint), precision="float32")
    volumes = [read(path) for path in case.images]
    truth = read(case.mask).data == 1
    row = next(row for row in context_run.scores["test"] if row["subject"] == case.subject)
    for value in (*TYPES, UNKNOWN):
        mask = predictor.predict(volumes, {"tumor_type": value}).mask() == 1
        assert row["dice"][value] == pytest.approx(2 * (mask & truth).sum() / (mask.sum() + truth.sum()), abs=1e-4)
    assert row["voxels"] == truth.sum()
    cases = read_cases(recipe.data.all_sources(), recipe)
    assert {case.subject for case in cases} == {s for part in context_run.scores["subjects"].values() for s in part}


def test_same_recipe_same_seed_same_bytes(context_run: Fitted, tmp_path: Path) -> None:
    again = run(context_run.checkpoint.parent / "recipe.toml", tmp_path / "again")
    first, second = (hashlib.sha256(one.checkpoint.read_bytes()).hexdigest() for one in (context_run, again))
    assert first == second


def test_a_target_field_is_trained_and_scored_per_value(write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    fitted = run(write_recipe(text=TARGET_RECIPE), tmp_path / "run")
    header = read_header(fitted.checkpoint)
    assert header.classes == ("organ",)
    assert [entry.when for entry in header.thresholds] == [{"organ": "large"}, {"organ": "small"}]
    assert {true: list(row) for true, row in header.provenance.scores["test, organ"].items()} == {
        "large": ["large", "small"],
        "small": ["large", "small"],
    }
    assert header.fingerprint is not None
    assert header.fingerprint.metadata == {"organ": {"large": 5, "small": 5}}


def test_a_plain_network_needs_no_field(write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    field = '[[fields]]\nname = "tumor_type"\nvalues = ["astrocytoma", "ependymoma", "hemangioblastoma"]\nunknown = true\n'
    fitted = run(write_recipe((field, ""), ("depth = 1", 'depth = 1\nplaces = "none"'), ("epochs = 2", "epochs = 1")), tmp_path / "run")
    assert list(fitted.scores["tables"]["test"]["core"]) == ["all"]


def test_the_closing_words_can_be_typed(context_run: Fitted) -> None:
    recipe, _ = load_recipe(str(context_run.checkpoint.parent / "recipe.toml"))
    words = closing_words(context_run, recipe)
    command = words.splitlines()[-1].split()
    assert command[:2] == ["napari-film", "predict"]
    assert Path(command[2]).is_file()
    assert Path(command[3]).is_file()
    assert command[command.index("--model") + 1] == str(context_run.checkpoint)
    assert f"tumor_type={context_run.split.test[0].values[0]}" in command


def test_a_folder_with_a_run_is_refused_and_kept(context_run: Fitted) -> None:
    before = context_run.checkpoint.read_bytes()
    with pytest.raises(InputError, match=r"already holds a run \(best\.safetensors, .*\); name another folder with --output"):
        run(context_run.checkpoint.parent / "recipe.toml", context_run.checkpoint.parent)
    assert context_run.checkpoint.read_bytes() == before


def test_an_output_that_is_a_file_is_told(write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written to"):
        run(write_recipe(), tmp_path / "file")


def test_dice_over_each_condition_trains(write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    loss = 'epochs = 1\nloss = "dice+bce"\ndice_over = "condition"'
    fitted = run(write_recipe(("epochs = 2", loss), text=TARGET_RECIPE), tmp_path / "run")
    assert fitted.scores["best_epoch"] == 1


def test_stopping_keeps_the_best_and_says_so(write_recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: LightningModule) -> None:
        if self.current_epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingModule, "on_train_epoch_start", stop)
    with pytest.raises(
        Interrupted, match=r"^Stopped; the best network so far \(epoch 1, validation Dice .*\) is kept in .*best\.safetensors"
    ):
        run(write_recipe(), tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "best.safetensors").header.provenance.scores == {}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "bar"), [("spinal_tumor", 0.2), ("abdomen", 0.3)])
def test_a_phantom_can_be_learnt(tmp_path: Path, kind: str, bar: float) -> None:
    _, text = load_recipe(kind)
    lines = [
        line for line in text.splitlines() if not line.startswith(("epochs", "width", "depth", "phantom", "samples", "patch", "spacing"))
    ]
    text = (
        "\n".join(lines).replace("[model]", "[model]\nwidth = 8\ndepth = 2").replace("[training]", "[training]\nepochs = 8\nsamples = 320")
    )
    text = text.replace("[data]", f'[data]\nphantom = {{ kind = "{kind}", subjects = 12, seed = 3 }}')
    text = text.replace("[preprocessing]", f"[preprocessing]\nspacing = {[0, 2, 2] if kind == 'spinal_tumor' else [6, 6, 0]}")
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    fitted = run(path, tmp_path / "run")
    (table,) = fitted.scores["tables"]["validation"].values()
    assert sum(table[value][value] for value in table) / len(table) > bar

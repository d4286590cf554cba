import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_film.training.cli import main
from napari_film.training.recipe import load_recipe


def ended(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command line."""
    with pytest.raises(SystemExit, match=r"^\d*$") as end:
        main(arguments)
    told = capsys.readouterr()
    return int(end.value.code or 0), told.out, told.err


def test_fit_and_then_predict(write_recipe: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ended(capsys, "fit", str(write_recipe(("epochs = 2", "epochs = 1"))), "--output", str(tmp_path / "run"))
    assert (code, err) == (0, "")
    assert "Dice on 3 test cases" in out
    assert "best so far" in out
    assert str(tmp_path / "run" / "best.safetensors") in out


def test_settings_options_and_resuming(write_recipe: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    options = ("--set", "training.epochs=1", "--set", "model.width=8", "--precision", "bfloat16", "--workers", "0", "--output", str(run))
    code, out, err = ended(capsys, "fit", str(write_recipe()), *options)
    assert (code, err) == (0, "")
    stored, _ = load_recipe(str(run / "recipe.toml"))
    assert (stored.training.epochs, stored.model.width, stored.training.precision, stored.training.workers) == (1, 8, "bfloat16", 0)
    code, out, err = ended(capsys, "fit", str(write_recipe()), *options, "--resume")
    assert code == 2
    assert (
        err == f"napari-film-train: {run} holds a finished run; there is nothing to resume (more --set training.epochs or "
        "training.patience would go on with it).\n"
    )
    code, out, err = ended(capsys, "fit", str(write_recipe()), *options, "--resume", "--set", "training.epochs=2", "--workers", "1")
    assert (code, err) == (0, "")
    assert "training.workers is 1 from here on; it was 0." in out
    code, _, err = ended(capsys, "fit", str(write_recipe()), "--set", "training.epoch=1")
    assert code == 2
    assert err.startswith("napari-film-train: recipe.toml with --set training.epoch=1: training.epoch is not a key of a recipe; allowed")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("epochs = 2", "epoch = 2"), "recipe.toml: training.epoch is not a key of a recipe"),
        (
            ("unknown = true", 'unknown = true\ncolumn = "histology"'),
            "No case says anything of histology, which field 'tumor_type' is read from",
        ),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_code_2(
    change: tuple[str, str], message: str, write_recipe: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = ended(capsys, "fit", str(write_recipe(change)), "-o", str(tmp_path / "run"))
    assert code == 2
    assert err.startswith("napari-film-train: ")
    assert message in err
    assert err.count("\n") == 1


def test_missing_data_is_told(write_recipe: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = ended(capsys, "fit", str(write_recipe()), "-o", str(tmp_path / "run"), "--data", str(tmp_path / "nowhere"))
    assert code == 2
    assert "does not exist" in err


def test_an_unknown_recipe_is_told_without_a_traceback() -> None:
    command = [sys.executable, "-c", "from napari_film.training.cli import main; main()", "fit", "no_such_recipe"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ, check=False)
    assert ended.returncode == 2
    assert ended.stderr.strip().splitlines() == [
        "napari-film-train: no_such_recipe is no file and no recipe of this package; give a path, or one of: abdomen, cardiac, "
        "clevr_seg, spinal_tumor."
    ]


@pytest.mark.parametrize("arguments", [("fit",), ("fit", "abdomen", "--epochs", "3"), ("phantom", "brain", "somewhere"), ("train",)])
def test_misuse_is_one_line_and_code_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = ended(capsys, *arguments)
    assert code == 2
    assert err.startswith("napari-film-train: ")
    assert err.count("\n") == 1


def test_the_help_loads_no_torch() -> None:
    code = "import sys, napari_film.training.cli; raise SystemExit('torch' in sys.modules or 'lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_phantom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "phantom"
    code, out, _ = ended(capsys, "phantom", "spinal_tumor", str(folder), "--subjects", "1", "--seed", "5")
    assert code == 0
    assert "1 subjects are in" in out
    assert (folder / "sub-001" / "anat" / "sub-001_T2w.nii.gz").is_file()
    code, _, err = ended(capsys, "phantom", "spinal_tumor", str(folder), "--subjects", "1")
    assert code == 2
    assert "not empty" in err


def test_an_unknown_phantom_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = ended(capsys, "phantom", "heart", str(tmp_path / "p"))
    assert code == 2
    assert "spinal_tumor, abdomen" in err

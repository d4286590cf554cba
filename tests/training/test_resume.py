import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from napari_film.errors import InputError
from napari_film.training.fit import Fitted, Interrupted, fit
from napari_film.training.recipe import Recipe, load_recipe, parse_recipe
from napari_film.training.resume import LastEpoch, read_state

from .conftest import write_bids

FILES = ("best.safetensors", "metrics.csv", "recipe.toml")
SETTINGS = ("training.epochs=4", "training.pictures=false", "training.tensorboard=false")


def run(path: Path, output: Path, *settings: str, resume: bool = False) -> Fitted:
    recipe, text = load_recipe(str(path), [*SETTINGS, *settings])
    return fit(recipe, text, output, resume=resume)


def stop_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the training be stopped as soon as the state of ``epoch`` is written."""
    write = LastEpoch.on_train_epoch_end

    def then_stop(self: LastEpoch, *rest: object) -> None:
        write(self, *rest)  # type: ignore[arg-type]
        if self.epochs == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(LastEpoch, "on_train_epoch_end", then_stop)


def stopped(path: Path, output: Path, epoch: int, *settings: str, resume: bool = False) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_after(epoch, patch)
        with pytest.raises(Interrupted, match=rf"The state after epoch {epoch} is kept; --resume goes on from there\.$"):
            run(path, output, *settings, resume=resume)


@pytest.mark.parametrize(
    "change",
    [
        ("depth = 1", 'depth = 1\nplaces = ["film", "inside", "guide", "none"]'),
        ('bids = "data"', 'sources = [{ bids = "a", name = "a" }, { table = "b.tsv", name = "b" }]'),
    ],
)
def test_every_recipe_can_be_read_from_the_state_of_its_run(change: tuple[str, str]) -> None:
    from .conftest import CONTEXT_RECIPE

    assert change[0] in CONTEXT_RECIPE
    recipe = parse_recipe(CONTEXT_RECIPE.replace(*change), name="r")
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory, bids: Path) -> Path:
    from .conftest import CONTEXT_RECIPE

    path = tmp_path_factory.mktemp("resume") / "recipe.toml"
    path.write_text(CONTEXT_RECIPE.replace('"data"', f'"{bids}"'), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    return run(recipe_file, tmp_path_factory.mktemp("whole") / "run").checkpoint.parent


def assert_same(one: Path, other: Path) -> None:
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    first, second = (json.loads((folder / "scores.json").read_text()) for folder in (one, other))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    weights = [torch.load(folder / "last.ckpt", weights_only=True)["state_dict"] for folder in (one, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_resumed_run_ends_as_one_that_was_never_stopped(whole: Path, recipe_file: Path, tmp_path: Path) -> None:
    stopped(recipe_file, tmp_path / "run", 1)
    assert not (tmp_path / "run" / "scores.json").exists()
    stopped(recipe_file, tmp_path / "run", 3, resume=True)
    run(recipe_file, tmp_path / "run", resume=True)
    assert_same(whole, tmp_path / "run")


def test_every_second_epoch_validated_and_stopped_in_between(recipe_file: Path, tmp_path: Path) -> None:
    """With another number of processes that load data, too: nothing depends on it."""
    settings = ("training.validate_every=2", "training.epochs=5")
    run(recipe_file, tmp_path / "whole", *settings, "training.workers=0")
    stopped(recipe_file, tmp_path / "run", 3, *settings, "training.workers=2")
    run(recipe_file, tmp_path / "run", *settings, "training.workers=1", resume=True)
    assert (tmp_path / "whole" / "metrics.csv").read_bytes() == (tmp_path / "run" / "metrics.csv").read_bytes()
    state = [torch.load(tmp_path / folder / "last.ckpt", weights_only=True)["state_dict"] for folder in ("whole", "run")]
    assert all(torch.equal(state[0][name], state[1][name]) for name in state[0])


def test_a_best_network_of_an_epoch_that_did_not_end_is_taken_back(
    whole: Path, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(recipe_file, tmp_path / "run", 2)
    kept = (tmp_path / "run" / "best.safetensors").read_bytes()
    (tmp_path / "run" / "best.safetensors").write_bytes(b"of an epoch whose state was never written")
    seen = []

    def look(self: LastEpoch, *_: object) -> None:
        seen.append((tmp_path / "run" / "best.safetensors").read_bytes())

    monkeypatch.setattr(LastEpoch, "on_train_start", look)
    run(recipe_file, tmp_path / "run", resume=True)
    assert seen == [kept]
    assert_same(whole, tmp_path / "run")


def test_a_run_that_was_killed_while_it_was_scored_is_scored(whole: Path, recipe_file: Path, tmp_path: Path) -> None:
    stopped(recipe_file, tmp_path / "run", 4)
    run(recipe_file, tmp_path / "run", resume=True)
    assert_same(whole, tmp_path / "run")


def test_patience_goes_on_counting(recipe_file: Path, tmp_path: Path) -> None:
    settings = ("training.epochs=9", "training.patience=2", "training.epsilon=1")  # no gain is ever enough
    assert run(recipe_file, tmp_path / "whole", *settings).scores["epochs"] == 3
    stopped(recipe_file, tmp_path / "run", 2, *settings)
    assert run(recipe_file, tmp_path / "run", *settings, resume=True).scores["epochs"] == 3
    stopped(recipe_file, tmp_path / "late", 3, *settings)  # at the very end of its patience
    assert run(recipe_file, tmp_path / "late", *settings, resume=True).scores["epochs"] == 3
    settings = ("training.epochs=9", "training.patience=3", "training.epsilon=1")
    assert run(recipe_file, tmp_path / "whole", *settings, resume=True).scores["epochs"] == 4


def test_resuming_nothing_begins(whole: Path, recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run", resume=True)
    assert_same(whole, tmp_path / "run")


def test_a_finished_run_is_kept_and_more_epochs_go_on_with_it(whole: Path, recipe_file: Path, tmp_path: Path) -> None:
    from io import StringIO

    from rich.console import Console

    with pytest.raises(InputError, match=r"holds a finished run; there is nothing to resume"):
        run(recipe_file, whole, resume=True)
    before = run(recipe_file, tmp_path / "run").scores
    screen = StringIO()
    recipe, text = load_recipe(str(recipe_file), [*SETTINGS, "training.epochs=6"])
    after = fit(recipe, text, tmp_path / "run", resume=True, console=Console(file=screen, width=200))
    assert (before["epochs"], after.scores["epochs"]) == (4, 6)
    assert "training.epochs is 6 from here on; it was 4." in screen.getvalue()
    assert "Going on after epoch 4 of 6." in screen.getvalue()
    epochs = [line.partition(",")[0] for line in (tmp_path / "run" / "metrics.csv").read_text().splitlines()]
    assert epochs == ["epoch", "1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["training.batch=8"], r"^training\.batch is 8 in this recipe and 4 in the one that the run was trained with so far; set it back"),
        (["training.seed=4"], r"^training\.seed is 4 in this recipe and 3 in"),
        (["model.width=8"], r"^model\.width is 8 in this recipe and 4 in"),
        (["fields.tumor_type.unknown=false"], r"^fields\.tumor_type\.unknown is False in this recipe and True in"),
        (["training.epochs=1"], r"^2 epochs are trained already; training\.epochs is 1 and has to be as many"),
    ],
)
def test_a_changed_recipe_is_refused_and_nothing_changes(
    settings: list[str], message: str, recipe_file: Path, tmp_path_factory: pytest.TempPathFactory, started: Path
) -> None:
    before = {path: path.read_bytes() for path in started.iterdir() if path.is_file()}
    with pytest.raises(InputError, match=message) as told:
        run(recipe_file, started, *settings, resume=True)
    assert "\n" not in str(told.value)
    assert {path: path.read_bytes() for path in started.iterdir() if path.is_file()} == before


@pytest.fixture(scope="module")
def started(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after its second epoch."""
    folder = tmp_path_factory.mktemp("started") / "run"
    stopped(recipe_file, folder, 2)
    return folder


def test_changed_data_are_refused(tmp_path: Path, write_recipe: Callable[..., Path]) -> None:
    data = write_bids(tmp_path / "data")
    path = write_recipe(data=data)
    stopped(path, tmp_path / "run", 1)
    moved = data.rename(tmp_path / "moved")  # the same data in another place are the same data
    stopped(write_recipe(data=moved), tmp_path / "run", 2, resume=True)
    image, other = sorted(moved.glob("sub-0[12]/anat/*_T2w.nii.gz"))
    other.write_bytes(image.read_bytes())
    with pytest.raises(InputError, match=r"^The data are not those that the run was trained on so far"):
        run(write_recipe(data=moved), tmp_path / "run", resume=True)


def test_a_damaged_state_is_told(recipe_file: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.ckpt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputError, match=r"last\.ckpt is damaged, or of another version; begin anew in another folder with --output"):
        run(recipe_file, tmp_path / "run", resume=True)


def test_the_state_says_which_run_it_is(started: Path) -> None:
    state = read_state(started / "last.ckpt")
    assert state is not None
    assert state.epochs == 2
    assert state.recipe.model.name == "tiny"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_ten_random_moments(recipe_file: Path, tmp_path: Path) -> None:
    """Each process is killed at another moment of its own; the last one is let to the end."""
    settings = ("--set", "training.epochs=40", "--set", "training.samples=48", "--set", "training.batch=8")
    code = "import torch; torch.set_num_threads(1); from napari_film.training.cli import main; main()"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONUNBUFFERED": "1"}

    def start(output: Path, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, "fit", str(recipe_file), "--output", str(output), *settings, *more]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def until(process: subprocess.Popen[str], words: str) -> bool:
        """Read on until a line has these words; False where the process ended before."""
        assert process.stdout is not None
        return any(words in line for line in process.stdout)

    process = start(tmp_path / "whole")
    assert "Checkpoint:" in process.communicate(timeout=300)[0]
    draw = random.Random(5)
    for number in range(10):
        process = start(tmp_path / "run", "--resume")
        assert until(process, "cache:" if number % 3 == 0 else "epoch")  # before the first epoch, or after some
        try:
            process.wait(timeout=draw.uniform(0, 1.5))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert process.stdout is not None
        process.stdout.close()
    process = start(tmp_path / "run", "--resume")
    told = process.communicate(timeout=300)[0]
    assert "Going on after epoch" in told
    assert "Checkpoint:" in told
    assert_same(tmp_path / "whole", tmp_path / "run")
    assert not list((tmp_path / "run").glob(".*"))

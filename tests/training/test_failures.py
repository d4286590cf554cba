"""What a training leaves when something goes wrong: a sentence, and the last state that was good."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from napari_film.checkpoint import load_checkpoint
from napari_film.errors import InputError
from napari_film.training.dataset import TrainingSlices
from napari_film.training.fit import Fitted, fit
from napari_film.training.module import TrainingModule
from napari_film.training.recipe import load_recipe
from napari_film.training.resume import LastEpoch, read_state
from napari_film.training.sampling import Sample

SETTINGS = ("training.epochs=3", "training.pictures=false", "training.tensorboard=false")


@pytest.fixture
def run(write_recipe: Callable[..., Path], tmp_path: Path) -> Callable[..., Fitted]:
    def start(*settings: str, resume: bool = False) -> Fitted:
        recipe, text = load_recipe(str(write_recipe()), [*SETTINGS, *settings])
        return fit(recipe, text, tmp_path / "run", resume=resume)

    return start


def assert_kept(folder: Path, epochs: int) -> None:
    """The state after so many epochs is whole, the best network can be used, and the table ends there."""
    state = read_state(folder / "last.ckpt")
    assert state is not None
    assert state.epochs == epochs
    load_checkpoint(folder / "best.safetensors")
    weights = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())


def test_a_loss_that_is_no_number_ends_the_training(run: Callable[..., Fitted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = TrainingModule.training_step

    def poisoned(self: TrainingModule, batch: tuple[torch.Tensor, ...], batch_idx: int) -> torch.Tensor:
        images, *rest = batch
        return step(self, (images * float("nan") if self.current_epoch == 1 and batch_idx == 2 else images, *rest), batch_idx)  # type: ignore[arg-type]

    monkeypatch.setattr(TrainingModule, "training_step", poisoned)
    message = r"^The loss is no longer finite in epoch 2: the training diverged; lower training\.learning_rate.* after epoch 1 is kept"
    with pytest.raises(InputError, match=message):
        run()
    assert_kept(tmp_path / "run", 1)
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 2


def test_weights_that_are_no_numbers_are_never_kept(run: Callable[..., Fitted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step of an epoch overflows: every loss so far was a number."""

    def overflow(self: TrainingModule) -> None:
        for weight in self.parameters():
            assert weight.grad is not None
            weight.grad.fill_(float("inf"))

    monkeypatch.setattr(TrainingModule, "on_after_backward", overflow)
    with pytest.raises(
        InputError, match=r"^The weights are no longer finite in epoch 1: the training diverged; .* No epoch was finished\.$"
    ):
        run("training.samples=4")
    assert not (tmp_path / "run" / "best.safetensors").exists()
    assert not (tmp_path / "run" / "last.ckpt").exists()


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Give a function that lets no file grow beyond so many bytes: what a full disk does to a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_and_the_last_state_stays(
    run: Callable[..., Fitted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_files: Callable[[int], None]
) -> None:
    write = LastEpoch.on_train_epoch_end

    def then_full(self: LastEpoch, *rest: object) -> None:
        write(self, *rest)  # type: ignore[arg-type]
        if self.epochs == 1:
            small_files(50_000)

    with monkeypatch.context() as patch:
        patch.setattr(LastEpoch, "on_train_epoch_end", then_full)
        with pytest.raises(InputError, match=r"^last\.ckpt cannot be written \(File too large\); make room .* after epoch 1 is kept"):
            run()
    assert_kept(tmp_path / "run", 1)
    assert not list((tmp_path / "run").glob(".*"))
    small_files(resource.RLIM_INFINITY)
    assert run(resume=True).scores["epochs"] == 3


def test_a_killed_data_worker_is_told(run: Callable[..., Fitted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = TrainingSlices.__getitem__
    parent = os.getpid()

    def killed(self: TrainingSlices, sample: Sample) -> tuple[torch.Tensor, ...]:
        if sample.epoch == 1 and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return draw(self, sample)

    monkeypatch.setattr(TrainingSlices, "__getitem__", killed)
    with pytest.raises(InputError, match=r"^A process that loads data has died .*--workers, or none \(0\)\. The state after epoch 1"):
        run("training.workers=1")
    assert_kept(tmp_path / "run", 1)
    assert run("training.workers=0", resume=True).scores["epochs"] == 3


@pytest.mark.parametrize("folder", ["/proc/run", "/dev/null/run"])
def test_a_folder_that_cannot_be_written_to_is_told(folder: str, write_recipe: Callable[..., Path]) -> None:
    recipe, text = load_recipe(str(write_recipe()), SETTINGS)
    with pytest.raises(InputError, match=rf"^{folder} cannot be written to \(.+\); name another folder with --output\.$"):
        fit(recipe, text, Path(folder))

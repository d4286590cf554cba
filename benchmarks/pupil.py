"""The process of one side of a comparison of trainings: ``python -m benchmarks.pupil LESSON_AS_JSON``.

It trains, and waits after each round for a line of stdin, which it answers with a line of JSON as `benchmarks.worker` does. The front of
a step is what it waited for its batch.
"""

import json
import resource
import sys
import time
import warnings
from typing import Any

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from benchmarks.lesson import SLICES, Lesson
from benchmarks.machine import peak_memory
from benchmarks.settings import VALUES
from benchmarks.side import Memory, Round
from benchmarks.textbook import TextbookUNet
from napari_film import nifti
from napari_film.models.unet import ConditionedUNet
from napari_film.training.allocator import keep_memory
from napari_film.training.cache import Cache
from napari_film.training.cases.case import Case
from napari_film.training.dataset import TrainingSlices, prepare_cases
from napari_film.training.losses import soft_dice_loss
from napari_film.training.module import TrainingModule
from napari_film.training.prepared import PreparedCase
from napari_film.training.recipe import Recipe, parse_recipe
from napari_film.training.sampling import BalancedSampler, make_pools
from napari_film.volume import Volume


class Turns:
    """Lets a training go on for one round at a time."""

    def __init__(self, lesson: Lesson, imported: int) -> None:
        self._lesson = lesson
        self._imported = imported

    def begin(self) -> None:
        """Wait for the next round; the process ends with stdin."""
        for line in sys.stdin:
            if line.strip() == "round":
                self._done = 0
                self._front = 0.0
                self._start()
                return
            _say(**Memory(imported=self._imported, peak=peak_memory()).model_dump())
        sys.exit(0)

    def has_batch(self) -> None:
        """Note that the batch of the next step is there."""
        self._front += time.perf_counter() - self._asked

    def step_done(self) -> None:
        """Count a step; answer and wait when the round is over."""
        self._done += 1
        if self._done == self._lesson.skip:
            self._front = 0.0
            self._start()
        self._asked = time.perf_counter()
        if self._done == self._lesson.skip + self._lesson.steps:
            steps = self._lesson.steps
            faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - self._faults) / steps
            seconds = (time.perf_counter() - self._started) / steps
            _say(**Round(seconds=seconds, front=self._front / steps, faults=faults).model_dump())
            self.begin()

    def _start(self) -> None:
        self._faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        self._started = self._asked = time.perf_counter()


def main() -> None:
    """Train until stdin ends."""
    imported = peak_memory()
    lesson = Lesson.model_validate_json(sys.argv[1])
    recipe = parse_recipe(lesson.recipe(), name="benchmark.toml")
    cases = draw_cases(lesson, recipe)
    torch.manual_seed(0)
    network = ConditionedUNet(recipe.architecture())
    pools = make_pools([{value: case.shows(recipe, value) for value in case.case.values} for case in cases])
    sampler = BalancedSampler(pools, samples=recipe.training.samples, foreground=recipe.training.foreground, seed=0)
    slices = TrainingSlices(cases, recipe)
    turns = Turns(lesson, imported)
    _say(threads=torch.get_num_threads())
    turns.begin()
    if lesson.kind == "textbook":
        _textbook(network, recipe, DataLoader(slices, batch_size=lesson.batch, sampler=sampler), turns)
    else:
        _ours(network, recipe, DataLoader(slices, batch_size=lesson.batch, sampler=sampler, num_workers=lesson.workers), turns)


def draw_cases(lesson: Lesson, recipe: Recipe) -> tuple[PreparedCase, ...]:
    """Draw the cases and prepare them, where that is not done yet."""
    setting = lesson.setting
    cache = Cache(lesson.folder / "cache")
    cases = []
    for number, value in enumerate(VALUES, start=1):
        rng = np.random.default_rng(number)
        shape = (setting.width, setting.height, SLICES)
        across, down = np.ogrid[: setting.width, : setting.height]
        middle = (rng.uniform(0.3, 0.7) * setting.width, rng.uniform(0.3, 0.7) * setting.height)
        blob = (across - middle[0]) ** 2 + (down - middle[1]) ** 2 < (0.12 * min(shape[:2])) ** 2
        mask = np.zeros(shape, np.uint8)
        mask[blob] = number
        mask[..., :2] = 0
        paths = [lesson.folder / f"{value}-{name}.nii" for name in (*range(setting.channels), "mask")]
        for path in paths:
            data = mask if path is paths[-1] else (rng.normal(100, 20, shape) + 40 * mask).astype(np.int16)
            if not path.is_file():
                nifti.write(path, data, like=Volume(data, np.eye(4)))
        cases.append(Case(f"sub-{value}", tuple(paths[:-1]), paths[-1], {}, (value,)))
    return prepare_cases(cases, recipe, cache)


def _textbook(network: ConditionedUNet, recipe: Recipe, loader: DataLoader[Any], turns: Turns) -> None:
    """The loop as the public code has it: NCHW, γ and β at full size, a look at the loss after each step."""
    textbook = TextbookUNet(network).train().requires_grad_(True)
    optimizer = torch.optim.Adam(textbook.parameters(), lr=recipe.training.learning_rate)
    total = 0.0
    while True:
        for images, conditions, truth, _ in loader:
            turns.has_batch()
            optimizer.zero_grad()
            loss = soft_dice_loss(textbook(images, conditions), truth)
            loss.backward()
            optimizer.step()
            total += loss.item()
            turns.step_done()


class _TakeTurns(lightning.Callback):
    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    def on_train_batch_start(self, *_: object) -> None:
        self.turns.has_batch()

    def on_train_batch_end(self, *_: object) -> None:
        self.turns.step_done()


def _ours(network: ConditionedUNet, recipe: Recipe, loader: DataLoader[Any], turns: Turns) -> None:
    """The module of `fit` on Lightning's Trainer, in a process whose allocator is told what the command line tells it."""
    keep_memory()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_epochs=recipe.training.epochs,
            accelerator="cpu",
            devices=1,
            precision="bf16-mixed" if recipe.training.precision == "bfloat16" else "32-true",
            callbacks=[_TakeTurns(turns)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(TrainingModule(network, recipe, validation_cases=0), loader)


def _say(**answer: float) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""One training run, from a recipe to a checkpoint that is ready to be shared.

The output folder holds ``best.safetensors``, the recipe as it was given, ``metrics.csv`` and ``scores.json``.
"""

import json
import logging
import signal
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import CSVLogger
from rich.console import Console
from torch.utils.data import DataLoader

from napari_film.atomic import write_text
from napari_film.checkpoint import load_checkpoint, save_checkpoint
from napari_film.errors import InputError
from napari_film.header import Fingerprint, Header, Provenance
from napari_film.models.unet import FiLMedUNet

from .best import KeepBest
from .cache import Cache
from .cases.case import Case, data_hash, given
from .data import find_cases
from .dataset import TrainingSlices, ValidationCases, prepare_cases
from .fingerprint import take_fingerprint
from .initialisation import spread_conditions
from .module import MEAN_DICE, TrainingModule
from .prepared import PreparedCase
from .progress import EpochBar, counted
from .recipe import Recipe
from .sampling import BalancedSampler, make_pools
from .scoring import Reading, per_subject, read_cases, score_table
from .splits import Split, split_cases
from .thresholds import tune_thresholds

BEST, RECIPE, METRICS, SCORES = "best.safetensors", "recipe.toml", "metrics.csv", "scores.json"
PACKAGES = ("napari-film", "torch", "lightning", "numpy", "nibabel")


class Interrupted(Exception):
    """A person ended the training early."""


@dataclass(frozen=True)
class Fitted:
    """A finished run: its checkpoint, the subjects by part, and the scores as they stand in ``scores.json``."""

    checkpoint: Path
    split: Split
    scores: dict[str, Any]


def fit(
    recipe: Recipe, text: str, output: Path, *, data: Path | None = None, cache: Path | None = None, console: Console | None = None
) -> Fitted:
    """Train ``recipe`` (whose TOML is ``text``) into the folder ``output``.

    Parameters
    ----------
    recipe, text
        As ``load_recipe`` gives them.
    output
        A folder without another run in it; made if need be.
    data
        BIDS folder to use instead of the recipe's own data.
    cache
        Where prepared slices are kept between runs; None for the user's cache folder.
    console
        Where progress is shown; None for nowhere.

    Raises
    ------
    InputError
        If data, recipe or output folder cannot be used.
    Interrupted
        If the person stops the training; the best network so far is kept.
    """
    console = console or Console(quiet=True)
    start = time.monotonic()
    _open_output(output)
    cases, origin = find_cases(recipe, output, data=data, console=console)
    split = split_cases(cases, recipe.training.split, seed=recipe.training.seed)
    kept = Cache(cache)
    with counted(console, "reading images", len(split.train) + len(split.validation)) as advance:
        train = prepare_cases(split.train, recipe, kept, progress=advance)
        validation = prepare_cases(split.validation, recipe, kept, progress=advance)
    console.print(kept.told((*train, *validation)), highlight=False, soft_wrap=True)
    write_text(output / RECIPE, text)
    header = _header(recipe, text, split, cases, origin, take_fingerprint(train, recipe))
    best = _train(recipe, header, train, validation, output, console)
    trained = time.monotonic() - start

    try:
        scores = _finish(recipe, header, split, output, console)
    except KeyboardInterrupt as error:
        raise Interrupted(_what_is_kept(best)) from error
    scores |= {
        "best_epoch": best.epoch,
        "seconds": {"training": round(trained), "all": round(time.monotonic() - start)},
    }
    write_text(output / SCORES, json.dumps(scores, indent=1) + "\n")
    return Fitted(output / BEST, split, scores)


def _finish(recipe: Recipe, header: Header, split: Split, output: Path, console: Console) -> dict[str, Any]:
    """Tune thresholds on the validation cases, score on the test cases, and write both into the checkpoint."""
    checkpoint = load_checkpoint(output / BEST)
    with counted(console, "tuning thresholds", len(split.validation)) as advance:
        tuning = read_cases(checkpoint, split.validation, recipe, progress=advance)
    header = header.model_copy(update={"thresholds": tune_thresholds(tuning, recipe)})
    with counted(console, "scoring on test subjects", len(split.test)) as advance:
        testing = read_cases(checkpoint, split.test, recipe, progress=advance)
    tables = {"test": _tables(testing, header, recipe, split.test), "validation": _tables(tuning, header, recipe, split.validation)}
    flat = {f"{part}, {name}": table for part, found in tables.items() for name, table in found.items()}
    header = header.model_copy(update={"provenance": header.provenance.model_copy(update={"scores": flat})})
    save_checkpoint(output / BEST, checkpoint.network, header)
    return {
        "thresholds": [entry.model_dump(mode="json") for entry in header.thresholds],
        "tables": tables,
        "subjects": {part: sorted({case.subject for case in getattr(split, part)}) for part in ("train", "validation", "test")},
        "test": per_subject(testing, header.classes, lambda value: _thresholds(header, recipe, split.test[0], value)),
    }


def _open_output(output: Path) -> None:
    """Make the folder, and refuse one that holds another run."""
    held = [name for name in (BEST, RECIPE, METRICS, SCORES) if (output / name).exists()]
    if held:
        raise InputError(f"{output} already holds a run ({', '.join(held)}); name another folder with --output.")
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_text(output / RECIPE, "")
        (output / RECIPE).unlink()
    except OSError as error:
        raise InputError(f"{output} cannot be written to ({error.strerror}); name another folder with --output.") from error


def _header(recipe: Recipe, text: str, split: Split, cases: Sequence[Case], origin: str, fingerprint: Fingerprint) -> Header:
    return Header(
        name=recipe.model.name,
        description=recipe.model.description,
        licence=recipe.model.licence,
        architecture=recipe.architecture(),
        metadata_schema=recipe.metadata_schema(),
        channels=recipe.checkpoint_channels(),
        classes=recipe.class_names(),
        preprocessing=recipe.checkpoint_preprocessing(),
        fingerprint=fingerprint,
        provenance=Provenance(
            recipe=text,
            seed=recipe.training.seed,
            versions={package: version(package) for package in PACKAGES},
            data_hash=data_hash(cases),
            data=f"{origin}: {split.told}",
        ),
    )


def _train(
    recipe: Recipe, header: Header, train: Sequence[PreparedCase], validation: Sequence[PreparedCase], output: Path, console: Console
) -> KeepBest:
    """Run Lightning's Trainer; the best network is in the output folder afterwards."""
    settings = recipe.training
    torch.manual_seed(settings.seed)
    network = FiLMedUNet(recipe.architecture())
    if network.generator is not None:
        spread_conditions(network.generator)
    module = TrainingModule(network, recipe)
    pools = make_pools([{value: case.shows(recipe, value) for value in case.case.values} for case in train])
    sampler = BalancedSampler(pools, samples=settings.samples, foreground=settings.foreground, seed=settings.seed)
    best = KeepBest(output / BEST, header)
    every = min(settings.validate_every, settings.epochs)
    patience = max(1, settings.patience // every)
    callbacks: list[Callback] = [
        best,
        EpochBar(console, settings.epochs),
        EarlyStopping(MEAN_DICE, mode="max", min_delta=settings.epsilon, patience=patience),
    ]
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)  # its tips and tables; ours are told by the bar
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        warnings.filterwarnings("ignore", module=r"torch\.utils\.data")
        trainer = lightning.Trainer(
            max_epochs=settings.epochs,
            accelerator="auto",
            devices=1,
            precision="bf16-mixed" if settings.precision == "bfloat16" else "32-true",
            check_val_every_n_epoch=every,
            callbacks=callbacks,
            logger=CSVLogger(output, name="", version=""),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        handler = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(
                module,
                DataLoader(TrainingSlices(train, recipe), batch_size=settings.batch, sampler=sampler),
                DataLoader(ValidationCases(validation), batch_size=None),
            )
        except SystemExit as error:  # how Lightning ends after Ctrl+C, which it then ignores
            signal.signal(signal.SIGINT, handler)
            raise Interrupted(_what_is_kept(best)) from error
    module.network.cpu()
    return best


def _what_is_kept(best: KeepBest) -> str:
    if best.epoch is None:
        return "Stopped before the first validation; nothing was kept."
    return (
        f"Stopped; the best network so far (epoch {best.epoch}, validation Dice {best.dice:.3f}) is kept in {best.path}, "
        "without tuned thresholds and scores."
    )


def _thresholds(header: Header, recipe: Recipe, case: Case, value: str) -> tuple[int, ...]:
    return header.thresholds_for(given(recipe, case, value))


def _tables(readings: Sequence[Reading], header: Header, recipe: Recipe, cases: Sequence[Case]) -> dict[str, Any]:
    """Dice per class: true condition value, given condition value."""
    return {
        name: score_table(readings, index, lambda value: _thresholds(header, recipe, cases[0], value))
        for index, name in enumerate(header.classes)
    }

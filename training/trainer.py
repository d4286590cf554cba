"""A network trained by Lightning's Trainer, as a recipe says, on the processes and devices that it asks for."""

import logging
import os
import signal
import warnings
from collections.abc import Sequence
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from torch.utils.data import DataLoader

from napari_film.errors import InputError
from napari_film.header import Header
from napari_film.models.unet import ConditionedUNet

from .best import KeepBest
from .dataset import TrainingSlices, ValidationCases
from .divergence import Divergence
from .folder import RunFolder
from .history import History
from .initialisation import spread_conditions
from .module import TrainingModule
from .pictures import Pictures
from .prepared import PreparedCase
from .progress import EpochBar
from .recipe import Recipe
from .recipe.training import Training
from .resume import LastEpoch, WholeFiles
from .sampling import BalancedSampler, make_pools
from .stopping import Patience


class Interrupted(Exception):
    """A person ended the training early."""


def train(
    recipe: Recipe,
    header: Header,
    train: Sequence[PreparedCase],
    validation: Sequence[PreparedCase],
    folder: RunFolder,
    console: Console,
    *,
    data: str,
    done: int = 0,
) -> tuple[KeepBest, LastEpoch]:
    """Train the network of ``recipe``; the best one is in ``folder`` afterwards, and what is told of it and of the last epoch returned.

    Parameters
    ----------
    recipe, header
        How, and what the checkpoint says.
    train, validation
        The cases.
    folder
        Where everything goes.
    console
        Where progress is shown.
    data
        `data_hash` of the run's cases.
    done
        Epochs that the state in ``folder`` has behind it; 0 begins anew.

    Raises
    ------
    InputError
        If the training diverges, the disk is full, a data worker dies, or the devices are not there.
    Interrupted
        If the person stops it.
    """
    settings = recipe.training
    torch.manual_seed(settings.seed)
    network = ConditionedUNet(recipe.architecture())
    if network.generator is not None:
        spread_conditions(network.generator)
    module = TrainingModule(network, recipe, validation_cases=len(validation))
    best = KeepBest(folder.best, header)
    last = LastEpoch(folder.last, recipe, data)
    history = History(folder.metrics, tensorboard=folder.tensorboard if settings.tensorboard else None, tell=console.print)
    every = min(settings.validate_every, settings.epochs)
    callbacks: list[Callback] = [
        Divergence(),
        best,
        history,
        EpochBar(console, settings.epochs, best),
        *([Pictures(folder.pictures, history, recipe, validation)] if settings.pictures else []),
        Patience(epsilon=settings.epsilon, patience=max(1, settings.patience // every)),
        last,
    ]
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)  # its tips and tables; ours are told by the bar
    handler = signal.getsignal(signal.SIGINT)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        warnings.filterwarnings("ignore", module=r"torch\.utils\.data")
        trainer = _trainer(settings, every, callbacks, folder)
        pools = make_pools([{value: case.shows(recipe, value) for value in case.case.values} for case in train])
        rank, processes = trainer.global_rank, trainer.world_size
        sampler = BalancedSampler(
            pools, samples=settings.samples, foreground=settings.foreground, seed=settings.seed, rank=rank, processes=processes
        )
        sampler.set_epoch(done)  # processes that load data draw the first batches before Lightning says which epoch it is
        own = [index % len(validation) for index in range(rank, -(-len(validation) // processes) * processes, processes)]
        workers = loading_workers(settings)
        try:
            trainer.fit(
                module,
                DataLoader(
                    TrainingSlices(train, recipe),
                    batch_size=settings.batch,
                    sampler=sampler,
                    num_workers=workers,
                    persistent_workers=workers > 0,
                    pin_memory=torch.cuda.is_available(),
                ),
                DataLoader(ValidationCases(validation), batch_size=None, sampler=own),
                ckpt_path=str(folder.last) if done else None,
                weights_only=True,
            )
        except SystemExit as error:  # how Lightning ends after Ctrl+C, which it then ignores
            signal.signal(signal.SIGINT, handler)
            raise Interrupted(what_is_kept(best, last)) from error
        except InputError as error:
            raise InputError(f"{error} {_state_kept(last)}") from error
        except OSError as error:
            raise InputError(f"The training cannot write ({error.strerror or error}); make room. {_state_kept(last)}") from error
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise InputError(
                "A process that loads data has died (killed, most likely for want of memory); "
                f"use fewer with --workers, or none (0). {_state_kept(last)}"
            ) from error
    module.network.cpu()
    return best, last


def loading_workers(settings: Training) -> int:
    """How many processes load slices: those that the recipe says, or one for each core that is left over on a large machine."""
    if settings.workers is not None:
        return settings.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if cores <= 4 else min(8, cores // settings.devices - 1)


def what_is_kept(best: KeepBest, last: LastEpoch) -> str:
    """Say in a sentence what a training that was stopped leaves."""
    if best.epoch is None:
        return f"Stopped before the first validation; no network was kept. {_state_kept(last)}"
    return (
        f"Stopped; the best network so far (epoch {best.epoch}, validation Dice {best.dice:.3f}) is kept in {best.path}, "
        f"without tuned thresholds and scores. {_state_kept(last)}"
    )


def _state_kept(last: LastEpoch) -> str:
    if not last.epochs:
        return "No epoch was finished."
    return f"The state after epoch {last.epochs} is kept; --resume goes on from there."


def _trainer(settings: Training, every: int, callbacks: list[Callback], folder: RunFolder) -> lightning.Trainer:
    plugins: list[Any] = [WholeFiles()]
    if SLURMEnvironment.detect():
        plugins.append(SLURMEnvironment(auto_requeue=False))  # which would go on in mid-epoch, from a file of its own
    options: dict[str, Any] = {
        "max_epochs": settings.epochs,
        "accelerator": "auto",
        "devices": settings.devices,
        "num_nodes": settings.nodes,
        "strategy": settings.strategy,
        "precision": "bf16-mixed" if settings.precision == "bfloat16" else "32-true",
        "check_val_every_n_epoch": every,
        "plugins": plugins,
        "default_root_dir": folder.path,
    }
    try:
        return lightning.Trainer(
            **options,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=True,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,  # ours divides an epoch itself
        )
    except (MisconfigurationException, ValueError) as error:
        raise InputError(
            f"This machine cannot train with devices {settings.devices}, nodes {settings.nodes} and strategy {settings.strategy} ({error})."
        ) from error

"""Several processes that train one network, as torchrun, SLURM or Lightning itself starts them.

Each process runs the same command. The first one, of rank 0, is the only one that writes and talks.
"""

import os
from collections.abc import Mapping

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only

from napari_film.errors import InputError

from .recipe.training import Training


def is_first() -> bool:
    """Say whether this process writes and talks."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def started(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes torchrun or SLURM has started; 1 where neither has."""
    if TorchElasticEnvironment.detect():
        return int(environment["WORLD_SIZE"])
    if SLURMEnvironment.detect():
        return int(environment["SLURM_NTASKS"])
    return 1


def check_processes(training: Training) -> None:
    """Refuse processes that would each train a network of its own into one folder.

    Raises
    ------
    InputError
        If another number of processes was started than ``training`` asks for.
    """
    found, wanted = started(), training.devices * training.nodes
    if found not in {1, wanted}:
        raise InputError(
            f"{found} processes were started, and {training.devices} devices on {training.nodes} nodes need {wanted}; "
            "give --devices (on each node) and --nodes as they were started."
        )

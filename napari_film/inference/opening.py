"""Volumes and a checkpoint brought together: what the engine's thread holds until the next opening."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_film.errors import InputError
from napari_film.inference.plan import DeviceName, Plan, PrecisionName
from napari_film.inference.request import Opened, image_hash, text_hash
from napari_film.preprocessing import Preprocessing, prepare
from napari_film.volume import Volume


class Opening:
    """Prepared volumes, a loaded network, and the plan that it runs under.

    Belongs to one thread. ``runner`` computes slices; ``opened`` is what the owner is told.

    Raises
    ------
    InputError
        If volumes, checkpoint or device cannot be used, or the checkpoint is no longer the one whose preprocessing is given.
    """

    def __init__(
        self,
        generation: int,
        volumes: tuple[Volume, ...],
        checkpoint: Path,
        preprocessing: Preprocessing,
        device: DeviceName,
        precision: PrecisionName,
    ) -> None:
        # torch is imported here, on the engine's thread, when the first model is loaded
        from napari_film.checkpoint import load_checkpoint
        from napari_film.inference.plan import make_plan
        from napari_film.inference.runner import Runner

        self.generation = generation
        prepared = prepare(volumes, preprocessing)
        loaded = load_checkpoint(checkpoint)
        if loaded.header.preprocessing != preprocessing:
            raise InputError(f"{checkpoint.name} has changed since it was chosen; choose it again.")
        plan, notices = make_plan(device, precision)
        self._make_runner = partial(Runner, loaded, prepared)
        self.runner = self._make_runner(plan)
        self.opened = Opened(
            generation, prepared, image_hash(volumes), loaded.hash, text_hash(preprocessing.model_dump_json()), plan, notices
        )

    @property
    def plan(self) -> Plan:
        """How the network runs now."""
        return self.runner.plan

    def replan(self, plan: Plan) -> None:
        """Run under another plan from now on."""
        self.opened = replace(self.opened, plan=plan)
        self.runner = self._make_runner(plan)

"""Volumes and a model brought together: what the engine's thread holds until the next opening."""

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_film.errors import InputError
from napari_film.inference.plan import DeviceName, Plan, PrecisionName, make_plan
from napari_film.inference.request import Opened, image_hash, text_hash
from napari_film.inference.selfcheck import check_for
from napari_film.preprocessing import Preprocessing, prepare
from napari_film.volume import Volume

if TYPE_CHECKING:
    from napari_film.inference.loaded import LoadedModel


class Opening:
    """Prepared volumes, a loaded network, and the plan that it runs under.

    Belongs to one thread. ``runner`` computes slices; ``opened`` is what the owner is told.

    Raises
    ------
    InputError
        If volumes or device cannot be used, or the model is no longer the one whose preprocessing is given.
    """

    def __init__(
        self,
        generation: int,
        volumes: tuple[Volume, ...],
        model: "LoadedModel",
        preprocessing: Preprocessing,
        device: DeviceName,
        precision: PrecisionName,
    ) -> None:
        from napari_film.inference.runner import Runner  # and torch, which the engine's thread imports when the first model is loaded

        checkpoint = model.checkpoint
        header = checkpoint.header
        if header.preprocessing != preprocessing:
            raise InputError(f"{checkpoint.name} has changed since it was chosen; choose it again.")
        self.generation = generation
        self._model = model
        self._prepared = prepare(volumes, preprocessing)
        first, notices = make_plan(device, precision)
        plan = first.fitted(header.architecture, self._prepared.padded_shape, preprocessing.tile)
        self._check = check_for(plan, header, self._prepared, self._prepared.shape[0]) if precision == "auto" else None
        self.runner = Runner(model, self._prepared, plan, self._check)
        self.opened = Opened(
            generation,
            self._prepared,
            image_hash(volumes),
            checkpoint.hash,
            text_hash(preprocessing.model_dump_json()),
            plan,
            (*notices, *self._prepared.notices(header.architecture.divisor)),
        )

    @property
    def plan(self) -> Plan:
        """How the network runs now."""
        return self.runner.plan

    def replan(self, plan: Plan) -> None:
        """Run under another plan from now on."""
        from napari_film.inference.runner import Runner

        self.runner.rest()
        self._model.keep_only(plan)
        self.opened = replace(self.opened, plan=plan)
        self.runner = Runner(self._model, self._prepared, plan, self._check)

"""A checkpoint in memory, with its network on the devices that it has run on."""

from pathlib import Path

from napari_film.checkpoint import Checkpoint, load_checkpoint
from napari_film.errors import InputError
from napari_film.inference.as_trained import AsTrainedUNet
from napari_film.inference.plan import Plan
from napari_film.inference.recorded import RecordedUNet
from napari_film.inference.specialised import SpecialisedUNet

RunnableUNet = SpecialisedUNet | AsTrainedUNet
"""A network on a device, in a precision: `front`, `probabilities` and `rest`."""


class LoadedModel:
    """A checkpoint and its specialised networks; belongs to one thread."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._networks: dict[tuple[str, str], RunnableUNet] = {}

    def network(self, plan: Plan) -> RunnableUNet:
        """The network for the device and precision of ``plan``, made at the first call: a device without room is met there.

        Raises
        ------
        InputError
            If its BatchNorm has a variance below zero: every value would be not a number.
        """
        key = plan.device, plan.precision
        if key not in self._networks:
            variances = [value for name, value in self.checkpoint.network.state_dict().items() if name.endswith("running_var")]
            if any(bool((variance < 0).any()) for variance in variances):
                raise InputError(f"{self.checkpoint.name} has weights that give no numbers (a variance below zero); use another model.")
            kind: type[RunnableUNet] = AsTrainedUNet
            if self.checkpoint.network.architecture.classic:
                kind = RecordedUNet if plan.device == "cuda" else SpecialisedUNet
            self._networks[key] = kind(self.checkpoint.network, device=plan.device, precision=plan.precision)
        return self._networks[key]

    def keep_only(self, plan: Plan) -> None:
        """Let go of the networks that ``plan`` does not need."""
        self._networks = {key: network for key, network in self._networks.items() if key == (plan.device, plan.precision)}

    def rest(self) -> None:
        """Let go of feature maps; weights stay."""
        for network in self._networks.values():
            network.rest()


class Loader:
    """Loads checkpoints and keeps the last, as long as its file stays as it is."""

    def __init__(self) -> None:
        self._last: tuple[tuple[str, int, int], LoadedModel] | None = None

    def load(self, path: Path) -> LoadedModel:
        """Give the model of a file; raises CheckpointError as `load_checkpoint`."""
        try:
            status = path.stat()
        except OSError:
            return LoadedModel(load_checkpoint(path))  # which says what is wrong
        signature = str(path.resolve()), status.st_mtime_ns, status.st_size
        if self._last is None or self._last[0] != signature:
            self._last = None
            self._last = signature, LoadedModel(load_checkpoint(path))
        return self._last[1]

"""One model over one patient, from start to end: what the command line, training and notebooks use.

predictor = Predictor(load_checkpoint("model.safetensors"))
prediction = predictor.predict([read("t1.nii.gz"), read("t2.nii.gz")], {"tumor_type": "ependymoma"})
write("mask.nii.gz", prediction.mask(), like=prediction.prepared.reference)
"""

from collections.abc import Callable, Mapping, Sequence

from napari_film.checkpoint import Checkpoint
from napari_film.conditioning import Value
from napari_film.errors import InputError
from napari_film.inference.kept import Kept
from napari_film.inference.plan import NO_MEMORY, DeviceName, Plan, PrecisionName, available_devices, check_replay, make_plan
from napari_film.inference.prediction import Prediction
from napari_film.inference.runner import OutOfMemory, Runner
from napari_film.preprocessing import Prepared, prepare
from napari_film.volume import Volume


class Predictor:
    """Runs a checkpoint on this machine.

    Parameters
    ----------
    checkpoint
        As `load_checkpoint` gives it.
    plan
        A recorded plan to replay; None chooses one by ``device`` and ``precision``.
    device, precision
        What to run on; "auto" takes CUDA, then MPS, then the CPU, in float32.

    Raises
    ------
    InputError
        If the device is not here, or the plan cannot be replayed.
    """

    def __init__(
        self, checkpoint: Checkpoint, *, plan: Plan | None = None, device: DeviceName = "auto", precision: PrecisionName = "auto"
    ) -> None:
        self._checkpoint = checkpoint
        if plan is not None:
            check_replay(plan, available_devices())
            self.plan = plan
            self.notices: tuple[str, ...] = ()
        else:
            self.plan, self.notices = make_plan(device, precision)

    def prepare(self, volumes: Sequence[Volume]) -> Prepared:
        """Prepare ``volumes`` for this model, once for several predictions; raises GeometryError."""
        return prepare(volumes, self._checkpoint.header.preprocessing)

    def predict(
        self,
        volumes: Sequence[Volume] | Prepared,
        metadata: Mapping[str, Value],
        *,
        order: Sequence[int] | None = None,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Prediction:
        """Segment ``volumes`` (one per channel, the reference first) under ``metadata``.

        Parameters
        ----------
        volumes
            Volumes, or what `prepare` made of them.
        metadata
            A value for every field of the model's schema.
        order
            Source slices to compute, along N, in this order; None computes all from first to last.
        progress
            Called with slices done and slices in all.
        cancelled
            Asked before every round of slices (one slice on a CPU); what was computed until then is kept.

        Raises
        ------
        InputError
            If volumes, metadata or order do not fit the model and the volumes, or memory does not suffice.
        """
        header = self._checkpoint.header
        resolved = header.metadata_schema.resolve(metadata)
        condition = tuple(float(column) for column in header.metadata_schema.encode(resolved.values))
        prepared = volumes if isinstance(volumes, Prepared) else self.prepare(volumes)
        wanted = tuple(range(prepared.shape[0]) if order is None else order)
        if any(not 0 <= index < prepared.shape[0] for index in wanted):
            raise InputError(f"The order names slices outside of 0 to {prepared.shape[0] - 1}; these are what the volume has.")
        plan, notices = self.plan, [*self.notices, *resolved.notices]
        while True:
            kept = Kept.empty(len(header.classes), prepared.shape)
            try:
                runner = Runner(self._checkpoint, prepared, plan)
                for start in range(0, len(wanted), plan.batch):
                    if cancelled is not None and cancelled():
                        break
                    for index, q in runner.run(condition, wanted[start : start + plan.batch]):
                        kept.put(index, q)
                    if progress is not None:
                        progress(min(start + plan.batch, len(wanted)), len(wanted))
            except OutOfMemory as error:
                step = plan.after_out_of_memory()
                if step is None:
                    raise InputError(NO_MEMORY) from error
                plan, notice = step
                self.plan = plan
                notices.append(notice)
                continue
            return Prediction(prepared, resolved, kept, header.thresholds_for(resolved.values), plan, tuple(notices))

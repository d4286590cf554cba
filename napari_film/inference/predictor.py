"""One model over one patient, from start to end: what the command line, training and notebooks use.

predictor = Predictor(load_checkpoint("model.safetensors"))
prediction = predictor.predict([read("t1.nii.gz"), read("t2.nii.gz")], {"tumor_type": "ependymoma"})
write("mask.nii.gz", prediction.mask(), like=prediction.prepared.reference)
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

from napari_film.checkpoint import Checkpoint
from napari_film.conditioning import spelled
from napari_film.errors import InputError
from napari_film.fields import Value
from napari_film.inference.agenda import outward
from napari_film.inference.asked import Asked
from napari_film.inference.kept import Kept
from napari_film.inference.loaded import LoadedModel
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import NO_MEMORY, DeviceName, Plan, PrecisionName, available_devices, check_replay, make_plan
from napari_film.inference.prediction import Prediction
from napari_film.inference.runner import OutOfMemory, Runner
from napari_film.inference.selfcheck import check_for
from napari_film.preprocessing import Prepared, prepare
from napari_film.volume import Volume

Told = Mapping[str, Value | Sequence[float]]
"""Values of fields, or one number for each slice."""


class Predictor:
    """Runs a checkpoint on this machine.

    Parameters
    ----------
    checkpoint
        As `load_checkpoint` gives it.
    plan
        A recorded plan to replay; None chooses one by ``device`` and ``precision``.
    device, precision
        What to run on; "auto" takes CUDA, then MPS, then the CPU; and bfloat16 where it is faster here and its masks agree
        with those of float32 on the images at hand (see `selfcheck`), else float32.

    Raises
    ------
    InputError
        If the device is not here, or the plan cannot be replayed.
    """

    def __init__(
        self, checkpoint: Checkpoint, *, plan: Plan | None = None, device: DeviceName = "auto", precision: PrecisionName = "auto"
    ) -> None:
        self._checkpoint = checkpoint
        self._model = LoadedModel(checkpoint)
        self._replayed = plan is not None
        self._auto = plan is None and precision == "auto"
        if plan is not None:
            check_replay(plan, available_devices(), checkpoint.header.architecture.divisor)
            self._plan = plan
            self.notices: tuple[str, ...] = ()
        else:
            self._plan, self.notices = make_plan(device, precision)

    def prepare(self, volumes: Sequence[Volume]) -> Prepared:
        """Prepare ``volumes`` for this model, once for several predictions; raises GeometryError."""
        return prepare(volumes, self._checkpoint.header.preprocessing)

    def predict(
        self,
        volumes: Sequence[Volume] | Prepared,
        metadata: Told,
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
            A value for every field of the model's schema. A field that is per slice may be left out, for the program to fill it in;
            or it has a number for all slices, or a sequence of one for each slice of the sliced layout, in its order.
        order
            Source slices to compute, along N, in this order; None computes all, from the middle outward.
        progress
            Called with slices done and slices in all.
        cancelled
            Asked before every round of slices; what was computed until then is kept.

        Raises
        ------
        InputError
            If volumes, metadata or order do not fit the model and the volumes, or memory does not suffice.
        """
        return self.predict_each(volumes, [metadata], order=order, progress=progress, cancelled=cancelled)[0]

    def predict_mixture(
        self,
        volumes: Sequence[Volume] | Prepared,
        metadata: Told,
        mixture: Mixture,
        *,
        order: Sequence[int] | None = None,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Prediction:
        """Segment ``volumes`` where one field of the metadata is not sure; ``metadata`` need not name that field.

        An expected mixture is run under each of its values, side by side, and averaged; a blended one is run once. Parameters
        and errors as of `predict`.
        """
        return self.predict_each(volumes, [metadata], mixture=mixture, order=order, progress=progress, cancelled=cancelled)[0]

    def predict_each(
        self,
        volumes: Sequence[Volume] | Prepared,
        metadata: Sequence[Told],
        *,
        mixture: Mixture | None = None,
        order: Sequence[int] | None = None,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Prediction]:
        """Segment ``volumes`` under each of several ``metadata``, all by one plan; what they share is computed once.

        Parameters as of `predict`; ``progress`` counts slices under all conditions that are run. With a ``mixture``, its
        weights stand for its field in all of the metadata.
        """
        header = self._checkpoint.header
        prepared = volumes if isinstance(volumes, Prepared) else self.prepare(volumes)
        count = prepared.shape[0]
        asked = [Asked.of(header, spelled(values, count), mixture) for values in metadata]
        conditions = [condition for each in asked for condition in each.conditions]
        wanted = outward(count // 2, count) if order is None else list(order)
        if any(not 0 <= index < count for index in wanted):
            raise InputError(f"The order names slices outside of 0 to {count - 1}; these are what the volume has.")
        plan = self._plan
        if not self._replayed:
            plan = plan.fitted(header.architecture, prepared.padded_shape, prepared.preprocessing.tile)
        check = check_for(plan, header, prepared, len(wanted)) if self._auto else None
        notices = [*self.notices, *prepared.notices(header.architecture.divisor)]
        while True:
            kept = [Kept.empty(len(header.classes), prepared.shape) for _ in conditions]
            runner = Runner(self._model, prepared, plan, check)
            step = self._fill(runner, kept, conditions, wanted, progress, cancelled)
            runner.rest()
            if step is None:
                break
            plan, notice = step
            notices.append(notice)
            self._model.keep_only(plan)
        parts = iter(kept)
        return [each.answered(prepared, [next(parts) for _ in each.conditions], plan, notices) for each in asked]

    def _fill(
        self,
        runner: Runner,
        kept: Sequence[Kept],
        conditions: Sequence[tuple[float, ...]],
        wanted: Sequence[int],
        progress: Callable[[int, int], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> tuple[Plan, str] | None:
        """Compute what is wanted; gives the plan to begin anew with, and why, where this one cannot or need not be gone on with."""
        rounds = [wanted[start : start + runner.plan.batch] for start in range(0, len(wanted), runner.plan.batch)]
        done = 0
        following = zip(rounds, [*rounds[1:], []], strict=True)
        for (indices, ahead), (part, condition) in product(following, zip(kept, conditions, strict=True)):
            if cancelled is not None and cancelled():
                return None
            try:
                for index, q in runner.run(condition, indices, ahead):
                    part.put(index, q)
            except OutOfMemory as error:
                step = runner.plan.after_out_of_memory()
                if step is None:
                    raise InputError(NO_MEMORY) from error
                self._plan = self._plan.model_copy(update={"device": step[0].device, "batch": step[0].batch})
                return step
            if runner.change is not None:
                return runner.change
            done += len(indices)
            if progress is not None:
                progress(done, len(wanted) * len(conditions))
        return None

"""A reduced precision is used where it agrees with float32 on the images at hand, and nowhere else."""

import copy
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_film import sample_data
from napari_film.bundled import bundled_checkpoints
from napari_film.checkpoint import Checkpoint, load_checkpoint
from napari_film.inference import plan as plans
from napari_film.inference.engine import Engine
from napari_film.inference.plan import Plan
from napari_film.inference.predictor import Predictor
from napari_film.inference.request import Finished, Replanned, Request, SliceResult
from napari_film.inference.runner import Runner
from napari_film.inference.selfcheck import LARGE, NEAR, SelfCheck, disagreement
from napari_film.nifti import read
from napari_film.volume import Volume

HALF = ((128,),)
PRECISIONS = ("float32", "bfloat16", "float32")
A, B = (1.0, 0.0), (0.0, 1.0)


def picture(size: int, foreground: int) -> np.ndarray:
    """Probabilities (size, size) whose first ``foreground`` pixels are 0.9, the others 0.1."""
    flat = np.full(size * size, 0.1, np.float32)
    flat[:foreground] = 0.9
    return flat.reshape(size, size)


def test_masks_may_differ_where_float32_is_near_the_threshold_and_nowhere_else() -> None:
    exact = picture(20, 100)
    exact[10, 10] = 0.5 + NEAR / 2
    near = exact.copy()
    near[10, 10] = 0.4
    assert disagreement(exact, exact, 0.5) == ""
    assert disagreement(exact, near, 0.5) == ""
    far = exact.copy()
    far[0, 0] = 0.4
    assert disagreement(exact, far, 0.5) == "a voxel differs where the probability is 0.400 from the threshold"
    assert disagreement(exact, far, 0.95) == ""
    assert "0.390" in disagreement(far, exact, 0.79)


@pytest.mark.parametrize(("size", "agrees"), [(LARGE - 1, True), (LARGE, False)])
def test_large_masks_are_judged_by_dice_too(size: int, agrees: bool) -> None:
    exact = picture(100, size)
    exact[exact > 0.5] = 0.5 + NEAR / 2
    reduced = exact.copy()
    reduced.ravel()[:20] = 0.49  # Dice 0.998
    assert (disagreement(exact, reduced, 0.5) == "") is agrees


def test_values_that_are_not_numbers_never_agree() -> None:
    exact = picture(20, 100)
    reduced = exact.copy()
    reduced[19, 19] = np.nan
    check = SelfCheck(HALF, 40)
    check.compare(A, exact[None], reduced[None])
    assert check.failed == "there are values that are not numbers"


def test_slices_without_foreground_prove_nothing() -> None:
    check = SelfCheck(HALF, 40)
    empty, full = picture(20, 10)[None], picture(20, 100)[None]
    assert not any(check.wants(A, k, empty) for k in range(5))
    assert not check.passed(A)
    for k in (5, 6):
        assert check.wants(A, k, full)
        check.compare(A, full, full)
    assert check.passed(A)
    assert not check.wants(A, 7, full)
    assert not check.passed(B)
    assert check.wants(B, 5, empty)  # foreground stood there under another condition
    assert not check.wants(B, 8, empty)


def test_too_late_is_never() -> None:
    """Where a quarter of the slices was computed in float32 before foreground came, it goes on like that."""
    check = SelfCheck(HALF, 40)
    empty, full = picture(20, 0)[None], picture(20, 100)[None]
    assert not any(check.wants(A, k, empty) for k in range(10))
    assert not check.wants(A, 10, full)
    assert not check.passed(A)


def test_every_threshold_of_the_model_counts() -> None:
    check = SelfCheck([(128, 128), (128, 26)], 40)
    exact = np.stack([picture(20, 100)] * 2)
    reduced = exact.copy()
    reduced[1, 19, 19] = 0.13  # 26 / 256 is 0.102; float32 has 0.1
    check.compare(A, exact, reduced)
    assert check.failed == ""
    reduced[1, 19, 19] = 0.1
    exact[1, 19, 19] = 0.13
    check.compare(A, exact, reduced)
    assert check.failed


@pytest.fixture
def worthwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every machine have bfloat16, and every network be worth it."""
    monkeypatch.setattr(plans, "_REDUCED", 0)
    monkeypatch.setattr(plans, "_has_bfloat16", lambda device: True)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """The demo model for the abdomen."""
    return load_checkpoint(bundled_checkpoints()["abdomen"])


@pytest.fixture(scope="module")
def volume() -> Volume:
    """The phantom that comes with it."""
    return read(next(Path(sample_data.__file__).parent.glob("volumes/abdomen/**/*_ct.nii.gz")))


def broken(checkpoint: Checkpoint) -> Checkpoint:
    """The same function to float32, but the head takes the difference of two equal feature maps times 257: bfloat16 has 256 and 258."""
    network = copy.deepcopy(checkpoint.network)
    unit, width = network.decoder[-1], network.architecture.width
    for tensor in (unit.conv2.weight, unit.conv2.bias, *unit.norm2.state_dict().values()):
        if tensor.ndim:
            tensor[1] = tensor[0]
    first = 2 * sum(network.architecture.place_channels[:-2])  # rows of the last unit's γ; its β come behind them
    for tensor in (network.generator.weight3, network.generator.bias3):
        for row in (first, first + width):
            tensor[row + 1] = tensor[row]
    head = network.head.weight
    both = head[:, 0] + head[:, 1]
    head[:, 0] = 257 + both.abs() + 0.01
    head[:, 1] = -head[:, 0] + both
    return replace(checkpoint, network=network)


@pytest.mark.usefixtures("worthwhile")
def test_auto_takes_bfloat16_where_it_agrees(checkpoint: Checkpoint, volume: Volume) -> None:
    exact, auto = (
        Predictor(checkpoint, device="cpu", precision=precision).predict([volume], {"organ": "liver"}) for precision in ("float32", "auto")
    )
    assert exact.plan == Plan(device="cpu")
    assert auto.plan == Plan(device="cpu", precision="bfloat16")
    assert auto.notices == ("Computed in bfloat16: its masks agree with those of float32 on slices of this image that were compared.",)
    assert not np.array_equal(exact.kept.q, auto.kept.q)
    differs = exact.mask() != auto.mask()
    assert (np.abs(exact.probabilities()[0] - exact.thresholds[0] / 256)[differs] < 2 * NEAR).all()
    replayed = Predictor(checkpoint, plan=auto.plan).predict([volume], {"organ": "liver"})
    assert np.array_equal(replayed.kept.q, auto.kept.q)


@pytest.mark.usefixtures("worthwhile")
def test_auto_stays_with_float32_for_a_network_that_bfloat16_breaks(checkpoint: Checkpoint, volume: Volume) -> None:
    bad = broken(checkpoint)
    exact, rough, auto = (
        Predictor(bad, device="cpu", precision=precision).predict([volume], {"organ": "liver"})
        for precision in ("float32", "bfloat16", "auto")
    )
    assert (exact.mask() == 1).sum() > 10_000
    assert np.abs(exact.probabilities() - rough.probabilities()).max() > 0.3  # it does break
    assert auto.plan == exact.plan
    assert np.array_equal(auto.kept.q, exact.kept.q)


@pytest.mark.usefixtures("worthwhile")
def test_a_check_that_does_not_fit_into_memory_leaves_float32_running(
    checkpoint: Checkpoint, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Runner._run
    tried = 0

    def run(self: Runner, plan: Plan, condition: tuple[float, ...], part: tuple[int, ...]) -> np.ndarray:
        nonlocal tried
        if plan.precision == "bfloat16":
            tried += 1
            raise MemoryError("no room for a second network")
        return real(self, plan, condition, part)

    monkeypatch.setattr(Runner, "_run", run)
    prediction = Predictor(checkpoint, device="cpu").predict([volume], {"organ": "liver"})
    assert tried == 1
    assert prediction.plan == Plan(device="cpu")
    assert prediction.kept.complete


@pytest.mark.usefixtures("worthwhile")
def test_the_engine_begins_anew_when_bfloat16_is_settled_and_when_another_condition_breaks_it(
    checkpoint: Checkpoint, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Runner._run
    liver, spleen = (tuple(checkpoint.header.metadata_schema.encode({"organ": name}).tolist()) for name in ("liver", "spleen"))

    def run(self: Runner, plan: Plan, condition: tuple[float, ...], part: tuple[int, ...]) -> np.ndarray:
        result = real(self, plan, condition, part)
        return 1 - result if plan.precision == "bfloat16" and condition == spleen else result

    monkeypatch.setattr(Runner, "_run", run)
    came = threading.Event()
    engine = Engine(came.set)
    events: list[Any] = []
    engine.open(1, [volume], bundled_checkpoints()["abdomen"], checkpoint.header.preprocessing, device="cpu")
    order = range(10, volume.data.shape[2])
    engine.submit([Request(1, liver), Request(1, spleen)], order)
    while not any(isinstance(event, Finished) for event in events):
        assert came.wait(60)
        came.clear()
        events += engine.poll()
    assert engine.close()
    changes = [i for i, event in enumerate(events) if isinstance(event, Replanned)]
    assert [events[i].plan.precision for i in changes] == ["bfloat16", "float32"]
    assert "agree with those of float32" in events[changes[0]].notice
    assert "bfloat16 does not agree with float32 on this image" in events[changes[1]].notice
    parts = [events[: changes[0]], events[changes[0] : changes[1]], events[changes[1] :]]
    results = [[event for event in part if isinstance(event, SliceResult)] for part in parts]
    assert [{event.key.plan for event in part} for part in results] == [{Plan(device="cpu", precision=name).key} for name in PRECISIONS]
    assert [event.index for event in results[0]] == list(order)[: len(results[0])]
    final = {(event.request.condition, event.index): event.q for event in results[2]}
    assert set(final) == {(condition, index) for condition in (liver, spleen) for index in order}
    exact = Predictor(checkpoint, device="cpu", precision="float32")
    for condition, name in ((liver, "liver"), (spleen, "spleen")):
        expected = exact.predict([volume], {"organ": name}).kept.q
        assert all(np.array_equal(final[condition, index], expected[:, index]) for index in order)


@pytest.mark.parametrize("device", ["cpu"])
def test_small_networks_and_few_slices_stay_in_float32(device: str, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "_has_bfloat16", lambda device: True)
    plan = Plan(device=device)
    assert plan.reduced(checkpoint.header.architecture, (64, 64), 300) is None
    large = checkpoint.header.architecture.model_copy(update={"width": 64})
    assert plan.reduced(large, (512, 512), 3) is None
    assert plan.reduced(large, (512, 512), 300) == Plan(device=device, precision="bfloat16")


def test_bfloat16_is_asked_of_the_processor() -> None:
    information = Path("/proc/cpuinfo")
    if not information.exists():
        pytest.skip("this system does not list what its processor can do")
    text = information.read_text()
    assert plans._has_bfloat16("cpu") is any(word in text for word in ("avx512_bf16", "amx_bf16"))

"""What needs an NVIDIA GPU: `pytest -m gpu`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from napari_film.architecture import Architecture
from napari_film.bundled import bundled_checkpoints
from napari_film.checkpoint import load_checkpoint
from napari_film.inference.as_trained import AsTrainedUNet
from napari_film.inference.plan import Plan
from napari_film.inference.predictor import Predictor
from napari_film.inference.recorded import Recorded, RecordedUNet
from napari_film.inference.specialised import Window
from napari_film.models.position import Position

pytestmark = pytest.mark.gpu

CONDITIONS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.2, 0.5, 0.3))


@pytest.mark.parametrize("places", [("film",) * 8, ("none",) * 4 + ("film",) * 4, ("none",) * 8])
@pytest.mark.parametrize("size", [(48, 64), (41, 57)])
def test_run_step_by_step_recorded_and_replayed_alike(make_network: Callable, places: tuple, size: tuple) -> None:
    architecture = Architecture(depth=3, width=16, channels=2, classes=2, condition=3, places=places)
    network = make_network(architecture).requires_grad_(False)
    ours = RecordedUNet(network, device="cuda")
    for _ in range(4):
        images = torch.randn(2, 2, *size)
        front = ours.front(images)
        for condition in CONDITIONS:
            expected = network(images, torch.tensor([condition]).expand(2, -1))
            assert torch.allclose(ours.probabilities(front, condition).cpu(), expected, rtol=0, atol=1e-4)
    assert ours._rests is not None
    assert ours._rests._graph is not None


def test_a_result_is_not_overwritten_and_an_old_front_is_refused(make_network: Callable) -> None:
    architecture = Architecture(depth=2, width=8, channels=1, classes=1, condition=3, places=("film",) * 6)
    ours = RecordedUNet(make_network(architecture).requires_grad_(False), device="cuda")
    images = torch.randn(4, 1, 1, 32, 32)
    fronts, results = [], []
    for image in images:
        fronts.append(ours.front(image))
        results.append(ours.probabilities(fronts[-1], CONDITIONS[0]))
    kept = [result.clone() for result in results]
    ours.probabilities(ours.front(images[0]), CONDITIONS[1])
    assert all(torch.equal(result, before) for result, before in zip(results, kept, strict=True))
    with pytest.raises(ValueError, match="this front is gone"):
        ours.probabilities(fronts[-1], CONDITIONS[0])


def test_tiles_are_never_replayed_in_another_place(make_network: Callable) -> None:
    architecture = Architecture(depth=2, width=8, channels=1, classes=1, condition=3, places=("film",) * 6)
    ours = RecordedUNet(make_network(architecture).requires_grad_(False), device="cuda")
    image = torch.randn(1, 1, 128, 128)
    whole = ours.probabilities(ours.front(image), CONDITIONS[0])
    for _ in range(3):
        for top in (0, 32, 64):
            part = ours.probabilities(ours.front(image[:, :, top : top + 64], Window(top, 0, 128, 128)), CONDITIONS[0])
            rows = slice(0 if top == 0 else 24, 64 if top == 64 else 40)
            assert torch.allclose(part[:, :, rows], whole[:, :, top : top + 64][:, :, rows], rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["inside", "guide", "film"])
def test_any_other_network_says_what_the_trained_one_says(make_network: Callable, kind: str) -> None:
    architecture = Architecture(
        depth=2,
        width=8,
        channels=2,
        classes=2,
        condition=3,
        places=("none", "none", kind, kind, "none", kind),
        coordinates=True,
        skips=False,
    )
    network = make_network(architecture).requires_grad_(False)
    ours = AsTrainedUNet(network, device="cuda")
    images, position = torch.randn(2, 2, 40, 56), Position(0, 0, 37, 50)
    front = ours.front(images, position=position)
    for condition in CONDITIONS:
        expected = network(images, torch.tensor([condition]).expand(2, -1), position)
        assert torch.allclose(ours.probabilities(front, condition).cpu(), expected, rtol=0, atol=1e-4)


def test_what_cannot_be_recorded_is_run(caplog: pytest.LogCaptureFixture) -> None:
    count = torch.zeros(1, device="cuda")

    def work() -> torch.Tensor:
        count.add_(1)
        return count * float(count.cpu())  # which waits for the GPU: not possible in a recording

    recorded = Recorded(work)
    for _ in range(4):
        before = float(count)
        assert float(recorded()) == (before + 1) ** 2
        torch.cuda.synchronize()
    assert "cannot be recorded" in caplog.text


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_says_what_the_cpu_says(make_volume: Callable, precision: Any) -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()["abdomen"])
    volume = make_volume((96, 112, 20))
    metadata = [{"organ": organ} for organ in ("liver", "spleen", "kidneys")]
    cpu = Predictor(checkpoint, device="cpu", precision="float32").predict_each([volume], metadata)
    gpu = Predictor(checkpoint, device="cuda", precision=precision).predict_each([volume], metadata)
    for one, other in zip(cpu, gpu, strict=True):
        assert other.plan.device == "cuda"
        difference = np.abs(one.probabilities() - other.probabilities())
        assert difference.max() <= (2 / 256 if precision == "float32" else 0.2)
        again = Predictor(checkpoint, plan=other.plan).predict([volume], other.metadata.values)
        assert np.array_equal(again.kept.q, other.kept.q)


def test_a_gpu_without_room_takes_fewer_slices(make_volume: Callable) -> None:
    checkpoint = load_checkpoint(bundled_checkpoints()["abdomen"])
    volume = make_volume((512, 512, 40))
    torch.cuda.set_per_process_memory_fraction(1.5e9 / torch.cuda.get_device_properties(0).total_memory)
    try:
        prediction = Predictor(checkpoint, plan=Plan(device="cuda", batch=256)).predict([volume], {"organ": "liver"})
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    assert prediction.plan.batch < 256
    assert "ran out of memory" in prediction.notices[0]
    assert prediction.kept.complete

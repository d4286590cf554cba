"""A plan says how a network is run, is chosen for this machine, and gives way when memory runs out."""

import pytest
import torch

from napari_film.errors import InputError
from napari_film.inference.plan import ENGINE, Plan, available_devices, check_replay, make_plan

CUDA = torch.cuda.is_available()
MPS = torch.backends.mps.is_available()


def test_a_plan_survives_json_and_every_part_is_in_its_key() -> None:
    plan = Plan(device="cpu", precision="bfloat16", batch=3)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    others = [{"device": "cuda"}, {"precision": "float32"}, {"batch": 4}, {"engine": "another"}]
    assert len({plan.key, *(plan.model_copy(update=other).key for other in others)}) == 5
    with pytest.raises(ValueError, match="batch"):
        Plan(device="cpu", batch=0)
    with pytest.raises(ValueError, match="Extra inputs"):
        Plan(device="cpu", speed="high")


def test_running_out_of_memory_halves_the_batch_then_goes_to_the_cpu_then_ends() -> None:
    plan: Plan | None = Plan(device="cuda", precision="bfloat16", batch=6)
    steps = []
    while (step := plan.after_out_of_memory()) is not None:
        plan, notice = step
        steps.append((plan.device, plan.batch))
        assert plan.precision == "bfloat16"
        assert "ran out of memory" in notice
    assert steps == [("cuda", 3), ("cuda", 1), ("cpu", 1)]


def test_what_is_chosen_is_here() -> None:
    plan, notices = make_plan()
    assert plan.device == available_devices()[0]
    assert plan.precision == "float32"
    assert plan.engine == ENGINE
    assert notices == (() if plan.device != "cpu" else ("No GPU was found; running on the CPU.",))
    assert make_plan("cpu", "bfloat16") == (Plan(device="cpu", precision="bfloat16"), ())
    assert available_devices() == tuple([*(["cuda"] if CUDA else []), *(["mps"] if MPS else []), "cpu"])


@pytest.mark.parametrize("device", [*([] if CUDA else ["cuda"]), *([] if MPS else ["mps"])])
def test_what_is_not_here_is_told(device: str) -> None:
    with pytest.raises(InputError, match=rf"^The device {device} is not available here; choose one of: auto, .*cpu\.$"):
        make_plan(device)


def test_a_plan_is_replayed_where_it_was_made_for() -> None:
    check_replay(Plan(device="cpu"), ["cpu"])
    check_replay(Plan(device="cuda"), ["cuda", "cpu"])
    with pytest.raises(InputError, match="made for the device cuda, which is not available here; leave the plan out"):
        check_replay(Plan(device="cuda"), ["cpu"])
    with pytest.raises(InputError, match="made for the engine 'compiled-9', and this version has"):
        check_replay(Plan(device="cpu", engine="compiled-9"), ["cpu"])

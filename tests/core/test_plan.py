"""A plan says how a network is run, is chosen for this machine, and gives way when memory runs out."""

import pytest
import torch

from napari_film.architecture import Architecture
from napari_film.errors import InputError
from napari_film.inference.plan import ENGINE, Plan, available_devices, check_replay, make_plan, multiplications
from napari_film.models.unet import ConditionedUNet

CUDA = torch.cuda.is_available()
MPS = torch.backends.mps.is_available()


def test_a_plan_survives_json_and_every_part_is_in_its_key() -> None:
    plan = Plan(device="cpu", precision="bfloat16", batch=3)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    others = [{"device": "cuda"}, {"precision": "float32"}, {"batch": 4}, {"tile": 512}, {"engine": "another"}]
    assert len({plan.key, *(plan.model_copy(update=other).key for other in others)}) == 6
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
    check_replay(Plan(device="cpu", tile=16), ["cpu"], 16)
    check_replay(Plan(device="cuda"), ["cuda", "cpu"], 16)
    with pytest.raises(InputError, match="made for the device cuda, which is not available here; leave the plan out"):
        check_replay(Plan(device="cuda"), ["cpu"], 16)
    with pytest.raises(InputError, match="made for the engine 'compiled-9', and this version has"):
        check_replay(Plan(device="cpu", engine="compiled-9"), ["cpu"], 16)
    with pytest.raises(InputError, match=r"^The plan's tile is 15, and this model needs 16 pixels or more; give a longer tile, or none\.$"):
        check_replay(Plan(device="cpu", tile=15), ["cpu"], 16)


def network_of(width: int, depth: int = 4) -> Architecture:
    return Architecture(depth=depth, width=width, channels=2, classes=2, condition=3, places=("film",) * (2 * depth + 2), background=True)


@pytest.mark.parametrize(("width", "sides", "batch"), [(12, (96, 112), 4), (16, (192, 96), 1), (4, (64, 64), 8), (64, (512, 512), 1)])
def test_small_slices_go_together_on_a_cpu_and_large_ones_alone(width: int, sides: tuple, batch: int) -> None:
    assert Plan(device="cpu", batch=8).fitted(network_of(width), sides).batch == batch
    assert Plan(device="cpu", batch=2).fitted(network_of(width), sides).batch == min(batch, 2)


def test_slices_too_large_for_one_piece_get_tiles_that_begin_at_multiples_of_the_divisor() -> None:
    plan = Plan(device="cpu", batch=8)
    assert plan.fitted(network_of(64), (1024, 1024)).tile is None
    large = plan.fitted(network_of(64), (8000, 8000))
    assert large.tile == 1024
    assert large.batch == 1
    assert large.after_out_of_memory() is None
    assert plan.fitted(network_of(5), (8000, 8000)).tile % 16 == 0
    assert plan.fitted(network_of(64), (96, 112), tile=64).tile == 64  # as the model asks for
    assert plan.fitted(network_of(64), (48, 64), tile=64).tile is None
    step = Plan(device="cuda", tile=1024).after_out_of_memory()
    assert step is not None
    assert step[0] == Plan(device="cpu", tile=1024)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"skips": False, "convolutions": 1, "bottom": "double", "behind_bottom": True, "head": 1, "normalisation": "none"},
        {"coordinates": True, "condition_map": True, "behind_bottom": True},
    ],
)
@pytest.mark.parametrize("sides", [(64, 96), (52, 35)])
def test_multiplications_are_those_of_the_convolutions(sides: tuple, options: dict) -> None:
    architecture = network_of(3).model_copy(update=options)
    network = ConditionedUNet(architecture).eval()
    counted = 0

    def count(module: torch.nn.Conv2d, _: object, output: torch.Tensor) -> None:
        nonlocal counted
        counted += module.weight.numel() * output.shape[2] * output.shape[3]

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros(1, 2, *sides), torch.zeros(1, 3))
    assert multiplications(architecture, sides) == counted


@pytest.mark.parametrize(
    "plan", [Plan(device="cpu"), Plan(device="cuda", precision="bfloat16", batch=32, tile=512), Plan(device="mps", engine="eager-0")]
)
def test_a_plan_in_words_is_read_back(plan: Plan) -> None:
    assert Plan.parse(plan.text) == plan


def test_words_of_a_plan_in_any_order_and_what_is_left_out_is_the_default() -> None:
    assert Plan(device="cpu").text == f"device=cpu,precision=float32,batch=1,tile=none,engine={ENGINE}"
    assert Plan.parse(" batch = 4, device=cpu ") == Plan(device="cpu", batch=4)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "^'' is no part of a plan; write them as device=cpu,precision=float32,batch=1,"),
        ("device=cpu,", "^'' is no part of a plan"),
        ("device=cpu,fast", "^'fast' is no part of a plan.*or name the JSON file beside a mask"),
        ("device=cpu,speed=high", "^'speed=high' is no part of a plan"),
        ("precision=float32", "^The plan names no device; add device=, one of: cuda, mps, cpu"),
        ("device=cpu,device=cuda", "^The plan has two values for device; give one"),
        ("device=abacus", "^The plan's device is 'abacus'; give one of: cuda, mps, cpu"),
        ("device=auto", "^The plan's device is 'auto'; give one of"),
        ("device=cpu,precision=half", "^The plan's precision is 'half'; give one of: float32, bfloat16"),
        ("device=cpu,batch=0", "^The plan's batch is '0'; give a whole number from 1"),
        ("device=cpu,batch=none", "^The plan's batch is 'none'; give a whole number from 1"),
        ("device=cpu,tile=1.5", "^The plan's tile is '1.5'; give a whole number from 1, or none"),
    ],
)
def test_words_that_are_no_plan_are_told(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Plan.parse(text)

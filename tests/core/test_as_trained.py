"""Networks that are run as they were trained: any layout and conditioning, tiles and slices by themselves included."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from napari_film.architecture import Architecture
from napari_film.checkpoint import load_checkpoint
from napari_film.fields import CategoricalField, ContinuousField
from napari_film.inference.as_trained import AsTrainedUNet
from napari_film.inference.loaded import LoadedModel
from napari_film.inference.plan import Plan
from napari_film.inference.runner import Runner
from napari_film.inference.specialised import SpecialisedUNet, Window
from napari_film.inference.tiling import run_tiled
from napari_film.models.position import Position
from napari_film.models.unet import ConditionedUNet
from napari_film.preprocessing import prepare

CONDITIONS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.2, 0.5, 0.3))
POSITION = ContinuousField(name="slice_position", minimum=0, maximum=1, per_slice="position")
PHASE = CategoricalField(name="phase", values=("ED", "ES"))
Make = Callable[..., ConditionedUNet]


def places_of(depth: int, **others: str) -> tuple[str, ...]:
    """Give no conditioning but ``others``: encoder, bottom, decoder, head."""
    return (
        *(others.get("encoder", "none"),) * depth,
        others.get("bottom", "none"),
        *(others.get("decoder", "none"),) * depth,
        others.get("head", "none"),
    )


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    depth = draw(st.integers(1, 3))
    words = st.sampled_from(("none", "film", "inside", "guide"))
    return Architecture(
        depth=depth,
        width=draw(st.sampled_from((2, 4))),
        channels=draw(st.integers(1, 3)),
        classes=draw(st.integers(1, 2)),
        condition=3,
        places=draw(
            st.one_of(st.tuples(*[words] * (2 * depth + 2)), st.sampled_from([places_of(depth, bottom="inside"), places_of(depth)]))
        ),
        background=draw(st.booleans()),
        parametrisation=draw(st.sampled_from(("relative", "public"))),
        window=draw(st.sampled_from(("gaussian", "box"))),
        coordinates=draw(st.booleans()),
        condition_map=draw(st.booleans()),
        skips=draw(st.booleans()),
        normalisation=draw(st.sampled_from(("batch", "none"))),
        convolutions=draw(st.sampled_from((1, 2))),
        bottom=draw(st.sampled_from(("same", "double"))),
        behind_bottom=draw(st.booleans()),
        head=draw(st.sampled_from((1, 3))),
    )


def placed(network: ConditionedUNet, seed: int = 0) -> ConditionedUNet:
    """Give a network whose windows and gates stand anywhere, in any size, and whose logits are some units."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith(("inside", "guides")):
                parameter.normal_(0, 0.7, generator=generator)
        if network.head.kernel_size == (1, 1):
            network.head.weight.normal_(0, 1, generator=generator)
            if network.head.bias is not None:
                network.head.bias.normal_(0, 0.5, generator=generator)
        else:
            network.head.weight /= 10
        for module in network.modules():  # without BatchNorm maps would die out
            if isinstance(module, nn.Conv2d) and network.architecture.normalisation == "none":
                module.weight *= 1.5
        made = network.architecture
        sides = 4 * made.divisor
        images = torch.randn(1, made.channels, sides, sides, generator=generator)
        conditions = torch.eye(made.condition)[:1]
        spread = network.logits(images, network.modulations(conditions), conditions=conditions).std()
        if spread > 3:  # of a hundred, float32 itself is 1e-5 off
            network.head.weight *= 3 / spread
            network.head.bias *= 3 / spread
    return network.requires_grad_(False)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(architectures(), st.integers(0, 2**16), st.integers(1, 2), st.booleans(), st.data())
def test_outputs_equal_the_trained_network_in_every_architecture(
    make_network: Make, made: Architecture, seed: int, batch: int, padded: bool, data: st.DataObject
) -> None:
    least = made.divisor
    height, width = data.draw(st.tuples(st.integers(least, 4 * least), st.integers(least, 4 * least)), "size")
    network = placed(make_network(made, seed=seed), seed)
    images = torch.randn(batch, made.channels, height, width, generator=torch.Generator().manual_seed(seed))
    position = Position(0, 0, height - 1, width - 2) if padded and min(height, width) > 2 else None
    ours = AsTrainedUNet(network)
    front = ours.front(images, position=position)
    for condition in CONDITIONS:
        conditions = torch.tensor([condition]).expand(batch, -1)
        logits = network.logits(images, network.modulations(conditions), position, conditions)
        large = max(1.0, float(logits.abs().max()) / 10)  # of a hundred, float32 itself is 1e-5 off
        assert torch.allclose(ours.probabilities(front, condition), torch.sigmoid(logits), rtol=0, atol=1e-5 * large)


def test_the_classic_network_is_rewritten_and_any_other_is_not(make_checkpoint: Callable, tumor: CategoricalField) -> None:
    plan = Plan(device="cpu")
    for options, kind in (
        ({}, SpecialisedUNet),
        ({"places": places_of(2, bottom="inside")}, AsTrainedUNet),
        ({"coordinates": True}, AsTrainedUNet),
        ({"skips": False}, AsTrainedUNet),
    ):
        assert type(LoadedModel(load_checkpoint(make_checkpoint(tumor, **options))).network(plan)) is kind


@pytest.mark.parametrize(
    "options", [{"places": places_of(2, bottom="inside", head="film")}, {"places": places_of(2), "condition_map": True}]
)
def test_bfloat16_is_near_and_windows_are_float32(make_network: Make, options: dict) -> None:
    made = Architecture(depth=2, width=8, channels=2, classes=1, condition=3, coordinates=True, **options)
    network = placed(make_network(made))
    images = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(1))
    ours = AsTrainedUNet(network, precision="bfloat16")
    result = ours.probabilities(ours.front(images), CONDITIONS[0])
    assert result.dtype == torch.float32
    error = (result - network(images, torch.tensor(CONDITIONS[:1]))).abs()
    assert 0 < error.mean() < 0.02


def test_a_front_is_refused_once_another_was_computed(make_network: Make) -> None:
    made = Architecture(depth=1, width=2, channels=1, classes=1, condition=3, places=places_of(1, bottom="inside"))
    ours = AsTrainedUNet(placed(make_network(made)))
    old = ours.front(torch.zeros(1, 1, 16, 16))
    new = ours.front(torch.ones(1, 1, 16, 16))
    with pytest.raises(ValueError, match="this front is gone"):
        ours.probabilities(old, CONDITIONS[0])
    ours.rest()
    with pytest.raises(ValueError, match="this front is gone"):
        ours.probabilities(new, CONDITIONS[0])


@pytest.mark.parametrize(("places", "once", "each"), [({"bottom": "inside"}, 2 + 1, 1 + 2 + 1), ({"decoder": "inside"}, 2 + 2 + 1, 1 + 1)])
def test_the_front_holds_all_that_no_condition_changes(
    places: dict, once: int, each: int, monkeypatch: pytest.MonkeyPatch, make_network: Make
) -> None:
    count = 0
    plain = nn.Conv2d.forward

    def counted(self: nn.Conv2d, features: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count += 1
        return plain(self, features)

    monkeypatch.setattr(nn.Conv2d, "forward", counted)
    made = Architecture(
        depth=2, width=2, channels=1, classes=1, condition=3, places=places_of(2, **places), convolutions=1, behind_bottom=True, head=1
    )
    ours = AsTrainedUNet(placed(make_network(made)))
    count = 0
    front = ours.front(torch.randn(1, 1, 16, 16))
    assert count == once
    for condition in CONDITIONS:
        count = 0
        ours.probabilities(front, condition)
        assert count == each


KINDS: list[dict[str, Any]] = [
    {"places": places_of(2, encoder="inside", bottom="inside", decoder="inside", head="inside")},
    {"places": places_of(2, bottom="inside"), "parametrisation": "public", "skips": False, "behind_bottom": True, "normalisation": "none"},
    {"places": places_of(2, decoder="guide", encoder="film")},
    {"places": places_of(2), "coordinates": True, "condition_map": True},
]


@pytest.mark.parametrize("options", KINDS, ids=["inside", "public", "guide", "painted"])
def test_tiles_give_what_the_whole_gives(options: dict, make_network: Make) -> None:
    """Windows stand where the whole image, which is smaller than its padding, has them."""
    made = Architecture(depth=2, width=4, channels=1, classes=1, condition=3, convolutions=1, **options)
    network = placed(make_network(made), 3)
    sides, height, width = (149, 170), 152, 172
    image = torch.randn(1, 1, height, width, generator=torch.Generator().manual_seed(2))
    ours = AsTrainedUNet(network)
    expected = network(image, torch.tensor(CONDITIONS[:1]), Position(0, 0, *sides))[0].numpy()

    def run(piece: np.ndarray, top: int, left: int, *, place: bool = True) -> np.ndarray:
        position = Position(top, left, *sides) if place else None
        front = ours.front(torch.from_numpy(piece[None]), Window(top, left, height, width), position)
        return ours.probabilities(front, CONDITIONS[0])[0].numpy()

    tiled = run_tiled(image[0].numpy(), run, tile=128, overlap=96, divisor=4)
    np.testing.assert_allclose(tiled, expected, rtol=0, atol=1e-4)
    lost = run_tiled(image[0].numpy(), lambda *at: run(*at, place=False), tile=128, overlap=96, divisor=4)
    assert np.abs(lost - expected).max() > 1e-3


@pytest.fixture
def opened(make_checkpoint: Callable, make_affine: Callable, make_volume: Callable) -> Callable[..., Runner]:
    """Give a maker of runners on a stack of 5 slices of 21 x 30 pixels, which are padded to 24 x 32."""

    def make(*fields: Any, plan: Plan, **options: Any) -> Runner:
        path = make_checkpoint(
            *fields, preprocessing={"slice_axis": "acquired", "divisor": 8}, **{"places": places_of(2, bottom="inside"), **options}
        )
        checkpoint = load_checkpoint(path)
        placed(checkpoint.network, 4)
        volume = make_volume((30, 21, 5), make_affine(spacing=(1.5, 1.5, 8), angles=(31, 12, -40)))
        return Runner(LoadedModel(checkpoint), prepare([volume], checkpoint.header.preprocessing), plan)

    return make


def expected_of(runner: Runner, conditions: Sequence[Sequence[float]]) -> np.ndarray:
    """Give q of each slice under its own condition, by the trained network itself: (N, classes, H, W)."""
    prepared, network = runner._prepared, runner._model.checkpoint.network
    found = []
    for k, condition in enumerate(conditions):
        height, width = prepared.network_shape[1:]
        image = torch.from_numpy(prepared.image(k)[None])
        probabilities = network(image, torch.tensor(np.array([condition], dtype=np.float32)), Position(0, 0, height, width))
        found.append(np.minimum(np.floor(256 * probabilities[0, :, :height, :width].numpy()), 255))
    return np.array(found)


@pytest.mark.parametrize("options", [{}, {"places": places_of(2, bottom="film", decoder="film")}], ids=["inside", "film"])
@pytest.mark.parametrize("batch", [1, 4])
def test_each_slice_is_run_under_its_own_condition(batch: int, options: dict, opened: Callable) -> None:
    runner = opened(PHASE, POSITION, plan=Plan(device="cpu", batch=batch), **options)
    schema = runner._schema
    numbers = (0.3, 0.9, 0.0, 1.0, 0.55)
    for told, positions in ((None, (0, 0.25, 0.5, 0.75, 1)), (",".join(map(str, numbers)), numbers), (0.4, (0.4,) * 5)):
        metadata = {"phase": "ES", **({} if told is None else {"slice_position": told})}
        condition = tuple(map(float, schema.encode(metadata)))
        wanted = expected_of(runner, [schema.encode({"phase": "ES", "slice_position": position}) for position in positions])
        for indices in ((2, 1, 3, 0, 4), (4,)):
            for index, q in runner.run(condition, indices):
                difference = np.abs(q.astype(int) - wanted[index])
                assert difference.max() <= 1  # of 256: where a probability lies at a step
                assert (difference > 0).mean() < 0.01
        assert np.abs(wanted[0] - wanted[4]).max() > 3 or told == 0.4


def test_numbers_for_another_count_of_slices_are_refused(opened: Callable) -> None:
    runner = opened(PHASE, POSITION, plan=Plan(device="cpu"))
    condition = tuple(map(float, runner._schema.encode({"phase": "ED", "slice_position": "0,0.5,1"})))
    with pytest.raises(ValueError, match="slice_position came with 3 numbers, and the image has 5 slices; give one number per slice"):
        next(runner.run(condition, [0]))

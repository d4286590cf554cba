"""The rewritten network gives what the trained one gives, in every architecture that can be trained."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import napari_film.inference.convolution as convolution
import napari_film.inference.specialised as specialised
from napari_film.architecture import Architecture
from napari_film.inference.convolution import Convolution, has_fused
from napari_film.inference.specialised import SpecialisedUNet, Window
from napari_film.inference.unit import spans
from napari_film.inference.upsampling import doubled, fractions, upsampled
from napari_film.models.unet import ConditionedUNet

CPU = torch.device("cpu")
CONDITIONS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.2, 0.5, 0.3))


def full(depth: int, **options: object) -> Architecture:
    """FiLM everywhere, unless ``places`` says otherwise."""
    values = {"width": 4, "channels": 2, "classes": 1, "condition": 3, "places": ("film",) * (2 * depth + 2), **options}
    return Architecture(depth=depth, **values)


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    depth = draw(st.integers(1, 4))
    return full(
        depth,
        width=draw(st.sampled_from((1, 2, 3, 5, 8))),
        channels=draw(st.integers(1, 3)),
        classes=draw(st.integers(1, 3)),
        background=draw(st.booleans()),
        hidden_biases=draw(st.sampled_from(("shared", "per place"))),
        places=draw(
            st.one_of(
                st.just(("film",) * (2 * depth + 2)),
                st.just(("none",) * (2 * depth + 2)),
                st.just(("none",) * (depth + 1) + ("film",) * (depth + 1)),  # the decoder and the head
                st.tuples(*[st.sampled_from(("none", "film"))] * (2 * depth + 2)),
            )
        ),
    )


Make = Callable[..., ConditionedUNet]


def worn(network: ConditionedUNet, seed: int) -> ConditionedUNet:
    """Give a network whose BatchNorm has gone all ways: scales of both signs, tiny and zero, and large shifts."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.weight.normal_()
                module.weight[torch.rand_like(module.weight) < 0.1] = 0
                module.weight[torch.rand_like(module.weight) < 0.1] = 1e-9
                module.bias.normal_()
    with torch.no_grad():
        network.head.weight /= 10  # logits of some units, as trained ones have; of a hundred, float32 itself is 1e-5 off
    return network.requires_grad_(False)


@pytest.fixture
def small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of few rows, so that small images have many."""
    monkeypatch.setattr(specialised, "_STRIP", 1 << 10)
    monkeypatch.setattr(specialised, "_LEAST_ROWS", 2)


@pytest.mark.usefixtures("small_strips")
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(architectures(), st.integers(0, 2**16), st.integers(1, 3), st.data())
def test_outputs_equal_the_trained_network_in_every_architecture(
    make_network: Make, made: Architecture, seed: int, batch: int, data: st.DataObject
) -> None:
    least = made.divisor
    height, width = data.draw(st.tuples(st.integers(least, 5 * least), st.integers(least, 5 * least)), "size")
    if data.draw(st.booleans(), "even"):  # as images are after padding
        height, width = height // least * least, width // least * least
    network = worn(make_network(made, seed=seed), seed)
    images = torch.randn(batch, made.channels, height, width)
    ours = SpecialisedUNet(network)
    front = ours.front(images)
    for condition in CONDITIONS:
        expected = network(images, torch.tensor([condition]).expand(batch, -1))
        assert torch.allclose(ours.probabilities(front, condition), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("fused", [True, False])
def test_with_and_without_the_fused_operators(fused: bool, monkeypatch: pytest.MonkeyPatch, make_network: Make) -> None:
    if fused and not has_fused(torch.float32):
        pytest.skip("this build of torch has no fused convolutions")
    monkeypatch.setattr(convolution, "has_fused", lambda dtype: fused)
    network = worn(make_network(full(3, width=8)), 1)
    images = torch.randn(1, 2, 40, 56)
    ours = SpecialisedUNet(network)
    expected = network(images, torch.tensor(CONDITIONS[:1]))
    assert torch.allclose(ours.probabilities(ours.front(images), CONDITIONS[0]), expected, rtol=0, atol=1e-5)


def test_bfloat16_is_near_and_float32_at_the_ends(make_network: Make) -> None:
    network = make_network(full(2, width=8)).requires_grad_(False)
    images = torch.randn(1, 2, 32, 32)
    ours = SpecialisedUNet(network, precision="bfloat16")
    result = ours.probabilities(ours.front(images), CONDITIONS[0])
    assert result.dtype == torch.float32
    assert not torch.equal(result, result.bfloat16().float())
    error = (result - network(images, torch.tensor(CONDITIONS[:1]))).abs()
    assert 0 < error.mean() < 0.02


def test_images_of_another_shape_and_conditions_in_any_order(make_network: Make) -> None:
    network = make_network(full(2)).requires_grad_(False)
    ours = SpecialisedUNet(network)
    for shape in ((1, 2, 16, 24), (2, 2, 16, 24), (1, 2, 32, 16), (1, 2, 16, 24)):
        images = torch.randn(shape)
        front = ours.front(images)
        for condition in (*CONDITIONS, *reversed(CONDITIONS)):
            expected = network(images, torch.tensor([condition]).expand(shape[0], -1))
            assert torch.allclose(ours.probabilities(front, condition), expected, rtol=0, atol=1e-5)


def test_a_result_is_not_overwritten_by_the_next(make_network: Make) -> None:
    ours = SpecialisedUNet(make_network(full(2)).requires_grad_(False))
    first = ours.probabilities(ours.front(torch.randn(1, 2, 16, 16)), CONDITIONS[0])
    kept = first.clone()
    ours.probabilities(ours.front(torch.randn(1, 2, 16, 16)), CONDITIONS[1])
    assert torch.equal(first, kept)


def test_a_front_is_refused_once_another_was_computed(make_network: Make) -> None:
    ours = SpecialisedUNet(make_network(full(2)).requires_grad_(False))
    old = ours.front(torch.zeros(1, 2, 16, 16))
    ours.front(torch.ones(1, 2, 16, 16))
    with pytest.raises(ValueError, match="this front is gone"):
        ours.probabilities(old, CONDITIONS[0])
    new = ours.front(torch.ones(1, 2, 16, 16))
    ours.rest()
    with pytest.raises(ValueError, match="this front is gone"):
        ours.probabilities(new, CONDITIONS[0])


def test_the_front_holds_all_that_no_condition_changes(monkeypatch: pytest.MonkeyPatch, make_network: Make) -> None:
    """With FiLM in the decoder alone, a further condition costs no convolution of the encoder, and none of a skip."""
    count = 0
    plain = Convolution.__call__

    def counted(self: Convolution, *arguments: object, **options: object) -> torch.Tensor:
        nonlocal count
        count += 1
        return plain(self, *arguments, **options)

    monkeypatch.setattr(Convolution, "__call__", counted)
    depth = 2
    for places, front, each in (
        (("film",) * 6, 2, 2 * 2 + 2 * 2 + 1),  # both of the first unit; the other encoder and bottom, skip and second of the decoder, head
        (("none",) * 3 + ("film",) * 3, 3 * 2 + 2 + 1, 1 + 1),  # first decoder unit whole, share of the other; second, head
        (("none",) * 5 + ("film",), 3 * 2 + 2 * 2, 1),
        (("none",) * 6, 3 * 2 + 2 * 2, 1),
    ):
        ours = SpecialisedUNet(make_network(full(depth, places=places)).requires_grad_(False))
        count = 0
        made = ours.front(torch.randn(1, 2, 16, 16))
        assert count == front
        for condition in CONDITIONS:
            count = 0
            ours.probabilities(made, condition)
            assert count == each


@given(st.integers(1, 90), st.integers(1, 40))
def test_strips_cover_every_row_once_and_begin_at_even_rows(height: int, strip: int) -> None:
    made = list(spans(height, strip))
    assert [row for span in made for row in range(height)[span.rows]] == list(range(height))
    for span in made:
        assert span.rows.start % 2 == 0
        assert span.rows.stop - span.rows.start >= min(2, height)
        first = torch.zeros(1, 1, span.source.stop - span.source.start + 2 * span.padding[0] - 2, 1)
        assert span.used(first).shape[2] == span.rows.stop - span.rows.start + 2


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_doubling_equals_bilinear_upsampling(height: int, width: int, data: st.DataObject) -> None:
    features = torch.randn(2, 3, height, width).contiguous(memory_format=torch.channels_last)
    start = data.draw(st.integers(0, 2 * height - 1))
    stop = data.draw(st.integers(start + 1, 2 * height))
    expected = upsampled(features, (2 * height, 2 * width))[:, :, start:stop]
    made = doubled(features, slice(start, stop), *(fractions(length, 0, length, torch.float32) for length in (height, width)))
    assert torch.allclose(made, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("fused", [True, False])
def test_convolution_and_sum(fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "has_fused", lambda dtype: fused and has_fused(dtype))
    weight, bias = torch.randn(5, 3, 3, 3), torch.randn(5)
    features = torch.randn(2, 3, 7, 9).contiguous(memory_format=torch.channels_last)
    ours = Convolution(weight, bias, device=CPU, dtype=torch.float32)
    expected = functional.conv2d(features, weight, bias, padding=(2, 1))
    assert torch.allclose(ours(features, (2, 1)), expected, atol=1e-5)
    assert torch.allclose(ours(features, (2, 1), relu=True), expected.relu(), atol=1e-5)
    out = torch.randn_like(expected).contiguous(memory_format=torch.channels_last)
    before = out.clone()
    assert torch.allclose(ours.add_to(out, features, (2, 1)), (before + expected).relu(), atol=1e-5)
    assert torch.allclose(out, (before + expected).relu(), atol=1e-5)


@pytest.mark.parametrize(("places", "seed"), [(("film",) * 6, 0), (("none",) * 3 + ("film",) * 3, 1)])
def test_a_tile_gives_what_the_whole_gives_where_it_has_its_surroundings(make_network: Make, places: tuple, seed: int) -> None:
    network = make_network(full(2, places=places), seed=seed).requires_grad_(False)
    ours = SpecialisedUNet(network)
    images = torch.randn(1, 2, 96, 120)
    whole = ours.probabilities(ours.front(images), CONDITIONS[0])
    reach = 24  # farther than this network looks, to each side
    for top, left in ((0, 0), (16, 32), (32, 56)):
        tile = images[:, :, top : top + 64, left : left + 64]
        part = ours.probabilities(ours.front(tile, Window(top, left, 96, 120)), CONDITIONS[0])
        rows = slice(0 if top == 0 else reach, 64 if top == 32 else 64 - reach)
        columns = slice(0 if left == 0 else reach, 64 if left == 56 else 64 - reach)
        expected = whole[:, :, top : top + 64, left : left + 64]
        error = (part - expected)[:, :, rows, columns].abs().max()
        without = (ours.probabilities(ours.front(tile), CONDITIONS[0]) - expected)[:, :, rows, columns].abs().max()
        assert error < 1e-5
        assert without > 20 * error

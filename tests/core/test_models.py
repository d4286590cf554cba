"""The network computes what the papers say, checked against loops over scalars."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from napari_film.architecture import Architecture
from napari_film.models.blocks import ConvUnit, upsample
from napari_film.models.film import FiLMGenerator, FiLMParameters
from napari_film.models.unet import ConditionedUNet


def architecture(depth: int = 2, *, film: str | None = None, condition: int = 3, **options: object) -> Architecture:
    """Make an architecture; ``film`` is a string of 0 and 1, one per place."""
    flags = "1" * (2 * depth + 2) if film is None else film
    values = {"width": 4, "channels": 2, "classes": 1, **options}
    return Architecture(depth=depth, condition=condition, places=tuple("film" if flag == "1" else "none" for flag in flags), **values)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def layer(weight: Tensor, bias: Tensor, x: list[float]) -> list[float]:
    return [
        sigmoid(sum(w * value for w, value in zip(row, x, strict=True)) + b) for row, b in zip(weight.tolist(), bias.tolist(), strict=True)
    ]


@pytest.mark.parametrize("spatial", [(), (5,), (3, 4), (2, 3, 4)])
def test_film_scales_and_shifts_each_feature_map(spatial: tuple) -> None:
    torch.manual_seed(0)
    features, gamma, beta = torch.randn(2, 3, *spatial), torch.randn(2, 3), torch.randn(2, 3)
    result = FiLMParameters(gamma, beta).apply(features)
    assert result.shape == features.shape
    for b in range(2):
        for c in range(3):
            for got, x in zip(result[b, c].reshape(-1).tolist(), features[b, c].reshape(-1).tolist(), strict=True):
                assert got == pytest.approx(float(gamma[b, c]) * x + float(beta[b, c]), abs=1e-6)


def test_one_pair_serves_a_batch() -> None:
    features = torch.randn(3, 2, 4, 4)
    gamma, beta = torch.rand(1, 2), torch.rand(1, 2)
    shared = FiLMParameters(gamma, beta).apply(features)
    assert torch.equal(shared, FiLMParameters(gamma.expand(3, 2), beta.expand(3, 2)).apply(features))


@pytest.mark.parametrize(("gamma", "beta"), [((2, 3), (3, 3)), ((3, 3), (3, 4)), ((3,), (3, 3)), ((3, 1), (3, 1)), ((3, 3, 1), (3, 3))])
def test_film_refuses_parameters_of_another_shape(gamma: tuple, beta: tuple) -> None:
    name = "gamma" if gamma != (3, 3) else "beta"
    with pytest.raises(ValueError, match=f"{name} has shape"):
        FiLMParameters(torch.zeros(gamma), torch.zeros(beta)).apply(torch.zeros(3, 3, 2, 2))


@pytest.mark.parametrize("shared", [True, False])
def test_the_generator_is_three_layers_of_sigmoids_first_gamma_then_beta(shared: bool) -> None:
    torch.manual_seed(1)
    channels = [2, 3, 1]
    generator = FiLMGenerator(4, channels, hidden=(5, 3), shared_biases=shared)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.normal_()
    assert generator.bias1.shape == (1 if shared else 3, 5)
    conditions = torch.randn(2, 4)
    predicted = generator(conditions)
    row = 0
    for place, count in enumerate(channels):
        biases = 0 if shared else place
        rows = slice(row, row + 2 * count)
        row += 2 * count
        for b in range(2):
            hidden = layer(generator.weight1, generator.bias1[biases], conditions[b].tolist())
            hidden = layer(generator.weight2, generator.bias2[biases], hidden)
            expected = layer(generator.weight3[rows], generator.bias3[rows], hidden)
            assert predicted[place].gamma[b].tolist() == pytest.approx(expected[:count], abs=1e-6)
            assert predicted[place].beta[b].tolist() == pytest.approx(expected[count:], abs=1e-6)


@pytest.mark.parametrize("biases", ["shared", "per place"])
def test_gamma_and_beta_lie_between_0_and_1(biases: str) -> None:
    network = ConditionedUNet(architecture(hidden_biases=biases))
    for film in network.modulations(torch.randn(5, 3) * 3):
        for parameter in film:
            assert 0 < parameter.min()
            assert parameter.max() < 1


def test_a_unit_normalises_after_relu() -> None:
    torch.manual_seed(2)
    unit = ConvUnit(1, 2, dropout=0.3, momentum=0.1).eval()
    for norm in (unit.norm1, unit.norm2):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    image = features = torch.randn(1, 1, 5, 6)
    for conv, norm in ((unit.conv1, unit.norm1), (unit.conv2, unit.norm2)):
        padded = nn.functional.pad(features, (1, 1, 1, 1))
        convolved = torch.zeros(1, 2, 5, 6)
        for c in range(2):
            for y in range(5):
                for x in range(6):
                    convolved[0, c, y, x] = (padded[0, :, y : y + 3, x : x + 3] * conv.weight[c]).sum() + conv.bias[c]
        rectified = convolved.clamp(min=0)
        mean, deviation = (value[None, :, None, None] for value in (norm.running_mean, (norm.running_var + norm.eps).sqrt()))
        features = (rectified - mean) / deviation * norm.weight[None, :, None, None] + norm.bias[None, :, None, None]
    assert torch.allclose(unit(image), features, atol=1e-5)


def test_dropout_and_momentum_are_the_architecture_s() -> None:
    network = ConditionedUNet(architecture(dropout=0.45, batchnorm_momentum=0.02))
    assert {part.p for part in network.modules() if isinstance(part, nn.Dropout2d)} == {0.45}
    assert {part.momentum for part in network.modules() if isinstance(part, nn.BatchNorm2d)} == {0.02}


def test_upsampling_keeps_the_corners() -> None:
    features = torch.arange(6.0).reshape(1, 1, 2, 3)
    larger = upsample(features, (5, 7))
    assert larger.shape == (1, 1, 5, 7)
    assert larger[0, 0, 0, 0] == 0
    assert larger[0, 0, 0, -1] == 2
    assert larger[0, 0, -1, 0] == 3
    assert larger[0, 0, 2, 3] == pytest.approx(2.5)


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (31, 8), (9, 64)])
@pytest.mark.parametrize("depth", [1, 3])
def test_any_size_comes_back(size: tuple, depth: int) -> None:
    network = ConditionedUNet(architecture(depth, classes=2)).eval()
    assert network(torch.randn(2, 2, *size), torch.eye(3)[:2]).shape == (2, 2, *size)


def test_widths_double_per_level_and_the_bottom_has_the_deepest() -> None:
    made = architecture(3, width=4, classes=2, background=True)
    assert made.place_channels == (4, 8, 16, 16, 16, 8, 4, 3)
    network = ConditionedUNet(made)
    outputs = [unit.conv2.out_channels for unit in (*network.encoder, network.bottom, *network.decoder)]
    assert (*outputs, network.head.out_channels) == made.place_channels
    assert [film.gamma.shape[1] for film in network.modulations(torch.eye(3))] == [*made.place_channels]


@pytest.mark.parametrize("film", ["000000", "100000", "001000", "000101", "000001", "111111"])
def test_film_stands_at_the_places_named_and_nowhere_else(film: str, make_network: Callable) -> None:
    network = make_network(architecture(film=film))
    predicted = network.modulations(torch.eye(3))
    assert [place is not None for place in predicted] == [flag == "1" for flag in film]
    # A change of one place's parameters is seen exactly where there is film.
    image = torch.randn(1, 2, 16, 16)
    neutral = [None] * 6
    for place, pair in enumerate(predicted):
        if pair is not None:
            alone = [*neutral[:place], FiLMParameters(pair.gamma[:1], pair.beta[:1]), *neutral[place + 1 :]]
            assert not torch.allclose(network.logits(image, alone), network.logits(image, neutral))


def test_a_plain_unet_ignores_the_condition(make_network: Callable) -> None:
    network = make_network(architecture(film="000000"))
    image = torch.randn(2, 2, 16, 16)
    first = network(image, torch.eye(3)[:2])
    assert torch.equal(first, network(image, torch.eye(3)[1:]))
    assert not any(name.startswith("generator") for name in network.state_dict())
    assert first.std() > 0


def test_the_whole_network_unrolled(make_network: Callable) -> None:
    network = make_network(architecture(2, background=True, classes=2))
    images, conditions = torch.randn(2, 2, 13, 10), torch.eye(3)[:2]
    film = network.modulations(conditions)

    def at(place: int, features: Tensor) -> Tensor:
        return features * film[place].gamma[:, :, None, None] + film[place].beta[:, :, None, None]

    def up(features: Tensor, skip: Tensor) -> Tensor:
        return torch.cat([nn.functional.interpolate(features, size=skip.shape[2:], mode="bilinear", align_corners=True), skip], 1)

    first = at(0, network.encoder[0](images))
    second = at(1, network.encoder[1](nn.functional.max_pool2d(first, 2)))
    bottom = at(2, network.bottom(nn.functional.max_pool2d(second, 2)))
    features = at(3, network.decoder[0](up(bottom, second)))
    features = at(4, network.decoder[1](up(features, first)))
    expected = torch.sigmoid(at(5, network.head(features)))[:, 1:]
    assert torch.allclose(network(images, conditions), expected, atol=1e-6)
    assert network(images, conditions).shape == (2, 2, 13, 10)


@pytest.mark.parametrize("biases", ["shared", "per place"])
def test_a_batch_of_conditions_equals_one_at_a_time(biases: str, make_network: Callable) -> None:
    network = make_network(architecture(hidden_biases=biases))
    images, conditions = torch.randn(3, 2, 16, 20), torch.eye(3)
    together = network(images, conditions)
    for number in range(3):
        alone = network(images[number : number + 1], conditions[number : number + 1])
        assert torch.allclose(together[number], alone[0], atol=1e-6)
    swapped = network(images, conditions.roll(1, 0))
    assert all((together[number] - swapped[number]).abs().max() > 1e-3 for number in range(3))


@pytest.mark.parametrize("biases", ["shared", "per place"])
def test_gradients_reach_every_parameter(biases: str) -> None:
    torch.manual_seed(3)
    network = ConditionedUNet(architecture(hidden_biases=biases, background=True)).train()
    network(torch.randn(3, 2, 16, 16), torch.eye(3)).sum().backward()
    still = [name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.abs().sum() > 0]
    assert still == []


def test_images_and_conditions_of_another_shape_are_refused() -> None:
    network = ConditionedUNet(architecture())
    for shape in [(1, 1, 16, 16), (2, 16, 16), (1, 2, 3, 16)]:
        with pytest.raises(ValueError, match=r"images have shape .*expected \(B, 2, H, W\)"):
            network(torch.zeros(shape), torch.eye(3)[:1])
    for shape in [(1, 4), (3,), (1, 3, 1)]:
        with pytest.raises(ValueError, match=r"conditions have shape .*expected \(B, 3\)"):
            network(torch.zeros(1, 2, 16, 16), torch.zeros(shape))
    with pytest.raises(ValueError, match="gamma has shape"):
        network(torch.zeros(3, 2, 16, 16), torch.eye(3)[:2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"film": "11111"}, "places has 5 words; a network of depth 2 has 6 places"),
        ({"condition": 0}, "the network is conditioned, but the condition has no columns"),
        ({"depth": 0, "film": "11"}, "depth"),
        ({"width": 0}, "width"),
        ({"classes": 0}, "classes"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_an_architecture_that_is_none_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        architecture(**options)


def test_the_gradient_through_a_join_stays_channels_last_and_is_the_same() -> None:
    torch.manual_seed(0)
    features, skip, weight = torch.randn(2, 6, 5, 4), torch.randn(2, 3, 10, 8), torch.randn(2, 9, 10, 8)
    found = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        given = features.contiguous(memory_format=layout).requires_grad_()
        joined = torch.cat([upsample(given, (10, 8)), skip.contiguous(memory_format=layout)], dim=1)
        (found[layout],) = torch.autograd.grad((joined * weight.contiguous(memory_format=layout)).sum(), given)
    assert found[torch.channels_last].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found[torch.channels_last], found[torch.contiguous_format], atol=1e-5, rtol=1e-5)

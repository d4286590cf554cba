"""INSIDE computes what methods and public code say, checked against loops over scalars."""

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from napari_film.models.inside import START_SIGMA, WINDOWS, InsideGenerator, InsideParameters
from napari_film.models.position import Axis, Position, axis


def drawn(generator: InsideGenerator, seed: int = 0) -> InsideGenerator:
    """Weights far from the start, so that every number matters."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for parameter in generator.parameters():
            parameter.normal_(0, 0.6)
    return generator.requires_grad_(False)


def dense(weight: Tensor, bias: Tensor, x: Sequence[float], activation: Callable[[float], float]) -> list[float]:
    rows = zip(weight.tolist(), bias.tolist(), strict=True)
    return [activation(sum(w * value for w, value in zip(row, x, strict=True)) + b) for row, b in rows]


def raw_numbers(generator: InsideGenerator, condition: Tensor) -> tuple[list[float], list[float]]:
    """What both linear layers give, by loops."""
    first, _, second, _ = generator.trunk
    hidden = dense(second.weight, second.bias, dense(first.weight, first.bias, condition.tolist(), math.tanh), math.tanh)
    return tuple(dense(layer.weight, layer.bias, hidden, float) for layer in (generator.modulation, generator.size))


def gaussian(z: float) -> float:
    return math.exp(-0.5 * z**2)


def box(z: float) -> float:
    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-max(x, -700)))

    return sigmoid(4 * (1 + z)) * sigmoid(4 * (1 - z)) / sigmoid(4) ** 2


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("parametrisation", ["relative", "public"])
@pytest.mark.parametrize("window", ["gaussian", "box"])
def test_inside_is_attention_then_modulation(axes: int, parametrisation: str, window: str) -> None:
    channels, sides = 3, (5, 4, 3)[:axes]
    generator = drawn(InsideGenerator(2, channels, axes=axes, parametrisation=parametrisation, window=window))
    torch.manual_seed(1)
    conditions, features = torch.rand(2, 2), torch.randn(2, channels, *sides)
    found = generator(conditions).apply(features, [axis(side) for side in sides]).detach()
    assert found.shape == features.shape
    function = {"gaussian": gaussian, "box": box}[window]
    for b in range(2):
        modulation, size = raw_numbers(generator, conditions[b])
        for c in range(channels):
            g, shift = modulation[c], modulation[channels + c]
            factor = 1 + g if parametrisation == "relative" else 1 - g
            for index in itertools.product(*map(range, sides)):
                attention = 1.0
                for number, (i, length) in enumerate(zip(index, sides, strict=True)):
                    mu = math.tanh(modulation[(2 + number) * channels + c])
                    raw = size[number * channels + c]
                    if parametrisation == "relative":
                        sigma = 0.01 + math.log1p(math.exp(raw + math.log(math.exp(0.99) - 1)))
                        attention *= function((2 * (i + 0.5) / length - 1 - mu) / sigma)
                    else:
                        centre, width = mu * length / 2 + length / 2 - 0.5, 3.5 * math.tanh(raw) + 1e-7
                        attention *= function((i - centre) / width)
                expected = factor * (float(features[b, c][index]) * attention) + shift
                assert float(found[b, c][index]) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("parametrisation", ["relative", "public"])
def test_the_public_form_has_13888_parameters(parametrisation: str) -> None:
    generator = InsideGenerator(4, 64, parametrisation=parametrisation)
    assert sum(parameter.numel() for parameter in generator.parameters()) == 13_888


@pytest.mark.parametrize("parametrisation", ["relative", "public"])
@pytest.mark.parametrize("window", ["gaussian", "box"])
def test_gradients_are_those_of_the_function(parametrisation: str, window: str) -> None:
    generator = drawn(InsideGenerator(2, 2, parametrisation=parametrisation, window=window)).double()
    torch.manual_seed(2)
    features = torch.randn(2, 2, 4, 3, dtype=torch.float64, requires_grad=True)
    conditions = torch.rand(2, 2, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in generator.named_parameters()]
    weights = [parameter.detach().clone().requires_grad_() for parameter in generator.parameters()]

    def run(features: Tensor, conditions: Tensor, *weights: Tensor) -> Tensor:
        made: InsideParameters = torch.func.functional_call(generator, dict(zip(names, weights, strict=True)), (conditions,))
        return made.apply(features, [axis(4), axis(3)])

    assert torch.autograd.gradcheck(run, (features, conditions, *weights))
    gradients = torch.autograd.grad(run(features, conditions, *weights).square().sum(), weights)
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def placed(
    mu: Sequence[float], sigma: Sequence[float] = (0.5, 0.5), parametrisation: str = "relative", window: str = "gaussian"
) -> InsideParameters:
    """One feature map that is seen through one window and not changed otherwise."""
    centres, sizes = (torch.tensor([[values]]) for values in (list(mu), list(sigma)))
    return InsideParameters(torch.ones(1, 1), torch.zeros(1, 1), centres, sizes, sizes, parametrisation, window)


@pytest.mark.parametrize(("parametrisation", "sigma"), [("relative", (0.5, 0.3)), ("public", (2.0, -1.5))])
@pytest.mark.parametrize("window", ["gaussian", "box"])
@pytest.mark.parametrize("sides", [(7, 10), (8, 5)])
def test_a_window_at_0_is_centred_and_mirrored_centres_mirror_it(
    parametrisation: str, sigma: tuple[float, float], window: str, sides: tuple[int, int]
) -> None:
    coordinates = [axis(side) for side in sides]
    centred = placed((0.0, 0.0), sigma, parametrisation, window).attention(coordinates)
    torch.testing.assert_close(centred, centred.flip(2, 3))
    torch.testing.assert_close(centred, centred.flip(3))
    peak = centred[0, 0, (sides[0] - 1) // 2, (sides[1] - 1) // 2]
    assert peak == centred.max()
    there, across, down = (
        placed(mu, sigma, parametrisation, window).attention(coordinates) for mu in ((0.4, -0.7), (0.4, 0.7), (-0.4, -0.7))
    )
    assert not torch.allclose(there, across, atol=0.05)
    torch.testing.assert_close(across, there.flip(3))
    torch.testing.assert_close(down, there.flip(2))


@pytest.mark.parametrize("window", list(WINDOWS))
def test_a_window_is_1_in_its_centre_less_elsewhere_and_symmetric(window: str) -> None:
    z = torch.linspace(-6, 6, 241)
    values = WINDOWS[window](z)
    assert float(values[120]) == pytest.approx(1)
    assert values[120:].diff().max() <= 0
    torch.testing.assert_close(values, values.flip(0))
    assert 0.4 < float(WINDOWS[window](torch.tensor(1.0))) < 0.7
    assert values[0] < 1e-6


def test_relative_windows_cover_the_same_part_of_the_scene_at_any_resolution() -> None:
    generator = drawn(InsideGenerator(3, 16), seed=3)
    made = generator(torch.eye(3))
    coarse = made.attention(Position(0, 0, 200, 160).axes((50, 40), factor=4))
    fine = made.attention(Position(0, 0, 400, 320).axes((100, 80), factor=4))
    inside = coarse > 0.05
    assert inside.float().mean() > 0.1
    averaged = torch.nn.functional.avg_pool2d(fine, 2)
    # A pixel is the mean of four: of second order in its size against σ.
    step = 0.04
    error = (averaged - coarse).abs().amax(dim=(2, 3))
    assert (error <= 0.3 * (step / made.sigma.amin(dim=-1)) ** 2 + 1e-4).all()
    # The public form does not: its windows are so many pixels.
    public = placed((0.2, 0.1), (2.0, 2.0), "public")
    pixels = [public.attention(Position(0, 0, 4 * n, 4 * n).axes((n, n), factor=4)).sum() for n in (50, 100)]  # half of it in the scene
    assert float(pixels[0]) == pytest.approx(float(pixels[1]), rel=0.01)


@pytest.mark.parametrize("parametrisation", ["relative", "public"])
def test_padding_tiles_and_patches_leave_windows_where_the_whole_has_them(parametrisation: str) -> None:
    made = drawn(InsideGenerator(2, 6, parametrisation=parametrisation), seed=4)(torch.tensor([[1.0, 0.0]]))
    whole = made.attention(Position(0, 0, 40, 52).axes((10, 13), factor=4))
    assert float(whole.std()) > 0.05
    padded = made.attention(Position(0, 0, 40, 52).axes((16, 16), factor=4))
    torch.testing.assert_close(padded[:, :, :10, :13], whole)
    tile = made.attention(Position(8, 20, 40, 52).axes((6, 5), factor=4))
    torch.testing.assert_close(tile, whole[:, :, 2:8, 5:10])
    # A part enlarged twice has at its pixels' corners what the whole has in their middle, here seen every other half step.
    fine = Position(8, 20, 40, 52, 0.5).axes((12, 10), factor=4)
    middles = [Axis((part.at[:, ::2] + part.at[:, 1::2]) / 2, 2 * part.step) for part in fine]
    torch.testing.assert_close(made.attention(middles), tile)


def test_flipped_images_with_flipped_windows_are_flipped_results() -> None:
    made = drawn(InsideGenerator(2, 6), seed=5)(torch.tensor([[0.0, 1.0]]))
    features, coordinates = torch.randn(1, 6, 9, 12), [axis(9), axis(12)]
    mirrored = made._replace(mu=made.mu * torch.tensor([1.0, -1.0]))
    torch.testing.assert_close(mirrored.apply(features.flip(3), coordinates), made.apply(features, coordinates).flip(3))


def test_each_image_of_a_batch_has_its_own_windows_and_its_own_place() -> None:
    generator = drawn(InsideGenerator(3, 4), seed=6)
    features, conditions = torch.randn(3, 4, 8, 6), torch.eye(3)
    tops, pitches = torch.tensor([0.0, 5.0, 20.0]), torch.tensor([1.0, 0.5, 1.5])
    together = generator(conditions).apply(features, Position(tops, 2, 40, 30, pitches).axes((8, 6), factor=2))
    for n in range(3):
        position = Position(float(tops[n]), 2, 40, 30, float(pitches[n]))
        alone = generator(conditions[n : n + 1]).apply(features[n : n + 1], position.axes((8, 6), factor=2))
        torch.testing.assert_close(together[n : n + 1], alone)
    # One condition and one place serve a batch.
    shared = generator(conditions[:1]).apply(features, Position(0, 2, 40, 30).axes((8, 6), factor=2))
    own = generator(conditions[:1].expand(3, -1)).apply(features, Position(torch.zeros(3), 2, 40, 30).axes((8, 6), factor=2))
    torch.testing.assert_close(shared, own)


def test_it_starts_near_no_conditioning_and_tells_conditions_apart() -> None:
    torch.manual_seed(7)
    generator = InsideGenerator(4, 64)
    made = generator.requires_grad_(False)(torch.eye(4))
    assert float((made.gamma - 1).abs().max()) < 0.3
    assert float(made.beta.abs().max()) < 0.3
    assert float(made.mu.abs().max()) < 0.3
    assert float((made.sigma - START_SIGMA).abs().max()) < 0.3
    attention = made.attention([axis(50), axis(50)])
    assert float(attention.min()) > 0.65
    # Yet no two conditions look alike: each of the 64 windows is elsewhere.
    for first, second in itertools.combinations(range(4), 2):
        assert float((made.mu[first] - made.mu[second]).abs().mean()) > 0.005


def test_sigma_is_positive_in_relative_size_and_1_of_0() -> None:
    generator = InsideGenerator(1, 1)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.zero_()
        assert float(generator(torch.zeros(1, 1)).sigma[0, 0, 0]) == pytest.approx(1)
        generator.size.bias.fill_(-200)
        assert float(generator(torch.zeros(1, 1)).sigma.min()) == pytest.approx(0.01)
        narrow = InsideGenerator(1, 1, parametrisation="public")
        narrow.size.bias.fill_(-200)
        assert float(narrow(torch.zeros(1, 1)).sigma.max()) == pytest.approx(-3.5)


def test_windows_are_placed_in_float32_whatever_the_features_are() -> None:
    generator = drawn(InsideGenerator(2, 4), seed=8)
    conditions, features = torch.rand(2, 2), torch.randn(2, 4, 6, 5)
    exact = generator(conditions)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = generator(conditions)
    assert torch.equal(reduced.mu, exact.mu)
    coordinates = [axis(6), axis(5)]
    found = exact.apply(features.bfloat16(), coordinates)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact.apply(features.bfloat16().float(), coordinates), atol=0.03, rtol=0.01)


def test_parameters_and_coordinates_of_another_shape_are_refused() -> None:
    made = InsideGenerator(2, 3)(torch.zeros(2, 2))
    for features, coordinates in (
        (torch.zeros(2, 3, 5, 4), [axis(4), axis(5)]),
        (torch.zeros(2, 3, 5, 4), [axis(5)]),
        (torch.zeros(2, 3, 5, 4, 6), [axis(5), axis(4), axis(6)]),
        (torch.zeros(2, 3, 5, 4), Position(torch.zeros(3), 0, 5, 4).axes((5, 4))),
    ):
        with pytest.raises(ValueError, match=r"coordinates have .* pixels"):
            made.apply(features, coordinates)
    with pytest.raises(ValueError, match="gamma has shape"):
        made.apply(torch.zeros(2, 4, 5, 4), [axis(5), axis(4)])

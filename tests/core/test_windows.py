"""Windows that are read of a checkpoint are those of the network, their heat is that of a loop over pixels, and strengths are shares."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_film.checkpoint import load_checkpoint, save_checkpoint
from napari_film.fields import CategoricalField
from napari_film.header import CheckpointError
from napari_film.inference.windows import places_with_windows, windows
from napari_film.models.position import Position
from napari_film.models.unet import ConditionedUNet

PLACES = ("inside", "film", "inside", "none", "inside", "film")
CLEVR = {
    "places": ("none", "none", "inside", "none", "none", "none"),
    "skips": False,
    "normalisation": "none",
    "convolutions": 1,
    "bottom": "double",
    "behind_bottom": True,
    "head": 1,
}
WHOLE = (40, 24)


def conditions_of(field: CategoricalField) -> list[list[float]]:
    return [field.encode(value) for value in field.choices]


def middles(count: int, length: int, factor: int) -> np.ndarray:
    """Coordinates of the first ``count`` pixels of a map that is ``factor`` times smaller than ``length`` pixels."""
    return 2 * factor * (np.arange(count) + 0.5) / length - 1


def a(window: str, z: float) -> float:
    """A window function."""
    if window == "gaussian":
        return math.exp(-0.5 * z * z)
    top = (1 + math.exp(-4)) ** 2
    return top / (1 + math.exp(-4 * (1 + z))) / (1 + math.exp(-4 * (1 - z)))


@pytest.mark.parametrize("window", ["gaussian", "box"])
@pytest.mark.parametrize("parametrisation", ["relative", "public"])
def test_heat_and_strength_are_those_of_a_loop(
    make_checkpoint: Callable, tumor: CategoricalField, parametrisation: str, window: str
) -> None:
    path = make_checkpoint(tumor, places=PLACES, parametrisation=parametrisation, window=window, seed=4)
    state = {name: tensor.double().numpy() for name, tensor in load_checkpoint(path).network.state_dict().items()}
    conditions = conditions_of(tumor)
    for number, place, level, channels in ((0, "encoder 1", 0, 4), (2, "bottom", 2, 8), (4, "decoder 2", 0, 4)):
        for condition, found in zip(conditions, windows(path, conditions, place, WHOLE), strict=True):
            at = [middles(length // 2**level + 1, length, 2**level) for length in WHOLE]  # one pixel of padding along each axis
            hidden = np.array(condition)
            for layer in (0, 2):
                hidden = np.tanh(state[f"inside.{number}.trunk.{layer}.weight"] @ hidden + state[f"inside.{number}.trunk.{layer}.bias"])
            rows = state[f"inside.{number}.modulation.weight"] @ hidden + state[f"inside.{number}.modulation.bias"]
            sizes = state[f"inside.{number}.size.weight"] @ hidden + state[f"inside.{number}.size.bias"]
            heat, total, passed = np.zeros((len(at[0]), len(at[1]))), 0.0, []
            for c in range(channels):
                mu = [math.tanh(rows[(2 + axis) * channels + c]) for axis in (0, 1)]
                raw = [sizes[axis * channels + c] for axis in (0, 1)]
                if parametrisation == "relative":
                    gain = abs(1 + rows[c])
                    sigma = [0.01 + math.log1p(math.exp(s + math.log(math.expm1(0.99)))) for s in raw]
                else:
                    gain = abs(1 - rows[c])
                    sigma = [(3.5 * math.tanh(s) + 1e-7) * 2 * 2**level / WHOLE[axis] for axis, s in enumerate(raw)]
                np.testing.assert_allclose(found.centre[c], mu, rtol=1e-4, atol=1e-5)
                np.testing.assert_allclose(found.size[c], np.abs(sigma), rtol=1e-3, atol=1e-6)
                total += gain
                for y, x in np.ndindex(heat.shape):
                    heat[y, x] += gain * a(window, (at[0][y] - mu[0]) / sigma[0]) * a(window, (at[1][x] - mu[1]) / sigma[1])
                means = [np.mean([a(window, (u - mu[axis]) / sigma[axis]) for u in middles(256, 256, 1)]) for axis in (0, 1)]
                passed.append(gain * means[0] * means[1])
            shown = found.heat(*at)
            assert shown.dtype == np.float32
            np.testing.assert_allclose(shown, heat / total, rtol=1e-3, atol=2e-5)
            np.testing.assert_allclose(found.strength, np.array(passed) / sum(passed), rtol=1e-3, atol=1e-6)
            inside = found.heat(middles(64, 64, 1), middles(64, 64, 1))
            assert found.peak == pytest.approx(inside.max())
            assert found.least == pytest.approx(inside.min())
            assert 0 <= found.least < found.peak <= 1
            order = found.strongest(3)
            assert list(order) == sorted(range(channels), key=lambda c: -passed[c])[:3]


@pytest.mark.parametrize("architecture", [{"places": PLACES}, CLEVR, {**CLEVR, "parametrisation": "public"}])
def test_heat_is_what_the_network_multiplies_by(make_checkpoint: Callable, tumor: CategoricalField, architecture: dict[str, Any]) -> None:
    """On the pixels of the place's own feature maps, padded ones among them."""
    path = make_checkpoint(tumor, seed=8, **architecture)
    network = load_checkpoint(path).network
    conditions = conditions_of(tumor)
    modulations = network.modulations(torch.tensor(conditions))
    levels = dict(zip(network.architecture.names_of_places, zip(network.architecture.levels, modulations, strict=True), strict=True))
    places = places_with_windows(network.architecture)
    assert places == (("encoder 1", "bottom", "decoder 2") if architecture["places"] is PLACES else ("bottom",))
    for place in places:
        level, modulation = levels[place]
        sides = tuple(length // 2**level + 2 for length in WHOLE)
        axes = Position(0.0, 0.0, *map(float, WHOLE)).axes(sides, factor=2**level)
        ones = torch.ones(len(conditions), modulation.gamma.shape[1], *sides)
        through = (modulation.apply(ones, axes) - modulation.beta[..., None, None]).abs()
        expected = (through.sum(dim=1) / modulation.gamma.abs().sum(dim=1)[:, None, None]).detach().numpy()
        for wanted, found in zip(expected, windows(path, conditions, place, WHOLE), strict=True):
            heat = found.heat(middles(sides[0], WHOLE[0], 2**level), middles(sides[1], WHOLE[1], 2**level))
            np.testing.assert_allclose(heat, wanted, atol=2e-5)


def test_relative_windows_do_not_depend_on_the_size_of_the_image(make_checkpoint: Callable, tumor: CategoricalField) -> None:
    for parametrisation, same in (("relative", True), ("public", False)):
        path = make_checkpoint(tumor, places=PLACES, parametrisation=parametrisation, seed=2)
        small, large = (windows(path, conditions_of(tumor), "bottom", whole)[0] for whole in (WHOLE, (400, 240)))
        np.testing.assert_array_equal(small.centre, large.centre)
        assert np.allclose(small.size, large.size) == same
        assert np.allclose(small.strength, large.strength) == same


def test_only_the_place_s_generator_is_read(make_checkpoint: Callable, tumor: CategoricalField, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_checkpoint(tumor, places=PLACES)

    def refuse(*_: Any) -> None:
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(ConditionedUNet, "__init__", refuse)
    assert len(windows(path, conditions_of(tumor), "bottom", WHOLE)) == 3
    assert windows(path, [], "bottom", WHOLE) == []


def test_what_cannot_be_read_is_said(
    make_checkpoint: Callable, make_header: Callable, make_network: Callable, tumor: CategoricalField, tmp_path: Path
) -> None:
    path = make_checkpoint(tumor, places=PLACES)
    with pytest.raises(ValueError, match="decoder 1 has no windows; the places that have are encoder 1, bottom, decoder 2"):
        windows(path, [], "decoder 1", WHOLE)
    with pytest.raises(ValueError, match="bottom has no windows; the places that have are none"):
        windows(make_checkpoint(tumor), [], "bottom", WHOLE)
    with pytest.raises(ValueError, match="a condition has 4 columns; expected 3"):
        windows(path, [[1, 0, 0, 0]], "bottom", WHOLE)
    with pytest.raises(CheckpointError, match=r"missing\.safetensors does not exist"):
        windows(tmp_path / "missing.safetensors", [], "bottom", WHOLE)
    header = make_header(tumor, places=PLACES)
    network = make_network(header.architecture)
    with torch.no_grad():
        network.inside["2"].size.bias[0] = float("nan")
    save_checkpoint(tmp_path / "diverged.safetensors", network, header)
    with pytest.raises(CheckpointError, match=r"diverged\.safetensors has weights that are not finite"):
        windows(tmp_path / "diverged.safetensors", conditions_of(tumor), "bottom", WHOLE)
    plain = make_network(make_header(tumor).architecture)
    plain.architecture = header.architecture
    save_checkpoint(tmp_path / "other.safetensors", plain, header)
    with pytest.raises(CheckpointError, match=r"other\.safetensors has weights that do not fit its own header"):
        windows(tmp_path / "other.safetensors", conditions_of(tumor), "bottom", WHOLE)

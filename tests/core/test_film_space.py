"""What is read of a checkpoint's generator is what the loaded network does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_film.checkpoint import load_checkpoint, save_checkpoint
from napari_film.fields import BY_SLICE, CategoricalField, ContinuousField, Value
from napari_film.header import CheckpointError, read_header
from napari_film.inference.film_space import FiLMSpace, film_space
from napari_film.models.unet import ConditionedUNet


def conditions_of(field: CategoricalField) -> dict[str, list[float]]:
    return {str(value): field.encode(value) for value in field.choices}


@pytest.mark.parametrize("biases", ["shared", "per place"])
@pytest.mark.parametrize("places", [("film",) * 6, ("none", "film") * 3])
def test_gamma_and_beta_are_those_of_the_network(
    make_checkpoint: Callable, tumor: CategoricalField, biases: str, places: tuple[str, ...]
) -> None:
    path = make_checkpoint(tumor, places=places, hidden_biases=biases, background=True, seed=3)
    conditions = conditions_of(tumor)
    space = film_space(path, conditions)
    everywhere = ("encoder 1", "encoder 2", "bottom", "decoder 1", "decoder 2", "head")
    assert space.names == tuple(conditions)
    assert space.places == tuple(place for place, word in zip(everywhere, places, strict=True) if word == "film")
    expected = [each for each in load_checkpoint(path).network.modulations(torch.tensor(list(conditions.values()))) if each is not None]
    for gamma, beta, each in zip(space.gamma, space.beta, expected, strict=True):
        np.testing.assert_array_equal(gamma, each.gamma.detach().numpy())
        np.testing.assert_array_equal(beta, each.beta.detach().numpy())
    assert [part.shape[1] for part in space.gamma] == [c for c, word in zip((4, 8, 8, 8, 4, 2), places, strict=True) if word == "film"]


def test_only_the_generator_is_read(make_checkpoint: Callable, tumor: CategoricalField, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_checkpoint(tumor)

    def refuse(*_: Any) -> None:
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(ConditionedUNet, "__init__", refuse)
    assert len(film_space(path, conditions_of(tumor)).places) == 6


def test_a_model_without_film_has_no_places(make_checkpoint: Callable, tumor: CategoricalField) -> None:
    for path, conditions in ((make_checkpoint(), {"all": []}), (make_checkpoint(tumor, places=("none",) * 6), conditions_of(tumor))):
        space = film_space(path, conditions)
        assert (space.places, space.gamma, space.beta) == ((), (), ())
        assert not space.distances().any()
        assert space.distances().shape == (len(conditions),) * 2
        assert space.listening().shape == (0,)


def test_distances_and_listening_by_a_loop(make_checkpoint: Callable, tumor: CategoricalField) -> None:
    space = film_space(make_checkpoint(tumor, seed=5), conditions_of(tumor))

    def differences(i: int, j: int, places: list[int]) -> list[float]:
        return [
            float(part[place][i, c] - part[place][j, c])
            for place in places
            for part in (space.gamma, space.beta)
            for c in range(part[place].shape[1])
        ]

    for measured, places in ((space.distances(), list(range(6))), (space.distances_at("decoder 1"), [3])):
        for i in range(3):
            for j in range(3):
                squares = [difference**2 for difference in differences(i, j, places)]
                assert measured[i, j] == pytest.approx((sum(squares) / len(squares)) ** 0.5, abs=1e-7)
        assert 0 < measured.max() <= 1
    for place, listening in enumerate(space.listening()):
        columns = [part[place][:, c].astype(float) for part in (space.gamma, space.beta) for c in range(part[place].shape[1])]
        spread = sum(sum((value - sum(column) / 3) ** 2 for value in column) / 3 for column in columns) / len(columns)
        assert listening == pytest.approx(spread**0.5)


def test_the_scale_ends_at_one_and_at_a_half() -> None:
    ends = (np.array([[0.0] * 4, [1.0] * 4], dtype=np.float32),)
    space = FiLMSpace(("off", "on"), ("bottom",), ends, ends)
    assert space.distances().tolist() == space.distances_at("bottom").tolist() == [[0, 1], [1, 0]]
    assert space.listening().tolist() == [0.5]


def test_one_value_has_no_distance(make_checkpoint: Callable, tumor: CategoricalField) -> None:
    space = film_space(make_checkpoint(tumor), {"alone": [1, 0, 0]})
    assert space.distances().tolist() == [[0]]
    assert not space.listening().any()
    none = film_space(make_checkpoint(tumor), {})
    assert none.distances().shape == (0, 0)
    assert none.listening().tolist() == [0] * 6


def test_what_cannot_be_read(
    make_checkpoint: Callable, make_header: Callable, make_network: Callable, tumor: CategoricalField, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="condition of wide has 4 columns; expected 3"):
        film_space(make_checkpoint(tumor), {"wide": [1, 0, 0, 0]})
    with pytest.raises(CheckpointError, match=r"missing\.safetensors does not exist"):
        film_space(tmp_path / "missing.safetensors", {})
    header = make_header(tumor)
    network = make_network(header.architecture)
    with torch.no_grad():
        network.generator.weight2[0, 0] = float("inf")
    save_checkpoint(tmp_path / "diverged.safetensors", network, header)
    with pytest.raises(CheckpointError, match=r"diverged\.safetensors has weights that are not finite"):
        film_space(tmp_path / "diverged.safetensors", conditions_of(tumor))
    plain = make_network(make_header().architecture)
    plain.architecture = header.architecture
    save_checkpoint(tmp_path / "other.safetensors", plain, header)
    with pytest.raises(CheckpointError, match=r"other\.safetensors has weights that do not fit its own header"):
        film_space(tmp_path / "other.safetensors", conditions_of(tumor))


def test_a_field_that_is_per_slice_is_that_of_the_middle_slice(make_checkpoint: Callable, tumor: CategoricalField) -> None:
    position = ContinuousField(name="slice_position", minimum=2, maximum=4, per_slice="position")
    path = make_checkpoint(tumor, position, seed=5)
    schema = read_header(path).metadata_schema

    def conditions(told: Value) -> dict[str, list[float]]:
        return {value: schema.encode({"tumor_type": value, "slice_position": told}).tolist() for value in tumor.values}

    for told, expected in ((BY_SLICE, 3), ("2,2.5,4", 2.5), ("2,2.5,3.5,4", 3.5)):
        found, wanted = film_space(path, conditions(told)), film_space(path, conditions(expected))
        for name in ("gamma", "beta"):
            for one, other in zip(getattr(found, name), getattr(wanted, name), strict=True):
                np.testing.assert_array_equal(one, other)

"""Networks other than the classic one: each is built as its architecture says, and computes what its parts do."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_film.architecture import Architecture
from napari_film.bundled import bundled_checkpoints
from napari_film.checkpoint import load_checkpoint, save_checkpoint
from napari_film.fields import CategoricalField, ContinuousField
from napari_film.header import CheckpointError, parse_header, read_header
from napari_film.models.inside import InsideParameters
from napari_film.models.position import Position
from napari_film.models.unet import ConditionedUNet

CLEVR = {
    "depth": 2,
    "places": ("none", "none", "inside", "none", "none", "none"),
    "skips": False,
    "normalisation": "none",
    "convolutions": 1,
    "bottom": "double",
    "behind_bottom": True,
    "head": 1,
    "dropout": 0.0,
}
"""The network of the paper's CLEVR-Seg runs, but for its width of 16."""


def architecture(**options: object) -> Architecture:
    depth = options.get("depth", 1)
    values = {"depth": 1, "width": 4, "channels": 2, "classes": 1, "condition": 3, "places": ("film",) * (2 * depth + 2)}
    return Architecture(**{**values, **options})


def test_the_network_of_the_clevr_runs() -> None:
    network = ConditionedUNet(architecture(**CLEVR, width=16, channels=3, condition=4))
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, __, out, name=name: shapes.update({name: tuple(out.shape)}))
    assert network(torch.zeros(1, 3, 200, 200), torch.eye(4)[:1]).shape == (1, 1, 200, 200)
    assert shapes == {
        "encoder.0.conv1": (1, 16, 200, 200),
        "encoder.1.conv1": (1, 32, 100, 100),
        "bottom.conv1": (1, 64, 50, 50),
        "behind_bottom.conv1": (1, 64, 50, 50),
        "decoder.0.conv1": (1, 32, 100, 100),
        "decoder.1.conv1": (1, 16, 200, 200),
        "head": (1, 1, 200, 200),
    }
    assert network.head.kernel_size == (1, 1)
    assert network.decoder[0].conv1.in_channels == 64
    assert not [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert sum(parameter.numel() for parameter in network.inside.parameters()) == 13_888


def test_that_network_unrolled(make_network: Callable) -> None:
    network = make_network(architecture(**CLEVR))
    images, conditions = torch.randn(2, 2, 12, 16), torch.eye(3)[:2]
    position = Position(4, torch.tensor([0.0, 8.0]), 20, 30)
    (made,) = (place for place in network.modulations(conditions) if place is not None)
    y = 2 * (4 + 4 * (torch.arange(3) + 0.5)) / 20 - 1
    x = 2 * (torch.tensor([0.0, 8.0])[:, None] + 4 * (torch.arange(4) + 0.5)) / 30 - 1
    rows = torch.exp(-0.5 * ((y - made.mu[:, :, 0, None]) / made.sigma[:, :, 0, None]) ** 2)
    columns = torch.exp(-0.5 * ((x[:, None] - made.mu[:, :, 1, None]) / made.sigma[:, :, 1, None]) ** 2)

    def up(features: Tensor, size: tuple[int, int]) -> Tensor:
        return functional.interpolate(features, size=size, mode="bilinear", align_corners=True)

    first = network.encoder[0].conv1(images).relu()
    second = network.encoder[1].conv1(functional.max_pool2d(first, 2)).relu()
    bottom = network.bottom.conv1(functional.max_pool2d(second, 2)).relu()
    seen = bottom * rows[:, :, :, None] * columns[:, :, None, :]
    inside = made.gamma[:, :, None, None] * seen + made.beta[:, :, None, None]
    behind = network.behind_bottom.conv1(inside).relu()
    features = network.decoder[0].conv1(up(behind, (6, 8))).relu()
    features = network.decoder[1].conv1(up(features, (12, 16))).relu()
    expected = torch.sigmoid(network.head(features))
    torch.testing.assert_close(network(images, conditions, position), expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(network(images, conditions), expected, atol=1e-3)


OPTIONS = list(
    itertools.product(
        ("film", "inside", "guide", "none"),
        (True, False),  # skips
        ("batch", "none"),
        (1, 2),
        (("same", False, 3), ("double", True, 1), ("same", True, 1), ("double", False, 3)),
        ((False, False), (True, False), (False, True), (True, True)),  # coordinates, condition_map
    )
)


@pytest.mark.parametrize("kind", ["film", "inside", "guide", "none"])
def test_all_combinations_are_built_and_learn_in_every_part(kind: str) -> None:
    for place, skips, normalisation, convolutions, (bottom, behind, head), (coordinates, painted) in OPTIONS:
        if place != kind:
            continue
        torch.manual_seed(0)
        made = architecture(
            width=6,  # of fewer maps without BatchNorm all may be zero
            places=(place,) * 4,
            skips=skips,
            normalisation=normalisation,
            convolutions=convolutions,
            bottom=bottom,
            behind_bottom=behind,
            head=head,
            coordinates=coordinates,
            condition_map=painted,
            dropout=0.0,
        )
        network = ConditionedUNet(made)
        logits = network.logits(images := torch.randn(3, 2, 7, 10), network.modulations(torch.eye(3)), conditions=torch.eye(3))
        assert logits.shape == (3, 1, 7, 10)
        assert network.encoder[0].conv1.in_channels == made.input_channels == 2 + 2 * coordinates + 3 * painted
        logits.square().sum().backward()
        still = [name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.abs().sum() > 0]
        assert still == [], made
        assert made.classic == (
            kind in {"film", "none"} and skips and normalisation == "batch" and convolutions == 2 and head == 3
            and (bottom, behind) == ("same", False) and not coordinates and not painted
        )  # fmt: skip
        # It depends on the condition where it is told it, and on where the images lie where it looks.
        network.eval()
        with torch.no_grad():
            first, other = (network(images, torch.eye(3)[[n] * 3]) for n in (0, 1))
            moved = network(images, torch.eye(3)[[0] * 3], Position(30, 20, 70, 60))
        assert torch.equal(first, other) == (not made.takes_condition)
        assert torch.equal(first, moved) == (not made.looks_at_position)


def test_each_place_has_its_own_kind(make_network: Callable) -> None:
    network = make_network(architecture(depth=2, places=("film", "inside", "guide", "none", "film", "inside")))
    made = network.modulations(torch.eye(3))
    assert [type(place).__name__.removesuffix("Parameters") for place in made] == ["FiLM", "Inside", "Guide", "NoneType", "FiLM", "Inside"]
    images = torch.randn(3, 2, 12, 12)
    whole = network.logits(images, made)
    for number, place in enumerate(made):
        without = network.logits(images, [*made[:number], None, *made[number + 1 :]])
        assert torch.allclose(whole, without) == (place is None)
    film = [place.gamma.shape for place in made if type(place).__name__ == "FiLMParameters"]
    assert film == [(3, 4), (3, 4)]
    assert made[-1].mu.shape == (3, 1, 2)


def test_coordinates_are_two_more_channels_x_and_y() -> None:
    torch.manual_seed(0)
    network = ConditionedUNet(architecture(coordinates=True)).eval()
    plain = ConditionedUNet(architecture(channels=4)).eval()
    plain.load_state_dict(network.state_dict())
    images = torch.randn(2, 2, 6, 8)
    x = (torch.arange(8) + 0.5) / 8 * 2 - 1
    y = (torch.arange(6) + 0.5) / 6 * 2 - 1
    joined = torch.cat([images, x.expand(2, 1, 6, 8), y[:, None].expand(2, 1, 6, 8)], dim=1)
    torch.testing.assert_close(network(images, torch.eye(3)[:2]), plain(joined, torch.eye(3)[:2]))
    # Of a tile, those that it has in the whole.
    tile = network.enter(images[:, :, 2:6, 4:8], Position(2, 4, 6, 8))
    torch.testing.assert_close(tile, joined[:, :, 2:6, 4:8])
    last = network.enter(images.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, joined)


def test_the_condition_is_painted_one_channel_a_column() -> None:
    torch.manual_seed(0)
    network = ConditionedUNet(architecture(condition_map=True, places=("none",) * 4)).eval()
    plain = ConditionedUNet(architecture(channels=5, places=("none",) * 4)).eval()
    plain.load_state_dict(network.state_dict())
    images, conditions = torch.randn(2, 2, 6, 8), torch.rand(2, 3)
    joined = torch.cat([images, *(conditions[:, n, None, None, None].expand(2, 1, 6, 8) for n in range(3))], dim=1)
    torch.testing.assert_close(network(images, conditions), plain(joined, conditions))
    with pytest.raises(ValueError, match="conditions are needed"):
        network.logits(images, network.modulations(conditions))
    with pytest.raises(ValueError, match=r"conditions have shape \(2, 4\)"):
        network(images, torch.rand(2, 4))


def test_a_padded_image_and_its_position_give_what_the_image_gives(make_network: Callable) -> None:
    """Where the padding is out of reach: INSIDE with windows that see all of the image, at the bottom of one convolution."""
    network = make_network(architecture(**CLEVR))
    images = torch.randn(1, 2, 40, 48)
    conditions = torch.eye(3)[:1]
    unpadded: list[Tensor] = []
    padded: list[Tensor] = []
    for store, given in ((unpadded, images), (padded, functional.pad(images, (0, 16, 0, 24), mode="replicate"))):
        hook = network.behind_bottom.register_forward_pre_hook(lambda _, inputs, store=store: store.append(inputs[0]))
        network.logits(given, network.modulations(conditions), Position(0, 0, 40, 48))
        hook.remove()
    reach = 2  # pixels of the bottom that the padding has changed
    torch.testing.assert_close(padded[0][:, :, : 10 - reach, : 12 - reach], unpadded[0][:, :, : 10 - reach, : 12 - reach])


def test_the_penalty_is_the_mean_square_of_sigma_before_its_activation(make_network: Callable) -> None:
    network = make_network(architecture(depth=1, places=("inside", "film", "inside", "none")))
    made = network.modulations(torch.eye(3))
    raw = [float(value) ** 2 for place in made if isinstance(place, InsideParameters) for value in place.raw_sigma.detach().flatten()]
    assert len(raw) == 3 * 2 * (4 + 4)
    assert float(network.window_penalty(made).detach()) == pytest.approx(sum(raw) / len(raw), rel=1e-5)
    network.window_penalty(made).backward()
    assert all(network.inside[key].size.weight.grad.abs().sum() > 0 for key in ("0", "2"))
    plain = make_network(architecture())
    assert float(plain.window_penalty(plain.modulations(torch.eye(3)))) == 0


def test_names_and_levels_of_places() -> None:
    made = architecture(depth=2, bottom="double", background=True)
    assert made.names_of_places == ("encoder 1", "encoder 2", "bottom", "decoder 1", "decoder 2", "head")
    assert made.levels == (0, 1, 2, 1, 0, 0)
    assert made.place_channels == (4, 8, 16, 8, 4, 2)
    sides = []
    network = ConditionedUNet(made)
    for module in (*network.encoder, network.bottom, *network.decoder, network.head):
        module.register_forward_hook(lambda _, __, out: sides.append(out.shape[2]))
    network(torch.zeros(2, 2, 16, 16), torch.eye(3)[:2])
    assert sides == [16 >> level for level in made.levels]


@pytest.mark.parametrize(
    "options",
    [
        {"places": ("film", "none", "inside", "guide")},
        {**CLEVR, "parametrisation": "public", "window": "box"},
        {"coordinates": True},
        {"condition_map": True, "places": ("none",) * 4},
    ],
)
def test_a_checkpoint_keeps_it_and_needs_format_2(
    options: dict, tmp_path: Path, make_header: Callable, make_network: Callable, tumor: CategoricalField
) -> None:
    values = {"depth": 1, "dropout": 0.0, **options}
    header = make_header(tumor, **values)
    network = make_network(header.architecture)
    save_checkpoint(tmp_path / "m.safetensors", network, header)
    checkpoint = load_checkpoint(tmp_path / "m.safetensors")
    assert checkpoint.header == header
    assert checkpoint.header.format == (2, 0)
    assert "film" not in json.loads(header.to_json())["architecture"]
    images, conditions = torch.randn(3, 1, 16, 20), torch.eye(3)
    assert torch.equal(checkpoint.network(images, conditions), network(images, conditions))


def test_a_classic_network_is_saved_as_format_1_0_has_it(make_header: Callable, tumor: CategoricalField, age: ContinuousField) -> None:
    header = make_header(tumor, age, depth=1, places=("none", "film", "film", "none"))
    content = json.loads(header.to_json())
    assert content["format"] == [1, 1]
    flags = content["architecture"]["film"]
    assert flags == [False, True, True, False]
    # And what format 1.0 has, flags alone, is read as before.
    keys = ("depth", "width", "channels", "classes", "condition", "film", "hidden", "hidden_biases", "background", "dropout")
    content["architecture"] = {key: content["architecture"][key] for key in (*keys, "batchnorm_momentum")}
    content["format"] = [1, 0]
    assert parse_header(json.dumps(content), name="m").architecture == header.architecture
    for wrong in (["yes", True, True, True], [True] * 3, None):
        content["architecture"]["film"] = wrong
        with pytest.raises(CheckpointError, match=r"^m has a header that is not valid \(architecture.*\); ask"):
            parse_header(json.dumps(content), name="m")


def test_slices_as_acquired_and_metadata_by_slice_need_format_2(make_header: Callable, tumor: CategoricalField) -> None:
    position = ContinuousField(name="slice_position", minimum=0, maximum=1, per_slice="position")
    assert make_header(tumor).format == (1, 1)
    assert make_header(tumor, position).format == (2, 0)
    assert make_header(tumor, preprocessing={"slice_axis": "acquired"}).format == (2, 0)


def test_the_checkpoints_that_were_shipped_first_are_classic() -> None:
    for name in ("spinal_tumor", "abdomen"):
        made = read_header(bundled_checkpoints()[name]).architecture
        assert made.classic
        assert made.places == ("film",) * (2 * made.depth + 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"places": ("film", "inside", "box", "none")}, "places"),
        ({"places": ("film",) * 3}, "places has 3 words; a network of depth 1 has 4 places"),
        ({"condition": 0, "places": ("none", "inside", "none", "none")}, "the network is conditioned, but the condition has no columns"),
        ({"condition": 0, "places": ("none",) * 4, "condition_map": True}, "the network is conditioned"),
        ({"window": "triangle"}, "window"),
        ({"parametrisation": "private"}, "parametrisation"),
        ({"convolutions": 3}, "convolutions"),
        ({"head": 5}, "head"),
        ({"bottom": "triple"}, "bottom"),
        ({"normalisation": "layer"}, "normalisation"),
    ],
)
def test_an_architecture_that_is_none_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        architecture(**options)

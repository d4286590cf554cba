"""The peer of all ratios computes what the network computes."""

from collections.abc import Callable

import pytest
import torch

from benchmarks.textbook import TextbookUNet
from napari_film.architecture import Architecture
from napari_film.models.unet import ConditionedUNet

EVERYWHERE = ("film",) * 6
DECODER = ("none", "none", "none", "film", "film", "none")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("places", "others"),
    [
        (EVERYWHERE, {}),
        (EVERYWHERE, {"hidden_biases": "per place", "background": True, "classes": 2}),
        (DECODER, {}),
        (("none",) * 6, {"condition": 0}),
    ],
)
def test_the_textbook_network_gives_the_same_probabilities(
    places: tuple[str, ...], others: dict[str, object], channels_last: bool, make_network: Callable[..., ConditionedUNet]
) -> None:
    architecture = Architecture(**{"depth": 2, "width": 4, "channels": 2, "classes": 1, "condition": 3, "places": places, **others})
    network = make_network(architecture)
    images = torch.randn(2, 2, 20, 26)  # of odd size at the bottom
    conditions = torch.eye(3)[:2, : architecture.condition]
    textbook = TextbookUNet(network)
    if channels_last:
        textbook, images = textbook.channels_last(), images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = network(images, conditions)
        found = textbook(images, conditions)
    assert 0.01 < float(expected.std())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)

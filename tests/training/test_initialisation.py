import torch

from napari_film.models.film import FiLMGenerator
from napari_film.training.initialisation import spread_conditions


def distance(generator: FiLMGenerator) -> float:
    """Smallest mean difference of γ and β between two of four condition values."""
    with torch.no_grad():
        rows = torch.cat([torch.cat(parameters, dim=1) for parameters in generator(torch.eye(4))], dim=1)
    return min(float((rows[a] - rows[b]).abs().mean()) for a in range(4) for b in range(a))


def test_values_start_apart_and_nothing_saturates() -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        generator = FiLMGenerator(4, (8, 16), hidden=(64, 16), shared_biases=seed % 2 == 0)
        before = distance(generator)
        spread_conditions(generator)
        assert distance(generator) > 5 * before
        with torch.no_grad():
            hidden = torch.sigmoid(torch.eye(4) @ generator.weight1.T + generator.bias1[0])
            hidden = torch.sigmoid(hidden @ generator.weight2.T + generator.bias2[0])
        assert 0.2 < float(hidden.mean()) < 0.8
        assert float((hidden * (1 - hidden)).mean()) > 0.1

"""The guiding block computes what its formula says, checked against loops over scalars."""

import numpy as np
import pytest
import torch

from napari_film.models.guide import KNOTS, GuideGenerator, GuideParameters
from napari_film.models.position import Position, axis


def drawn(batch: int = 2, channels: int = 3, axes: int = 2, seed: int = 0) -> GuideParameters:
    generator = torch.Generator().manual_seed(seed)
    return GuideParameters(
        torch.randn(batch, channels, generator=generator),
        torch.randn(batch, channels, generator=generator),
        torch.randn(batch, axes, KNOTS, generator=generator),
    )


def gate(knots: torch.Tensor, u: float) -> float:
    """A gate at u, linear between 16 knots from edge to edge of the whole image; constant outside."""
    return float(np.interp(u, np.linspace(-1, 1, KNOTS), knots.numpy()))


def test_rows_columns_and_channels_scale_and_channels_shift() -> None:
    made, features = drawn(), torch.randn(2, 3, 7, 40)
    found = made.apply(features, [axis(7), axis(40)])
    for b in range(2):
        rows = [gate(made.gates[b, 0], 2 * (y + 0.5) / 7 - 1) for y in range(7)]
        columns = [gate(made.gates[b, 1], 2 * (x + 0.5) / 40 - 1) for x in range(40)]
        for c in range(3):
            for y in range(7):
                for x in range(40):
                    factor = 1 + rows[y] + columns[x] + float(made.scale[b, c])
                    expected = factor * float(features[b, c, y, x]) + float(made.shift[b, c])
                    assert float(found[b, c, y, x]) == pytest.approx(expected, abs=1e-4)


def test_a_third_axis_is_one_more_gate() -> None:
    made, features = drawn(axes=3), torch.randn(2, 3, 3, 4, 5)
    found = made.apply(features, [axis(3), axis(4), axis(5)])
    gates = made.along([axis(3), axis(4), axis(5)])
    factor = 1 + made.scale[1, 2] + gates[0][1, 2] + gates[1][1, 3] + gates[2][1, 0]
    torch.testing.assert_close(found[1, 2, 2, 3, 0], factor * features[1, 2, 2, 3, 0] + made.shift[1, 2])


def test_gates_stay_where_the_whole_has_them() -> None:
    made = drawn()
    whole = made.along(Position(0, 0, 40, 52).axes((10, 13), factor=4))
    tile = made.along(Position(8, 20, 40, 52).axes((6, 5), factor=4))
    torch.testing.assert_close(tile[0], whole[0][:, 2:8])
    torch.testing.assert_close(tile[1], whole[1][:, 5:10])
    padded = made.along(Position(0, 0, 40, 52).axes((16, 16), factor=4))
    torch.testing.assert_close(padded[0][:, :10], whole[0])
    torch.testing.assert_close(padded[0][:, 10:], made.gates[:, 0, -1:].expand(-1, 6))  # outside as at the edge
    # At 16 pixels from knot to knot a gate is what was predicted, at any count it goes through the same points.
    fine, coarse = (made.along([axis(n), axis(n)])[0] for n in (300, 100))
    torch.testing.assert_close(fine[:, 1::3], coarse)


def test_gradients_are_those_of_the_function() -> None:
    generator = GuideGenerator(2, 2).double()
    torch.manual_seed(1)
    features = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    conditions = torch.rand(2, 2, dtype=torch.float64, requires_grad=True)
    coordinates = [axis(3), axis(4)]
    assert torch.autograd.gradcheck(lambda x, condition: generator(condition).apply(x, coordinates), (features, conditions))
    generator(conditions).apply(features, coordinates).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in generator.parameters())


def test_it_starts_near_no_conditioning_and_tells_conditions_apart() -> None:
    torch.manual_seed(2)
    made = GuideGenerator(4, 64).requires_grad_(False)(torch.eye(4))
    for part in made:
        assert float(part.abs().max()) < 0.3
        assert float((part[0] - part[1]).abs().mean()) > 0.01


def test_one_condition_serves_a_batch_and_others_are_refused() -> None:
    made, features = drawn(batch=1), torch.randn(3, 3, 4, 5)
    coordinates = [axis(4), axis(5)]
    own = GuideParameters(*(part.expand(3, *part.shape[1:]) for part in made))
    torch.testing.assert_close(made.apply(features, coordinates), own.apply(features, coordinates))
    assert made.apply(features.bfloat16(), coordinates).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="scale has shape"):
        drawn(batch=2).apply(features, coordinates)
    with pytest.raises(ValueError, match="coordinates have 5 x 4 pixels"):
        made.apply(features, coordinates[::-1])

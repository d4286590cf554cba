import numpy as np
import pytest
import torch

from napari_film.training.augmentation import Patch, draw_patch


@pytest.fixture
def slice_pair() -> tuple[torch.Tensor, torch.Tensor]:
    """An image (1, 40, 30) whose bright disc is the mask."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(30.0), indexing="ij")
    disc = ((y - 18) ** 2 + (x - 13) ** 2 < 49)[None]
    return disc.float() * 2 - 1, disc


def test_image_and_mask_move_together(slice_pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    moved = set()
    for seed in range(20):
        patch = draw_patch(np.random.default_rng(seed), (40, 30), (40, 30))
        image, mask = Patch(patch.size, patch.centre, patch.angle, patch.scale).apply(*slice_pair)
        assert torch.equal(image > 0, mask > 0.5)
        moved.add(int(mask.sum()))
    assert len(moved) > 5


def test_no_augmentation_is_the_identity(slice_pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    image, mask = Patch.centred((40, 30), (40, 30)).apply(*slice_pair)
    torch.testing.assert_close(image, slice_pair[0])
    assert torch.equal(mask > 0.5, slice_pair[1])


@pytest.mark.parametrize("size", [(32, 24), (48, 32), (31, 33)])
def test_a_centred_patch_is_on_the_voxels(size: tuple[int, int]) -> None:
    image = torch.randn(2, 40, 30)
    cut, mask = Patch.centred((40, 30), size).apply(image, torch.zeros(1, 40, 30, dtype=torch.bool))
    assert cut.shape == (2, *size)
    assert mask.shape == (1, *size)
    assert all((torch.isclose(value, image, atol=1e-4)).any() for value in cut[0].flatten()[::97])


def test_intensities_change_and_keep_their_order_without_noise() -> None:
    image = torch.linspace(-2, 3, 64).reshape(1, 8, 8)
    for seed in range(10):
        patch = draw_patch(np.random.default_rng(seed), (8, 8), (8, 8))
        assert patch.intensity is not None
        step = patch.intensity[0]
        if step.noise:
            continue
        changed = step.apply(image[0]).flatten()
        assert (changed.diff() >= 0).all()
        assert torch.isfinite(changed).all()
        assert not torch.equal(changed, image.flatten())


def test_a_flat_slice_stays_finite() -> None:
    patch = draw_patch(np.random.default_rng(1), (8, 8), (8, 8), channels=2)
    image, _ = patch.apply(torch.zeros(2, 8, 8), torch.zeros(1, 8, 8, dtype=torch.bool))
    assert torch.isfinite(image).all()


def test_draws_are_keyed() -> None:
    def draw(*key: int) -> Patch:
        return draw_patch(np.random.default_rng(list(key)), (40, 30), (32, 32), channels=2)

    assert draw(0, 1, 2) == draw(0, 1, 2)
    assert len({draw(0, 1, 2).angle, draw(0, 2, 2).angle, draw(0, 1, 3).angle, draw(1, 1, 2).angle}) == 4

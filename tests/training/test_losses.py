import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional

from napari_film.training.losses import dice_and_cross_entropy, soft_dice_loss


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 1, 9, 7, generator=generator), (torch.rand(4, 1, 9, 7, generator=generator) > 0.7).float()


def test_dice_equals_monai_over_the_batch(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, truth = pair
    independent = DiceLoss(sigmoid=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)
    torch.testing.assert_close(soft_dice_loss(logits.sigmoid(), truth), independent(logits, truth))


def test_dice_of_counts() -> None:
    truth = torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    found = torch.tensor([1.0, 0.0, 1.0, 0.0]).reshape(1, 1, 2, 2)
    assert float(soft_dice_loss(found, truth)) == pytest.approx(1 - 3 / 5)
    assert float(soft_dice_loss(truth, truth)) == 0
    assert float(soft_dice_loss(torch.zeros_like(truth), torch.zeros_like(truth))) == 0


def test_cross_entropy_is_added(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, truth = pair
    expected = soft_dice_loss(logits.sigmoid(), truth) + functional.binary_cross_entropy(logits.sigmoid(), truth)
    torch.testing.assert_close(dice_and_cross_entropy(logits, truth), expected)

import math

import pytest
import torch
from monai.losses import DiceLoss, FocalLoss

from napari_film.training.losses import focal_loss, soft_dice_loss, soft_dice_loss_per_condition


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


def test_dice_per_condition_is_the_mean_over_conditions(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    probabilities, truth = pair[0].sigmoid(), pair[1]
    conditions = torch.eye(2)[[0, 1, 0, 0]]
    expected = (soft_dice_loss(probabilities[[0, 2, 3]], truth[[0, 2, 3]]) + soft_dice_loss(probabilities[[1]], truth[[1]])) / 2
    torch.testing.assert_close(soft_dice_loss_per_condition(probabilities, truth, conditions), expected)


def test_per_condition_a_small_organ_counts_as_much_as_a_large_one() -> None:
    truth = torch.zeros(2, 1, 20, 20)
    truth[0, :, :18], truth[1, :, :2, :2] = 1, 1
    without_small = truth.clone()
    without_small[1] = 0
    assert float(soft_dice_loss(without_small, truth)) < 0.01
    assert float(soft_dice_loss_per_condition(without_small, truth, torch.eye(2))) == pytest.approx(0.4)


def test_focal_loss_is_that_of_a_loop_and_of_monai(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, truth = (part * scale for part, scale in zip(pair, (3.0, 1.0), strict=True))
    total = 0.0
    for logit, true in zip(logits.double().flatten().tolist(), truth.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        total += -0.25 * (1 - p) ** 2 * math.log(p) if true else -0.75 * p**2 * math.log(1 - p)
    assert focal_loss(logits, truth).item() == pytest.approx(total / logits.numel(), rel=1e-5)
    torch.testing.assert_close(focal_loss(logits, truth), FocalLoss(gamma=2.0, alpha=0.25)(logits, truth))
    sure = torch.tensor([[[[60.0, -60.0]]]])
    assert focal_loss(sure, 1 - torch.tensor([[[[1.0, 0.0]]]])).item() == pytest.approx((0.75 * 60 + 0.25 * 60) / 2)

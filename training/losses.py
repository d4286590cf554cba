"""Losses on probabilities, and on logits.

    soft Dice = 1 - (2 Σ p t + 1) / (Σ p + Σ t + 1)        over the flattened batch, as the public code of Lemay et al. 2021

Where the values of a target field are of very different size (liver, kidneys), the large one decides the Σ of a mixed batch. The
same loss over the samples of each condition, averaged over the conditions, gives each its say.

    focal = mean of - α (1 - p)^γ t log p - (1 - α) p^γ (1 - t) log(1 - p)        Lin et al. 2017, with α 0.25 and γ 2

Axes: B batch, K classes, M columns of the condition, H height, W width.
"""

import torch
from torch import Tensor
from torch.nn import functional

SMOOTH = 1.0
FOCAL_ALPHA = 0.25
FOCAL_GAMMA = 2.0


def soft_dice_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    """One minus the soft Dice of ``probabilities`` and ``truth``, each (B, K, H, W), over all of their voxels at once."""
    overlap = (probabilities * truth).sum()
    return 1 - (2 * overlap + SMOOTH) / (probabilities.sum() + truth.sum() + SMOOTH)


def soft_dice_loss_per_condition(probabilities: Tensor, truth: Tensor, conditions: Tensor) -> Tensor:
    """Mean of `soft_dice_loss` over the samples of each different row of ``conditions`` (B, M)."""
    rows, group = torch.unique(conditions, dim=0, return_inverse=True)
    losses = [soft_dice_loss(probabilities[group == number], truth[group == number]) for number in range(len(rows))]
    return torch.stack(losses).mean()


def focal_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Sigmoid focal loss of ``logits`` against ``truth``, each (B, K, H, W), averaged over all of their voxels."""
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    missed = (logits.sigmoid() - truth).abs()  # 1 - the probability of what is true
    weight = FOCAL_ALPHA * truth + (1 - FOCAL_ALPHA) * (1 - truth)
    return (weight * missed.pow(FOCAL_GAMMA) * cross_entropy).mean()

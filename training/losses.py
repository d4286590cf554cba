"""Losses on probabilities.

    soft Dice = 1 - (2 Σ p t + 1) / (Σ p + Σ t + 1)        over the flattened batch, as the public code of Lemay et al. 2021

Where the values of a target field are of very different size (liver, kidneys), the large one decides the Σ of a mixed batch. The
same loss over the samples of each condition, averaged over the conditions, gives each its say.

Axes: B batch, K classes, M columns of the condition, H height, W width.
"""

import torch
from torch import Tensor

SMOOTH = 1.0


def soft_dice_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    """One minus the soft Dice of ``probabilities`` and ``truth``, each (B, K, H, W), over all of their voxels at once."""
    overlap = (probabilities * truth).sum()
    return 1 - (2 * overlap + SMOOTH) / (probabilities.sum() + truth.sum() + SMOOTH)


def soft_dice_loss_per_condition(probabilities: Tensor, truth: Tensor, conditions: Tensor) -> Tensor:
    """Mean of `soft_dice_loss` over the samples of each different row of ``conditions`` (B, M)."""
    rows, group = torch.unique(conditions, dim=0, return_inverse=True)
    losses = [soft_dice_loss(probabilities[group == number], truth[group == number]) for number in range(len(rows))]
    return torch.stack(losses).mean()

"""Losses on probabilities.

    soft Dice = 1 - (2 Σ p t + 1) / (Σ p + Σ t + 1)        over the flattened batch, as the public code of Lemay et al. 2021

Axes: B batch, K classes, H height, W width.
"""

from torch import Tensor
from torch.nn import functional

SMOOTH = 1.0


def soft_dice_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    """One minus the soft Dice of ``probabilities`` and ``truth``, each (B, K, H, W), over all of their voxels at once."""
    overlap = (probabilities * truth).sum()
    return 1 - (2 * overlap + SMOOTH) / (probabilities.sum() + truth.sum() + SMOOTH)


def dice_and_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Soft Dice loss plus binary cross-entropy, from ``logits`` (B, K, H, W)."""
    return soft_dice_loss(logits.sigmoid(), truth) + functional.binary_cross_entropy_with_logits(logits, truth)

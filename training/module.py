"""The training and validation steps, for Lightning's Trainer.

Axes: B batch, C channels, K classes, M columns of the condition, H height, W width; n slices of one case.
"""

from collections import defaultdict
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_film.conditioning import UNKNOWN
from napari_film.header import DEFAULT_THRESHOLD
from napari_film.models.unet import FiLMedUNet

from .cases.case import given
from .losses import soft_dice_loss, soft_dice_loss_per_condition
from .prepared import PreparedCase
from .recipe import Recipe
from .scoring import dice_score

MEAN_DICE = "dice"
"""What the best checkpoint is chosen by: 3D Dice on the network grid, averaged over cases, then over condition values."""

VALIDATION_BATCH = 4


class TrainingModule(lightning.LightningModule):
    """Trains ``network`` as ``recipe`` says."""

    def __init__(self, network: FiLMedUNet, recipe: Recipe) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recipe = recipe
        self._schema = recipe.metadata_schema()
        self._dice: dict[str, list[float]] = defaultdict(list)

    def configure_optimizers(self) -> Any:
        """Adam, and a cosine from the learning rate to zero over all epochs."""
        training = self.recipe.training
        optimizer = torch.optim.Adam(self.parameters(), lr=training.learning_rate)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=training.epochs)]

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Key what dropout draws by (seed, epoch, batch), so that it depends on nothing before."""
        key = np.random.SeedSequence([self.recipe.training.seed, self.current_epoch, batch_idx])
        torch.manual_seed(int(key.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of images (B, C, H, W) under conditions (B, M) against the truth (B, K, H, W)."""
        images, conditions, truth = batch
        logits = self.network.logits(images.contiguous(memory_format=torch.channels_last), self.network.film(conditions)).float()
        settings = self.recipe.training
        if settings.dice_over == "batch":
            loss = soft_dice_loss(logits.sigmoid(), truth)
        else:
            loss = soft_dice_loss_per_condition(logits.sigmoid(), truth, conditions)
        if settings.loss == "dice+bce":
            loss = loss + functional.binary_cross_entropy_with_logits(logits, truth)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(images))
        return loss

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leave whole cases where they are; ``validation_step`` moves a few slices at a time."""
        return batch if isinstance(batch, PreparedCase) else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def validation_step(self, batch: PreparedCase, batch_idx: int) -> None:
        """Collect the 3D Dice of one case under its own values, and under *unknown* where the model is trained for it."""
        swapped = self.recipe.swapped()
        for value in batch.case.values:
            truth = batch.truth(self.recipe, value)
            told = {value} | ({UNKNOWN} if swapped is not None and swapped.unknown else set())
            for name in sorted(told):
                mask = self._segment(batch, name)
                scores = [dice_score(mask[:, k], truth[:, k]) for k in range(truth.shape[1])]
                self._dice[name] += [score for score in scores if score is not None]

    def on_validation_epoch_end(self) -> None:
        """Log mean Dice per value, and over the values but *unknown*."""
        means = {value: float(np.mean(scores)) for value, scores in self._dice.items() if scores}
        self._dice.clear()
        for value, mean in means.items():
            self.log(f"{MEAN_DICE}/{value}", mean)
        known = [mean for value, mean in means.items() if value != UNKNOWN]
        self.log(MEAN_DICE, float(np.mean(known)) if known else 0.0)

    def _segment(self, case: PreparedCase, value: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Mask (n, K, h, w) of ``case`` told ``value``, at the default threshold."""
        condition = torch.from_numpy(self._schema.encode(given(self.recipe, case.case, value)))[None].to(self.device)
        film = self.network.film(condition)
        masks = []
        for start in range(0, len(case.images), VALIDATION_BATCH):
            images = torch.from_numpy(case.images[start : start + VALIDATION_BATCH].astype(np.float32)).to(self.device)
            logits = self.network.logits(images.contiguous(memory_format=torch.channels_last), film)
            masks.append((logits.float().sigmoid() >= DEFAULT_THRESHOLD / 256).cpu().numpy())
        return np.concatenate(masks)

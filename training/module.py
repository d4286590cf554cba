"""The training and validation steps, for Lightning's Trainer.

Axes: B batch, C channels, K classes, M columns of the condition, H height, W width; n slices of one case.
"""

import math
from collections import defaultdict
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_film.fields import UNKNOWN
from napari_film.header import DEFAULT_THRESHOLD
from napari_film.models.position import Position
from napari_film.models.unet import ConditionedUNet

from .cases.case import given
from .losses import focal_loss, soft_dice_loss, soft_dice_loss_per_condition
from .prepared import PreparedCase
from .recipe import Recipe
from .scoring import dice_score

MEAN_DICE = "dice"
"""What the best checkpoint is chosen by: 3D Dice on the network grid, averaged over cases, then over condition values."""

VALIDATION_BATCH = 4


class TrainingModule(lightning.LightningModule):
    """Trains ``network`` as ``recipe`` says, and scores it on so many ``validation_cases``, which all processes share."""

    def __init__(self, network: ConditionedUNet, recipe: Recipe, *, validation_cases: int) -> None:
        super().__init__()
        self.validation_cases = validation_cases
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recipe = recipe
        self._schema = recipe.metadata_schema()
        self._dice: dict[int, dict[str, list[float]]] = {}

    def configure_optimizers(self) -> Any:
        """Adam; its learning rate is set epoch by epoch."""
        fused = self.device.type in {"cpu", "cuda"}  # all parameters in one go
        return torch.optim.Adam(self.parameters(), lr=self.recipe.training.learning_rate, fused=fused)

    def on_train_epoch_start(self) -> None:
        """Set the learning rate, by the number of the epoch alone: the recipe's, or a cosine from that to zero over all epochs.

        So it depends on nothing before, and a resumed training with another number of epochs follows the new cosine.
        """
        training = self.recipe.training
        part = (1 + math.cos(math.pi * self.current_epoch / training.epochs)) / 2 if training.schedule == "cosine" else 1.0
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = training.learning_rate * part

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Key what dropout draws by (seed, epoch, batch, process), so that it depends on nothing before."""
        key = np.random.SeedSequence([self.recipe.training.seed, self.current_epoch, batch_idx, self.global_rank])
        torch.manual_seed(int(key.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of images (B, C, H, W) under conditions (B, M), each at its position (B, 5), against the truth (B, K, H, W)."""
        images, conditions, truth, positions = batch
        images = images.contiguous(memory_format=torch.channels_last)
        modulations = self.network.modulations(conditions)
        logits = self.network.logits(images, modulations, Position(*positions.unbind(1)), conditions).float()
        settings = self.recipe.training
        if settings.dice_over == "batch":
            loss = soft_dice_loss(logits.sigmoid(), truth)
        else:
            loss = soft_dice_loss_per_condition(logits.sigmoid(), truth, conditions)
        if settings.loss == "dice+bce":
            loss = loss + functional.binary_cross_entropy_with_logits(logits, truth)
        elif settings.loss == "focal+dice":
            loss = loss + focal_loss(logits, truth)
        if settings.sigma_penalty and "inside" in self.network.architecture.places:
            loss = loss + settings.sigma_penalty * self.network.window_penalty(modulations)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(images), sync_dist=self.trainer.world_size > 1)
        return loss

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leave whole cases where they are; ``validation_step`` moves a few slices at a time."""
        return batch if isinstance(batch, PreparedCase) else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_validation_start(self) -> None:
        """Let all processes score one network: the first one's, batch statistics included, which is the one that is kept."""
        self._dice.clear()
        if self.trainer.world_size > 1:
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def validation_step(self, batch: PreparedCase, batch_idx: int) -> None:
        """Collect the 3D Dice of one case under its own values, and under *unknown* where the model is trained for it."""
        found: dict[str, list[float]] = defaultdict(list)
        for value in batch.case.values:
            truth = batch.truth(self.recipe, value)
            for name in self._told(value):
                mask = self.segment(batch, name)
                scores = [dice_score(mask[:, k], truth[:, k]) for k in range(truth.shape[1])]
                found[name] += [score for score in scores if score is not None]
        self._dice[batch_idx * self.trainer.world_size + self.global_rank] = dict(found)

    def on_validation_epoch_end(self) -> None:
        """Log mean Dice per value, and over the values but *unknown*; a case that two processes scored counts once."""
        everywhere: list[dict[int, dict[str, list[float]]]] = [self._dice]
        if self.trainer.world_size > 1:
            everywhere = [{} for _ in range(self.trainer.world_size)]
            torch.distributed.all_gather_object(everywhere, self._dice)
        cases = {number: case for part in everywhere for number, case in part.items() if number < self.validation_cases}
        scores: dict[str, list[float]] = defaultdict(list)
        for _, case in sorted(cases.items()):
            for value, own in case.items():
                scores[value] += own
        swapped = self.recipe.swapped()
        order = dict.fromkeys((*(swapped.values if swapped else ()), *scores))
        means = {value: float(np.mean(scores[value])) for value in order if scores[value]}
        for value, mean in means.items():
            self.log(f"{MEAN_DICE}/{value}", mean)
        known = [mean for value, mean in means.items() if value != UNKNOWN]
        self.log(MEAN_DICE, float(np.mean(known)) if known else 0.0)

    def _told(self, value: str) -> list[str]:
        """Values to validate a case of ``value`` under."""
        swapped = self.recipe.swapped()
        both = swapped is not None and swapped.unknown and self.recipe.training.prior == "known"
        return sorted({value, UNKNOWN}) if both else [value]

    @torch.no_grad()
    def segment(self, case: PreparedCase, value: str, slices: slice = slice(None)) -> NDArray[np.bool_]:
        """Mask (n, K, h, w) of the ``slices`` of ``case`` told ``value``, at the default threshold."""
        encoded = self._schema.encode(given(self.recipe, case.case, value)).tolist()
        count = case.shape[0]
        numbers = range(count)[slices]
        masks = []
        stack = case.images[slices]
        for start in range(0, len(stack), VALIDATION_BATCH):
            part = numbers[start : start + VALIDATION_BATCH]
            told = [self._schema.at_slice(encoded, k, count) for k in (part if self._schema.is_by_slice(encoded) else part[:1])]
            conditions = torch.tensor(told, dtype=torch.float32, device=self.device)
            images = torch.from_numpy(stack[start : start + VALIDATION_BATCH].astype(np.float32)).to(self.device)
            images = images.contiguous(memory_format=torch.channels_last)
            logits = self.network.logits(images, self.network.modulations(conditions), case.position, conditions)
            masks.append((logits.float().sigmoid() >= DEFAULT_THRESHOLD / 256).cpu().numpy())
        return np.concatenate(masks)

"""What the network is shown: single slices of the cases in the cache, and whole cases to validate on.

Axes: C channels, M columns of the condition, (h, w) the padded network grid, K classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from napari_film.conditioning import MetadataSchema
from napari_film.fields import UNKNOWN, Value

from .augmentation import Patch, draw_intensity, draw_patch
from .cache import Cache
from .cases.case import Case, given
from .flips import draw_flips, flip_metadata, flip_position, flip_slice
from .prepared import PreparedCase
from .recipe import Recipe
from .sampling import Sample


def prepare_cases(
    cases: Sequence[Case], recipe: Recipe, cache: Cache, *, progress: Callable[[], None] | None = None
) -> tuple[PreparedCase, ...]:
    """Prepare ``cases`` into ``cache``, or find them there; ``progress`` is called after each."""
    prepared = []
    for case in cases:
        prepared.append(cache.prepared(case, recipe))
        if progress is not None:
            progress()
    return tuple(prepared)


class TrainingSlices(Dataset[tuple[Tensor, Tensor, Tensor, Tensor]]):
    """Gives for a `Sample` the image (C, h, w), the condition (M,), the truth (K, h, w) and the numbers of its `Position` (5,): float32.

    Whatever is drawn (patch, intensity, metadata dropout) depends on (seed, epoch, index) alone.
    """

    def __init__(self, cases: Sequence[PreparedCase], recipe: Recipe) -> None:
        self.cases = tuple(cases)
        self.recipe = recipe
        self.schema: MetadataSchema = recipe.metadata_schema()
        largest = np.max([case.shape[2:] for case in cases], axis=0)
        self._upright = recipe.looks_at_position
        self.patch: tuple[int, int] = recipe.training.patch or (int(largest[0]), int(largest[1]))

    def metadata(self, sample: Sample, rng: np.random.Generator) -> dict[str, Value]:
        """Metadata that the network is told: the true ones, some replaced by *unknown* where a field has that."""
        told = given(self.recipe, self.cases[sample.case].case, sample.value)
        for field in self.schema:
            if field.unknown and rng.random() < self.recipe.training.metadata_dropout:
                told[field.name] = UNKNOWN
        return told

    def __getitem__(self, sample: Sample) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        rng = np.random.default_rng([self.recipe.training.seed, sample.epoch, sample.index])
        source = self.cases[sample.case]
        truth = source.truth_of(sample.slice, self.recipe, sample.value)
        told = self.metadata(sample, rng)
        image = torch.from_numpy(source.images[sample.slice].astype(np.float32))
        patch = self._patch(rng, source.shape)
        image, mask = patch.apply(image, torch.from_numpy(truth))
        flips = draw_flips(rng, self.recipe.training.flips)
        condition = self.schema.encode(flip_metadata(told, flips, self.recipe)).tolist()
        condition = self.schema.at_slice(condition, sample.slice, source.shape[0])
        # A rotated patch has none; then nothing looks at it.
        position = patch.position(source.whole) if self._upright else source.position
        position = flip_position(position, self.patch, flips, self.recipe)
        return (
            flip_slice(image, flips, self.recipe),
            torch.tensor(condition, dtype=torch.float32),
            flip_slice(mask, flips, self.recipe),
            torch.tensor(position, dtype=torch.float32),
        )

    def _patch(self, rng: np.random.Generator, shape: tuple[int, int, int, int]) -> Patch:
        """Draw a patch of slices (n, C, h, w) of ``shape``, distorted as far as the recipe says."""
        _, channels, height, width = shape
        if self.recipe.training.augmentation is True:
            return draw_patch(rng, (height, width), self.patch, channels=channels, upright=self._upright)
        patch = Patch.centred((height, width), self.patch)
        return replace(patch, intensity=draw_intensity(rng, channels)) if self.recipe.training.augmentation == "intensity" else patch


class ValidationCases(Dataset[PreparedCase]):
    """Whole cases, one after the other."""

    def __init__(self, cases: Sequence[PreparedCase]) -> None:
        self.cases = tuple(cases)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> PreparedCase:
        return self.cases[index]

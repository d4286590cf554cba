"""Slices of all cases, prepared as inference prepares them, held in memory.

Axes: n slices, C channels, (h, w) the padded network grid, K classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from napari_film import nifti
from napari_film.conditioning import UNKNOWN, MetadataSchema, Value
from napari_film.preprocessing import Prepared, prepare

from .augmentation import Patch, draw_patch
from .cases.case import Case, given
from .recipe import Recipe
from .sampling import Sample


@dataclass(frozen=True)
class PreparedCase:
    """``images`` (n, C, h, w) float16, normalised; ``labels`` (n, h, w) integers as in the mask, 0 in the padding."""

    case: Case
    images: NDArray[np.float16]
    labels: NDArray[np.uint8]

    def truth(self, recipe: Recipe, value: str) -> NDArray[np.bool_]:
        """What to segment under ``value``: (n, K, h, w)."""
        return np.stack([np.isin(self.labels, labels) for labels in recipe.class_labels(value)], axis=1)

    def shows(self, recipe: Recipe, value: str) -> NDArray[np.bool_]:
        """Say for each slice whether there is something to segment under ``value``: (n,)."""
        return np.asarray(self.truth(recipe, value).any(axis=(1, 2, 3)))


def open_case(case: Case, recipe: Recipe) -> Prepared:
    """Read the images of ``case`` and make them ready, by the recipe's preprocessing."""
    return prepare([nifti.read(path) for path in case.images], recipe.checkpoint_preprocessing())


def prepare_case(case: Case, recipe: Recipe) -> PreparedCase:
    """Read ``case`` into memory."""
    prepared = open_case(case, recipe)
    images = np.stack([prepared.image(k) for k in range(prepared.network_shape[0])]).astype(np.float16)
    labels = prepared.labels(nifti.read(case.mask))
    padding = [(0, padded - side) for padded, side in zip(images.shape[2:], labels.shape[1:], strict=True)]
    return PreparedCase(case, images, np.pad(labels, [(0, 0), *padding]))


def prepare_cases(cases: Sequence[Case], recipe: Recipe, *, progress: Callable[[], None] | None = None) -> tuple[PreparedCase, ...]:
    """Read ``cases`` into memory; ``progress`` is called after each."""
    prepared = []
    for case in cases:
        prepared.append(prepare_case(case, recipe))
        if progress is not None:
            progress()
    return tuple(prepared)


class TrainingSlices(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Gives for a `Sample` the image (C, h, w), the condition (M,) and the truth (K, h, w), each float32.

    Whatever is drawn (patch, intensity, metadata dropout) depends on (seed, epoch, index) alone.
    """

    def __init__(self, cases: Sequence[PreparedCase], recipe: Recipe) -> None:
        self.cases = tuple(cases)
        self.recipe = recipe
        self.schema: MetadataSchema = recipe.metadata_schema()
        largest = np.max([case.images.shape[2:] for case in cases], axis=0)
        self.patch: tuple[int, int] = recipe.training.patch or (int(largest[0]), int(largest[1]))

    def metadata(self, sample: Sample, rng: np.random.Generator) -> dict[str, Value]:
        """Metadata that the network is told: the true ones, some replaced by *unknown* where a field has that."""
        told = given(self.recipe, self.cases[sample.case].case, sample.value)
        for field in self.schema:
            if field.unknown and rng.random() < self.recipe.training.metadata_dropout:
                told[field.name] = UNKNOWN
        return told

    def __getitem__(self, sample: Sample) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng([self.recipe.training.seed, sample.epoch, sample.index])
        source = self.cases[sample.case]
        labels = source.labels[sample.slice]
        truth = np.stack([np.isin(labels, wanted) for wanted in self.recipe.class_labels(sample.value)])
        condition = self.schema.encode(self.metadata(sample, rng))
        shape = (int(labels.shape[0]), int(labels.shape[1]))
        image = torch.from_numpy(source.images[sample.slice].astype(np.float32))
        if self.recipe.training.augmentation:
            patch = draw_patch(rng, shape, self.patch, channels=len(image))
        else:
            patch = Patch.centred(shape, self.patch)
        image, mask = patch.apply(image, torch.from_numpy(truth))
        return image, torch.from_numpy(condition), mask


class ValidationCases(Dataset[PreparedCase]):
    """Whole cases, one after the other."""

    def __init__(self, cases: Sequence[PreparedCase]) -> None:
        self.cases = tuple(cases)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> PreparedCase:
        return self.cases[index]

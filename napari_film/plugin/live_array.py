"""What a layer holds in place of an array: voxels that are made the moment somebody looks at them.

A swap, a threshold or a new slice costs a refresh of what is in view, whatever the size of the volume, and nothing of it
is kept. There is no ``__setitem__``: nobody can draw on it. What is read comes from one immutable source, replaced as a
whole by the main thread; so a reader on any thread sees one mask or the other, never parts of two.

Axes: those of the layer, (S, A, R) for volumes of ours, rows and columns for pictures. q: probabilities in 256ths.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_film.comparison.maps import disagreement, sensitivity
from napari_film.inference.masks import NOT_COMPUTED, label_mask
from napari_film.inference.mixture import mix
from napari_film.plugin.composition import Composition, Share
from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.volume import SliceAxis

NEITHER, BOTH, ONLY_A, ONLY_B = range(4)
"""Labels of a difference."""


class Source(Protocol):
    """Voxels by index, as numpy's basic indexing means it."""

    def __getitem__(self, index: Any, /) -> NDArray[Any]: ...


class LiveArray:
    """An array-like that asks its ``source`` anew each time; ``shape`` is that of the layer's axes, three or a picture's two."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, source: Source) -> None:
        self.shape = shape
        self.ndim = len(shape)
        self.dtype = np.dtype(dtype)
        self.size = int(np.prod(shape))
        self.source = source

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return self.source[index]

    def __deepcopy__(self, memo: Any) -> NDArray[Any]:
        """A copy is an ordinary array: napari duplicates layers so."""
        return np.array(self)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.source[...], dtype=dtype)


class Blank:
    """Nothing to see: ``value`` everywhere."""

    def __init__(self, shape: tuple[int, ...], value: float, dtype: DTypeLike) -> None:
        self._whole = np.broadcast_to(np.asarray(value, dtype=dtype), shape)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return np.array(self._whole[index])


class MadeAnew:
    """What ``make`` gives, each time somebody looks: for a layer out of view, which shall keep no voxels alive."""

    def __init__(self, make: Callable[[], Source]) -> None:
        self._make = make

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return self._make()[index]


class LiveLabels:
    """Labels of a composition; NOT_COMPUTED where a part of it was not computed.

    Before a clean-up was done, slices are as they were without it.

    Parameters
    ----------
    composition
        What the mask is put together of.
    geometry, slice_axis
        Of the layer that shows it.
    cleaned
        Labels (N, H, W) in sliced layout that take the place of all, once the clean-up was done.
    """

    def __init__(
        self, composition: Composition, geometry: LayerGeometry, slice_axis: SliceAxis, *, cleaned: NDArray[np.uint8] | None = None
    ) -> None:
        self.composition = composition
        self._view: Callable[[NDArray[Any]], NDArray[Any]] = partial(geometry.to_layer, slice_axis=slice_axis)
        self._cleaned = None if cleaned is None else self._view(cleaned)
        self._parts = [[(percent, self._view(kept.q)) for percent, kept in share.parts] for share in composition.shares]
        self.shape = geometry.shape

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        if self._cleaned is not None:
            return np.array(self._cleaned[index])
        if index is Ellipsis:  # whole, for a file or a copy: then as it is said to be, however long that takes
            return np.ascontiguousarray(self._view(self.composition.labels()))
        computed = self.computed(index)  # before the voxels: what is marked as computed is never written again
        labels = label_mask(self.planes(index), self.composition.thresholds)
        labels[~computed] = NOT_COMPUTED
        return labels

    def computed(self, index: Any) -> NDArray[np.bool_]:
        """Where every part was computed."""
        known = self.composition.computed
        shape = self.composition.opened.prepared.shape
        return np.array(self._view(np.broadcast_to(known[:, None, None], shape))[index])

    def planes(self, index: Any) -> list[NDArray[np.uint8]]:
        """Probabilities of each label."""
        return [
            plane
            for share, parts in zip(self.composition.shares, self._parts, strict=True)
            for plane in _planes(share, [(percent, view[(slice(None), *_tuple(index))]) for percent, view in parts])
        ]


class LiveDifference:
    """Where two masks agree and where they do not: BOTH, ONLY_A, ONLY_B; NOT_COMPUTED where either was not computed.

    Labels above background count as one: of several structures, voxels that A and B give to different ones are in both.
    """

    def __init__(self, a: LiveLabels, b: LiveLabels) -> None:
        self._a = a
        self._b = b

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        a, b = self._a[index], self._b[index]
        difference = np.select([(a > 0) & (b > 0), a > 0, b > 0], [BOTH, ONLY_A, ONLY_B], NEITHER).astype(np.uint8)
        difference[(a == NOT_COMPUTED) | (b == NOT_COMPUTED)] = NOT_COMPUTED
        return difference


class LiveSensitivity:
    """How far the probability moves over several masks: maximum minus minimum, 0 to 1; NaN where one was not computed.

    Of several classes that which moves most counts.
    """

    def __init__(self, masks: Sequence[LiveLabels]) -> None:
        self._masks = tuple(masks)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        computed = np.logical_and.reduce([mask.computed(index) for mask in self._masks])
        by_class = zip(*(mask.planes(index) for mask in self._masks), strict=True)
        moved = np.maximum.reduce([sensitivity(planes) for planes in by_class])
        return np.where(computed, moved, np.float32(np.nan))


class LiveDisagreement:
    """How many of several masks call a voxel foreground; NaN where one was not computed."""

    def __init__(self, masks: Sequence[LiveLabels]) -> None:
        self._masks = tuple(masks)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        labels = [mask[index] for mask in self._masks]
        known = np.logical_and.reduce([found != NOT_COMPUTED for found in labels])
        counted = disagreement([found > 0 for found in labels])
        return np.where(known, counted, np.float32(np.nan)).astype(np.float32)


def _planes(share: Share, parts: Sequence[tuple[int, NDArray[np.uint8]]]) -> list[NDArray[np.uint8]]:
    if len(parts) == 1:
        return list(parts[0][1])
    percents = [percent for percent, _ in parts]
    return [mix([planes[label] for _, planes in parts], percents) for label in range(len(share.thresholds))]


def _tuple(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)

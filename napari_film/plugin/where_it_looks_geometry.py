"""Where the windows of a model lie on a layer: from the network's relative coordinates to the voxels that a person sees.

    network index i  = (u + 1) · length / 2 - ½          u: -1 to 1 over the network's slice without its padding
    layer index      = layer's affine⁻¹ · network grid's affine · (n, h, w)

Both grids are the same voxels' in other orders, flips and spacings, so the way between them has no rotation: a window whose
axes are those of the network's slice is one on the layer too.

Axes: (n, h, w) network grid, (N, H, W) the source in sliced layout, K windows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film.plugin.layer_geometry import LayerGeometry
from napari_film.preprocessing import Prepared
from napari_film.volume import SliceAxis, slicing

_ANGLES = 2 * np.pi * np.array([*range(48), 0]) / 48
_APART = 1e-3  # voxels
_CIRCLE = np.stack([np.sin(_ANGLES), np.cos(_ANGLES)], axis=-1)


class WindowGeometry:
    """What is relative, on the voxels of one layer.

    Parameters
    ----------
    prepared
        The opened images.
    geometry
        Of the layer of their reference.

    Attributes
    ----------
    rows, columns
        u of the source's rows (H,) and columns (W,), in sliced layout; float64.
    """

    def __init__(self, prepared: Prepared, geometry: LayerGeometry) -> None:
        self._geometry = geometry
        self._axis: SliceAxis = prepared.preprocessing.slice_axis
        self._lengths = np.array(prepared.network_shape[1:], dtype=np.float64)
        layer = geometry.order.grid(geometry.grid).affine
        self._to_layer = np.asarray(np.linalg.solve(layer, prepared.network_grid.affine), dtype=np.float64)
        sliced = slicing(geometry.grid, self._axis).grid(geometry.grid)
        to_network = np.asarray(np.linalg.solve(prepared.network_grid.affine, sliced.affine), dtype=np.float64)
        self.rows, self.columns = (self._relative(to_network, axis, sliced.shape[axis]) for axis in (1, 2))

    def points(self, relative: NDArray[Any], index: int) -> NDArray[np.float64]:
        """Give where ``relative`` (..., 2: along h, w) lies on slice ``index`` of the source: (..., layer's axes), in its voxels."""
        inside = (np.asarray(relative, dtype=np.float64) + 1) * self._lengths / 2 - 0.5
        network = np.concatenate([np.zeros((*inside.shape[:-1], 1)), inside, np.ones((*inside.shape[:-1], 1))], axis=-1)
        found = (network @ self._to_layer.T)[..., :3]
        # Slices have numbers, not places: with another spacing along them, or rounding, napari would show a window on none.
        found[..., self._geometry.slice_dimension(self._axis)] = self._geometry.slice_of(index, self._axis)
        return np.asarray(found[..., 1:] if self._geometry.flat else found)

    def ellipses(self, centre: NDArray[Any], size: NDArray[Any], index: int) -> list[NDArray[np.float64]]:
        """Give closed outlines, K of (points, layer's axes), of ellipses with half axes ``size`` around ``centre``, each (K, 2), relative.

        They end at the edge of the image: beyond it napari would widen the axes of the viewer. None is smaller than a voxel of the
        network's.
        """
        found = self.points(centre[:, None] + _CIRCLE * np.maximum(size, 1 / self._lengths)[:, None], index)
        return [_distinct(outline) for outline in np.clip(found, -0.5, np.array(self._geometry.shape) - 0.5)]

    def _relative(self, to_network: NDArray[np.float64], axis: int, length: int) -> NDArray[np.float64]:
        network = to_network[axis, axis] * np.arange(length) + to_network[axis, 3]
        return np.asarray(2 * (network + 0.5) / self._lengths[axis - 1] - 1)


def _distinct(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out points that lie on the one before, as those do that were cut off at a corner: napari draws spikes there."""
    apart = np.abs(np.diff(outline, axis=0)).max(axis=1) > _APART
    kept = outline[np.concatenate([apart, [False]])]
    return np.concatenate([kept, kept[:1]])

"""napari layers and Volumes: the one place that knows both.

Layers that we make have the axes (S, A, R), or (t, S, A, R); see ``layer_geometry.py``. Voxels become layer axes by flips and a
permutation, never by a copy.

Layers from elsewhere: their world axes, reversed, are taken as RAS mm, the convention of plugins that show (z, y, x). Those
of napari-nifti mirror the display, and carry the true affine in their metadata instead, which is used.

A layer of two axes, grey or in colour, is a picture (rows, columns): one slice, of pixels of 1 mm where nobody says otherwise.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_film.errors import InputError
from napari_film.plugin.layer_geometry import REVERSED, LayerGeometry, displayed, pictured
from napari_film.volume import FileGeometry, Grid, Reorder, Volume

if TYPE_CHECKING:
    from napari.layers import Image, Labels

METADATA_KEY = "napari_film"
"""Where a layer's ``metadata`` keep what is ours: a dict of "geometry", and "names", "model", "path" where there are such."""

AXIS_LABELS = ("S", "A", "R")
LayerData = tuple[Any, dict[str, Any], Literal["image", "labels"]]

_NAPARI_NIFTI = {"affine", "coordinate_system", "header"}
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
_NIFTI = (".nii", ".nii.gz")
_PICTURES = (".png", ".tif", ".tiff")


class LayerError(InputError):
    """A layer that cannot be used as a volume."""


class GeometryNeeded(LayerError):
    """A layer that does not say how large its voxels are; a person has to."""

    def __init__(self, layer: "Image | Labels") -> None:
        super().__init__(f"{layer.name} does not say how large its voxels are; give its voxel size in mm.")
        self.layer = layer


def layer_data_from_volume(
    volume: Volume,
    *,
    kind: Literal["image", "labels"] = "image",
    name: str | None = None,
    names: Mapping[int, str] | None = None,
    **extra: Any,  # goes into our part of the layer's metadata, such as model="abdomen"
) -> LayerData:
    """Give what ``viewer.add_image`` or ``add_labels`` takes to show ``volume``; a view of its data.

    Parameters
    ----------
    volume
        (I, J, K) or (I, J, K, T); the fourth axis comes first in the layer, in seconds where its unit is known.
    kind
        Layer type. Labels of floats that are whole numbers become integers.
    name
        Name of the layer; None takes the file's, without its ending.
    names
        Names of labels, kept for saving and shown in the status bar.
    extra
        More to keep in ``metadata["napari_film"]``.
    """
    geometry = displayed(volume)
    data = volume.data if volume.data.ndim == 3 else np.moveaxis(volume.data, -1, 0)
    data = geometry.order.apply(data)
    if kind == "labels":
        data = _whole(data, volume.label)
    scale, translate = list(np.diag(geometry.world)[:3]), list(geometry.world[:3, 3])
    units, axis_labels = ["mm"] * 3, list(AXIS_LABELS)
    if data.ndim == 4:
        step, unit = _time(volume.file)
        scale, translate, units, axis_labels = [step, *scale], [0.0, *translate], [unit, *units], ["t", *axis_labels]
    arguments: dict[str, Any] = {
        "name": name or _stem(volume.name) or "volume",
        "scale": scale,
        "translate": translate,
        "units": units,
        "axis_labels": axis_labels,
        "metadata": {METADATA_KEY: {"geometry": geometry, "file_name": volume.name, **extra}},
    }
    if kind == "labels":
        _add_names(arguments, names)
    else:
        arguments["rgb"] = False  # napari takes three or four voxels along the last axis for colours
        arguments["contrast_limits"] = contrast_limits(data)
    return data, arguments, kind


def layer_data_from_picture(picture: Volume, *, name: str | None = None, **extra: Any) -> LayerData:
    """Give what ``viewer.add_image`` takes to show ``picture``, (I, J, 1) or (I, J, 1, 3 or 4); a view of its data.

    ``name`` and ``extra`` are as for :func:`layer_data_from_volume`.
    """
    geometry = pictured(picture.grid)
    data = geometry.order.apply(picture.data, first=0)[0]
    ours = {"geometry": geometry, "file_name": picture.name, **extra}
    arguments = {"name": name or Path(picture.name).stem or "picture", "rgb": data.ndim == 3, "metadata": {METADATA_KEY: ours}}
    return data, arguments, "image"


def geometry_of(layer: "Image | Labels") -> LayerGeometry:
    """Give where the voxels of ``layer`` lie; of a picture, its pixels.

    What we stored with the layer counts as long as its shape and its place in the display are as they were. If a person
    cropped or moved it, its voxels lie where they are seen.

    Raises
    ------
    LayerError
        If the layer is a stack of colour pictures, or has other than two or three spatial axes.
    GeometryNeeded
        If it does not say how large its voxels are.
    """
    flat = layer.ndim == 2
    if getattr(layer, "rgb", False) and not flat:
        raise LayerError(
            f"{layer.name} is a stack of colour (RGB) pictures; one number per voxel is expected, so convert it to grey values, "
            "or open one picture alone."
        )
    if layer.ndim not in (2, 3, 4):
        raise LayerError(
            f"{layer.name} has {layer.ndim} axes; a picture of two or a volume of three axes is expected, or four with time first."
        )
    if not has_geometry(layer):
        raise GeometryNeeded(layer)
    world = _world(layer)
    a, b, c = (1, *_lengths(layer)) if flat else _lengths(layer)
    known = _ours(layer).get("geometry")
    if isinstance(known, LayerGeometry) and known.shape == _lengths(layer) and np.allclose(known.world, world, rtol=1e-6, atol=1e-6):
        return known
    if flat:
        return pictured(Grid((c, b, a), REVERSED @ world @ REVERSED))
    order = Reorder((2, 1, 0), (False, False, False))
    affine = (known.to_ras if isinstance(known, LayerGeometry) else REVERSED) @ world
    if not isinstance(known, LayerGeometry) and _of_napari_nifti(layer):
        return LayerGeometry(Grid((c, b, a), np.asarray(layer.metadata["affine"], dtype=np.float64)), order, world)
    return LayerGeometry(Grid((c, b, a), affine @ REVERSED), order, world)


def volume_from_layer(layer: "Image | Labels") -> Volume:
    """Give the volume that ``layer`` shows: the inverse of :func:`layer_data_from_volume`, for any layer.

    Of a multiscale layer the full resolution is taken; lazy (dask) arrays are computed. A picture (H, W) becomes (W, H, 1), one
    in colour (W, H, 1, 3 or 4). Raises as :func:`geometry_of`.
    """
    geometry = geometry_of(layer)
    data = np.asarray(_array(layer))
    if geometry.flat:
        data = geometry.order.undo(data[None], first=0)
    else:
        data = geometry.order.undo(data)
        data = np.moveaxis(data, 0, -1) if data.ndim == 4 else data
    return Volume(data, geometry.grid.affine, _file_name(layer), geometry.file)


def is_picture(layer: "Image | Labels") -> bool:
    """Whether a layer has rows and columns alone; colours are no axis of it."""
    return bool(layer.ndim == 2)


def has_geometry(layer: "Image | Labels") -> bool:
    """Whether a layer says how large its voxels are: by us, by a unit of length, or by a scale or affine that is not 1.

    A picture need not: its pixels are what is counted.
    """
    if is_picture(layer):
        return True
    if layer.ndim not in (3, 4):
        return False  # it has no voxels
    if isinstance(_ours(layer).get("geometry"), LayerGeometry) or _of_napari_nifti(layer):
        return True
    return all(millimetres(unit) is not None for unit in layer.units[-3:]) or not np.allclose(_matrix(layer)[:3, :3], np.eye(3))


def label_names(layer: "Image | Labels") -> dict[int, str]:
    """Names of the integer classes of a layer of ours; empty for others."""
    return dict(_ours(layer).get("names", {}))


def demo_model(layer: "Image | Labels") -> str | None:
    """Stem of the bundled checkpoint that goes with a sample layer; None for others."""
    model = _ours(layer).get("model")
    return None if model is None else str(model)


def is_alternative(layer: "Image | Labels") -> bool:
    """Whether a sample layer is one of several, of which one at a time is looked at."""
    return bool(_ours(layer).get("alternative"))


def path_of(layer: "Image | Labels") -> Path | None:
    """File that a layer was read from, for what stands beside it: of a volume a NIfTI, of a picture a PNG or TIFF.

    None if it was read from no such file, or another plugin does not say.

    A folder can name a patient: the path is to be looked at, and neither shown nor saved.
    """
    ours = _ours(layer).get("path")
    if isinstance(ours, Path):
        return ours
    source = layer.source.path
    return Path(source) if source and str(source).lower().endswith(_PICTURES if is_picture(layer) else _NIFTI) else None


def is_stand_in(layer: "Image | Labels") -> bool:
    """Whether a layer of ours only shows another one on another grid."""
    return bool(_ours(layer).get("stand_in"))


def mask_layer_kwargs(reference: "Image | Labels", *, name: str, names: Mapping[int, str] | None = None) -> dict[str, Any]:
    """Give what places a Labels layer, (S, A, R) or rows and columns, exactly on ``reference`` and lets it be saved on the source grid.

    Raises as :func:`geometry_of`.
    """
    arguments: dict[str, Any] = {
        "name": name,
        "scale": list(reference.scale[-3:]),
        "translate": list(reference.translate[-3:]),
        "rotate": np.asarray(reference.rotate)[-3:, -3:],
        "affine": np.asarray(reference.affine.affine_matrix)[-4:, -4:],
        "units": list(reference.units[-3:]),
        "axis_labels": list(reference.axis_labels[-3:]),
        "metadata": {METADATA_KEY: {"geometry": geometry_of(reference), "file_name": str(_ours(reference).get("file_name", ""))}},
    }
    if reference.ndim < 4:
        arguments["shear"] = reference.shear
    _add_names(arguments, names)
    return arguments


def give_voxel_size(layer: "Image | Labels", spacing: Sequence[float]) -> None:
    """Set the voxel size of a layer that came without: mm along its last three axes."""
    if not (len(spacing) == 3 and all(np.isfinite(size) and size > 0 for size in spacing)):
        raise LayerError("A voxel size is three lengths in mm above zero.")
    layer.units = [*layer.units[:-3], "mm", "mm", "mm"]
    layer.scale = [*layer.scale[:-3], *spacing]


def borrow_geometry(layer: "Image | Labels", others: Iterable[Any]) -> None:
    """Let a layer without a file, such as a mask drawn by hand, have the geometry of a layer of ours that it lies on exactly."""
    if "geometry" in _ours(layer) or layer.ndim not in (3, 4):
        return
    for other in others:
        known = _ours(other).get("geometry")
        if isinstance(known, LayerGeometry) and known.shape == tuple(_array(layer).shape[-3:]) and np.allclose(known.world, _world(layer)):
            layer.metadata = {**layer.metadata, METADATA_KEY: {**_ours(layer), "geometry": known}}
            return


def is_whole(data: NDArray[Any]) -> bool:
    """Whether all values are whole numbers, as those of a mask are."""
    return data.dtype.kind in "biu" or bool(np.array_equal(np.rint(data), data))


def contrast_limits(data: NDArray[Any]) -> tuple[float, float]:
    """0.5th and 99.5th percentile of a subsample of the finite values; never equal."""
    stride = max(1, round((data.size / 1e6) ** (1 / data.ndim)))
    sample = np.asarray(data[(slice(None, None, stride),) * data.ndim], dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(sample, (0.5, 99.5)))
    if low == high:
        low, high = float(sample.min()), float(sample.max())
    return low, high if high > low else low + 1


def _matrix(layer: "Image | Labels") -> NDArray[np.float64]:
    """Layer index to world (4, 4) along the last three axes, in the layer's units."""
    ndim, spatial = layer.ndim, min(layer.ndim, 3)
    origin = np.asarray(layer.data_to_world((0,) * ndim), dtype=np.float64)
    full = np.array([np.asarray(layer.data_to_world(row), dtype=np.float64) - origin for row in np.eye(ndim)]).T
    if ndim > 3 and (full[:-3, -3:].any() or full[-3:, :-3].any()):
        raise LayerError(f"The transform of {layer.name} mixes time and space; reset it, then set its scale.")
    matrix, axes = np.eye(4), slice(3 - spatial, 3)
    matrix[axes, axes], matrix[axes, 3] = full[-spatial:, -spatial:], origin[-spatial:]
    return matrix


def _world(layer: "Image | Labels") -> NDArray[np.float64]:
    """Layer index to world (4, 4) along the last three axes, in mm; a unit that is no length is taken as mm."""
    factors = [millimetres(unit) or 1.0 for unit in layer.units[-3:]]
    return np.asarray(np.diag([*[1.0] * (3 - len(factors)), *factors, 1.0]) @ _matrix(layer), dtype=np.float64)


@cache  # there are few units, and pint takes its time over each, for every slice that comes into view
def millimetres(unit: Any) -> float | None:  # a pint.Unit, which has no types
    """Length of ``unit`` in mm; None if it is no length, such as a pixel."""
    return float((1 * unit).to("mm").magnitude) if dict(unit.dimensionality) == {"[length]": 1} else None


def _ours(layer: "Image | Labels") -> Mapping[str, Any]:
    found = layer.metadata.get(METADATA_KEY, {})
    return found if isinstance(found, Mapping) else {}


def _of_napari_nifti(layer: "Image | Labels") -> bool:
    return bool(layer.ndim == 3 and layer.metadata.keys() >= _NAPARI_NIFTI) and np.shape(layer.metadata["affine"]) == (4, 4)


def _array(layer: "Image | Labels") -> Any:  # numpy or dask
    return layer.data[0] if layer.multiscale else layer.data


def _lengths(layer: "Image | Labels") -> tuple[int, ...]:
    """Voxels along the last three axes, or the two of a picture, whose colours are no axis."""
    shape = _array(layer).shape
    return tuple(int(length) for length in (shape[:2] if is_picture(layer) else shape[-3:]))


def _file_name(layer: "Image | Labels") -> str:
    """Name of the file, without its folders, else of the layer."""
    path = path_of(layer) if is_picture(layer) else None  # napari drops the ending of a picture's name
    return str(_ours(layer).get("file_name", "")) or (path.name if path else str(layer.name))


def _whole(data: NDArray[Any], label: str) -> NDArray[Any]:
    """Labels as integers that napari takes."""
    if not is_whole(data):
        raise LayerError(f"{label} holds values between whole numbers, so it is no mask; open it as an image.")
    return data if data.dtype.kind in "iu" else np.asarray(data, dtype=np.int32)


def _add_names(arguments: dict[str, Any], names: Mapping[int, str] | None) -> None:
    """Keep the names of labels in a layer's metadata, and show them in napari's status bar."""
    if names:
        arguments["metadata"][METADATA_KEY]["names"] = dict(names)
        arguments["features"] = {"index": [0, *names], "label": ["background", *names.values()]}


def _time(file: FileGeometry | None) -> tuple[float, str]:
    """Step and unit of the fourth axis: seconds where the file says so, else frames."""
    if file is not None and file.time_unit in _SECONDS and file.time_step > 0:
        return file.time_step * _SECONDS[file.time_unit], "s"
    return 1.0, "pixel"


def _stem(name: str) -> str:
    return name.removesuffix(".gz").removesuffix(".nii")

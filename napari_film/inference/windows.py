"""Where a network looks: the windows of an INSIDE place under a condition, and what they let through together.

    heat(u) = Σ |γ_c| A_c(u) / Σ |γ_c|                       how much of its feature maps the place lets through at u, 0 to 1
    strength_c = |γ_c| m_c / Σ |γ_k| m_k                     m_c: mean of the window A_c over the image; the strengths sum to 1

A map's strength is its share in all that the place lets through, if its feature maps were alike everywhere: what they really
hold depends on the image. β is added everywhere alike and says nothing of where. A window as wide as the image looks nowhere
in particular, and is strong: it lets much through.

Axes: K conditions, M columns of a condition, C feature maps, (y, x) rows and columns of the network's slice. Coordinates u run from
-1 to 1 over the whole slice without padding (`models.position`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_film.architecture import Architecture
from napari_film.header import CheckpointError, read_header

if TYPE_CHECKING:
    import torch

    from napari_film.models.inside import InsideParameters
    from napari_film.models.position import Axis

_Points = tuple[NDArray[np.float64], NDArray[np.float64]]  # u along y and along x
_POINTS = 256  # per side, at which means are taken
_PEAK_POINTS = 64  # per side, at which the strongest heat is looked for


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one place under one condition, on slices of one size.

    Parameters
    ----------
    place
        As `Architecture.names_of_places` has it.
    centre
        (C, 2), each y and x in -1..1 of the whole slice.
    size
        (C, 2), σ along y and x in half sides of the whole slice; not negative.
    strength
        (C,), not negative; they sum to 1, or are all 0 where nothing passes.
    least, peak
        The weakest and the strongest heat in the image, 0 to 1.
    parameters
        What the network uses, of one condition.
    steps
        Distance of the pixels of this place's feature maps along y and x, in u.
    """

    place: str
    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    strength: NDArray[np.float64]
    least: float
    peak: float
    parameters: "InsideParameters"
    steps: tuple[float, float]

    def strongest(self, most: int) -> NDArray[np.intp]:
        """Give the feature maps of the ``most`` strongest windows, the strongest first."""
        return np.argsort(-self.strength, kind="stable")[:most]

    def heat(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float32]:
        """Give the heat at ``rows`` (H,) and ``columns`` (W,) in u: (H, W), 0 to 1."""
        return _heat(self.parameters, (rows, columns), self.steps)


def places_with_windows(architecture: Architecture) -> tuple[str, ...]:
    """Names of the places that have INSIDE, in the order that features pass them."""
    return tuple(name for name, kind in zip(architecture.names_of_places, architecture.places, strict=True) if kind == "inside")


def windows(checkpoint: Path, conditions: Sequence[Sequence[float]], place: str, whole: tuple[int, int]) -> list[Windows]:
    """Read the windows of ``place``; of the weights only its generator's are read, so no network is loaded.

    Parameters
    ----------
    checkpoint
        A .safetensors file.
    conditions
        K condition vectors, each (M,).
    place
        One of `places_with_windows`.
    whole
        Rows and columns of the network's slice without padding; the relative form of the windows does not depend on them.

    Returns
    -------
    list of Windows
        One for each condition.

    Raises
    ------
    CheckpointError
        If the file is no checkpoint, or its generator does not fit the header or is not finite.
    ValueError
        If the place has no windows, or a condition has not M columns.
    """
    # Here and not above: the dock knows `Windows` before torch is there.
    import torch
    from safetensors import SafetensorError, safe_open

    from napari_film.models.inside import InsideGenerator

    architecture = read_header(checkpoint).architecture
    if place not in places_with_windows(architecture):
        known = ", ".join(places_with_windows(architecture)) or "none"
        raise ValueError(f"{place} has no windows; the places that have are {known}")
    wrong = [columns for columns in conditions if len(columns) != architecture.condition]
    if wrong:
        raise ValueError(f"a condition has {len(wrong[0])} columns; expected {architecture.condition}")
    number = architecture.names_of_places.index(place)
    start = f"inside.{number}."
    try:
        with safe_open(checkpoint, framework="pt") as file:
            state = {name.removeprefix(start): file.get_tensor(name).float() for name in file.keys() if name.startswith(start)}
        with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
            generator = InsideGenerator(
                architecture.condition,
                architecture.place_channels[number],
                parametrisation=architecture.parametrisation,
                window=architecture.window,
            )
        generator.load_state_dict(state, assign=True)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise CheckpointError(
            f"{checkpoint.name} has weights that do not fit its own header; copy it again, or ask whoever made it to save it again."
        ) from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise CheckpointError(
            f"{checkpoint.name} has weights that are not finite (its training diverged); train it again or use an earlier one."
        )
    factor = 1 << architecture.levels[number]
    steps = (2 * factor / whole[0], 2 * factor / whole[1])
    columns = torch.tensor([list(map(float, condition)) for condition in conditions], dtype=torch.float32)
    with torch.inference_mode():
        found = generator(columns.reshape(len(conditions), architecture.condition))
    return [_windows(place, _one(found, each), steps) for each in range(len(conditions))]


def _windows(place: str, parameters: "InsideParameters", steps: tuple[float, float]) -> Windows:
    import torch

    middles = _middles(_POINTS)
    with torch.inference_mode():
        axes = _axes((middles, middles), steps)
        along_y, along_x = (_numbers(along[0]) for along in parameters.along(axes))
        size = np.abs(_numbers(parameters.relative_sigma(axes)[0]))  # the public form has windows of negative size, and means their size
    passed = np.abs(_numbers(parameters.gamma[0])) * along_y.mean(axis=1) * along_x.mean(axis=1)
    total = passed.sum()
    coarse = _middles(_PEAK_POINTS)
    heat = _heat(parameters, (coarse, coarse), steps)
    return Windows(
        place,
        centre=_numbers(parameters.mu[0]),
        size=size,
        strength=passed / total if total else passed,
        least=float(heat.min()),
        peak=float(heat.max()),
        parameters=parameters,
        steps=steps,
    )


def _heat(
    parameters: "InsideParameters", at: tuple[NDArray[np.float64], NDArray[np.float64]], steps: tuple[float, float]
) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        along_y, along_x = parameters.along(_axes(at, steps))  # (1, C, H), (1, C, W)
        gain = parameters.gamma[0].abs()
        gain = gain / gain.sum().clamp_min(torch.finfo(gain.dtype).tiny)
        summed = (gain[:, None] * along_y[0]).T @ along_x[0]
    return np.asarray(summed.numpy(), dtype=np.float32)


def _axes(at: _Points, steps: tuple[float, float]) -> "tuple[Axis, Axis]":
    """Coordinates of any points: the step stays that of the feature map, in whose pixels the public form has its sizes."""
    import torch

    from napari_film.models.position import Axis

    y, x = (
        Axis(torch.from_numpy(np.asarray(points, dtype=np.float32)).reshape(1, -1), torch.tensor([[step]], dtype=torch.float32))
        for points, step in zip(at, steps, strict=True)
    )
    return y, x


def _one(found: "InsideParameters", number: int) -> "InsideParameters":
    """Parameters of one condition of several."""
    tensors = {name: getattr(found, name)[number : number + 1] for name in ("gamma", "beta", "mu", "sigma", "raw_sigma")}
    return found._replace(**tensors)


def _middles(points: int) -> NDArray[np.float64]:
    return (2 * np.arange(points) + 1) / points - 1


def _numbers(tensor: "torch.Tensor") -> NDArray[np.float64]:
    return np.asarray(tensor.numpy(), dtype=np.float64)

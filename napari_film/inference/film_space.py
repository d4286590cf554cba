"""Where a network listens to the metadata: γ and β of each FiLM place, for each of several conditions.

    d(i, j) = sqrt( mean over all P parameters θ = (γ, β) of (θ_i - θ_j)² )              distance of two values, 0 to 1
    l(p)    = sqrt( mean over the 2 C_p parameters of place p of var over values θ )     how much a place listens, 0 to 1/2

γ and β lie between 0 and 1, since the generator ends in a sigmoid. d is the Euclidean distance over all of them, divided by
√P so that networks of any size are read on one scale. Both say how far the *parameters* move; how far a mask moves depends on
the feature maps that they scale and shift, too.

Axes: K values, C_p channels of place p, M columns of the condition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_film.header import CheckpointError, read_header


@dataclass(frozen=True, eq=False)
class FiLMSpace:
    """γ and β of the places that have FiLM, in the order that features pass them.

    Parameters
    ----------
    names
        Of the K values.
    places
        "encoder 1" (full resolution) downward, "bottom", "decoder 1" (lowest resolution) upward, "head". None without FiLM.
    gamma, beta
        Per place (K, C_p), float32, between 0 and 1.
    """

    names: tuple[str, ...]
    places: tuple[str, ...]
    gamma: tuple[NDArray[np.float32], ...]
    beta: tuple[NDArray[np.float32], ...]

    def distances(self) -> NDArray[np.float64]:
        """Give d of each pair of values over all places: (K, K), between 0 and 1; zeros without FiLM."""
        return self._distances(range(len(self.places)))

    def distances_at(self, place: str) -> NDArray[np.float64]:
        """Give d of each pair of values over the parameters of one place alone: (K, K), between 0 and 1."""
        return self._distances([self.places.index(place)])

    def listening(self) -> NDArray[np.float64]:
        """Give l of each place, (places,): the spread of its parameters over the values; 0 where it hears no difference."""
        if not self.names:
            return np.zeros(len(self.places))
        return np.array([np.sqrt(np.concatenate(pair, axis=1).var(axis=0, dtype=np.float64).mean()) for pair in self._pairs()])

    def _pairs(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        return list(zip(self.gamma, self.beta, strict=True))

    def _distances(self, places: Sequence[int]) -> NDArray[np.float64]:
        pairs = self._pairs()
        parts = [parameters for place in places for parameters in pairs[place]]
        if not parts:
            return np.zeros((len(self.names), len(self.names)))
        points = np.concatenate(parts, axis=1).astype(np.float64)  # (K, P)
        # Row by row: all differences at once would take K² P numbers, 100 MB for forty values of a large network.
        return np.array([np.sqrt(((points - point) ** 2).mean(axis=1)) for point in points]).reshape(len(points), len(points))


def film_space(checkpoint: Path, conditions: Mapping[str, Sequence[float]]) -> FiLMSpace:
    """Read γ and β of each FiLM place; of the weights only the generator's are read, so no network is loaded.

    Parameters
    ----------
    checkpoint
        A .safetensors file.
    conditions
        The condition vectors, each (M,) or slice by slice (n · M,), by the names of the values; as `MetadataSchema.encode` gives them.
        Of one that is another in each slice, that of the middle slice is taken.

    Raises
    ------
    CheckpointError
        If the file is no checkpoint, or its generator does not fit the header or is not finite.
    ValueError
        If a condition has not M columns, nor M for each of the n slices.
    """
    # Here and not above: the dock knows `FiLMSpace` before torch is there.
    import torch
    from safetensors import SafetensorError, safe_open

    from napari_film.models.film import FiLMGenerator

    header = read_header(checkpoint)
    architecture = header.architecture
    names = tuple(conditions)
    filmed = [
        (place, count)
        for place, count, word in zip(architecture.names_of_places, architecture.place_channels, architecture.places, strict=True)
        if word == "film"
    ]
    if not filmed:
        return FiLMSpace(names, (), (), ())
    width = architecture.condition
    wrong = [name for name, columns in conditions.items() if len(columns) == 0 or len(columns) % width]
    if wrong:
        raise ValueError(f"the condition of {wrong[0]} has {len(conditions[wrong[0]])} columns; expected {width}")
    seen = {
        name: header.metadata_schema.at_slice(columns, len(columns) // width // 2, len(columns) // width)
        for name, columns in conditions.items()
    }
    start = "generator."
    try:
        with safe_open(checkpoint, framework="pt") as file:
            state = {name.removeprefix(start): file.get_tensor(name).float() for name in file.keys() if name.startswith(start)}
        with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
            shared = architecture.hidden_biases == "shared"
            generator = FiLMGenerator(
                architecture.condition, [count for _, count in filmed], hidden=architecture.hidden, shared_biases=shared
            )
        generator.load_state_dict(state, assign=True)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise CheckpointError(
            f"{checkpoint.name} has weights that do not fit its own header; copy it again, or ask whoever made it to save it again."
        ) from error
    columns = np.array([seen[name] for name in names], dtype=np.float32).reshape(len(names), width)
    with torch.inference_mode():
        parameters = generator(torch.from_numpy(columns))
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise CheckpointError(
            f"{checkpoint.name} has weights that are not finite (its training diverged); train it again or use an earlier one."
        )
    return FiLMSpace(
        names,
        tuple(place for place, _ in filmed),
        tuple(film.gamma.numpy() for film in parameters),
        tuple(film.beta.numpy() for film in parameters),
    )

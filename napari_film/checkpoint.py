"""One .safetensors file that is all a person needs to share: weights, and the header that says what they are."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from napari_film.atomic import atomic_path
from napari_film.header import METADATA_KEY, CheckpointError, Header, read_header
from napari_film.models.unet import ConditionedUNet


@dataclass(frozen=True)
class Checkpoint:
    """A model ready to run.

    ``network(images, conditions)`` takes (B, C, H, W) and (B, M) and returns probabilities (B, classes, H, W); it is in
    evaluation mode, on the CPU, in float32. ``hash`` is the SHA-256 of the file, ``name`` its name without folders.
    """

    header: Header
    network: ConditionedUNet
    hash: str
    name: str


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Load a checkpoint; executes nothing from the file.

    Raises
    ------
    CheckpointError
        As ``read_header``, and if the weights do not fit the architecture or are not finite.
    """
    path = Path(path)
    header = read_header(path)
    content = path.read_bytes()
    try:
        state = {name: _owned(tensor) for name, tensor in load(content).items()}
        with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
            network = ConditionedUNet(header.architecture)
        network.load_state_dict(state, assign=True)
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"{path.name} has weights that do not fit its own header; copy it again, or ask whoever made it to save it again."
        ) from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise CheckpointError(f"{path.name} has weights that are not finite (its training diverged); train it again or use an earlier one.")
    return Checkpoint(header, network.eval().requires_grad_(False), hashlib.sha256(content).hexdigest(), path.name)


def _owned(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a tensor out of the file's bytes; numbers become float32, counts stay."""
    return tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)


def save_checkpoint(path: str | os.PathLike[str], network: ConditionedUNet, header: Header) -> None:
    """Write weights and header to ``path``, whole or not at all; equal models give equal bytes.

    Raises
    ------
    InputError
        If the file cannot be written.
    ValueError
        If the header describes another architecture than the network's.
    """
    if header.architecture != network.architecture:
        raise ValueError("the header describes another architecture than the network's")
    state = {
        name: tensor.detach().to("cpu", memory_format=torch.contiguous_format).contiguous() for name, tensor in network.state_dict().items()
    }
    content = save(state, {METADATA_KEY: header.to_json()})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)

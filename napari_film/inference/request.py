"""What goes into the engine and what comes out of it; data only, no torch.

The key says under which circumstances probabilities were computed: whatever could change them is part of it. Every
result carries the request that it answers, so that nobody shows it under another condition value's name.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_film.inference.plan import Plan
from napari_film.preprocessing import Prepared
from napari_film.volume import Volume


@dataclass(frozen=True)
class ProbabilityKey:
    """What probabilities are kept under: hashes of image content, checkpoint and preprocessing, the condition, the plan."""

    image: str
    checkpoint: str
    condition: tuple[float, ...]
    preprocessing: str
    plan: str


@dataclass(frozen=True)
class Request:
    """All slices of the opened volumes under one condition (M,)."""

    generation: int
    condition: tuple[float, ...]


@dataclass(frozen=True)
class SliceResult:
    """One slice's probabilities on the source grid: ``q`` (classes, H, W), 256ths, of source slice ``index``."""

    request: Request
    key: ProbabilityKey
    index: int
    q: NDArray[np.uint8]


@dataclass(frozen=True)
class Opened:
    """The volumes are prepared and the network is on its device."""

    generation: int
    prepared: Prepared
    image: str
    checkpoint: str
    preprocessing: str
    plan: Plan
    notices: tuple[str, ...]

    def key(self, condition: tuple[float, ...]) -> ProbabilityKey:
        """What probabilities under ``condition`` are kept under."""
        return ProbabilityKey(self.image, self.checkpoint, condition, self.preprocessing, self.plan.key)


@dataclass(frozen=True)
class Fallback:
    """The plan had to change; what the generation has delivered so far is void and comes again."""

    generation: int
    plan: Plan
    notice: str


@dataclass(frozen=True)
class Failure:
    """The generation cannot go on; ``message`` is one sentence for a person, ``error`` is for the log."""

    generation: int
    message: str
    error: BaseException


@dataclass(frozen=True)
class Finished:
    """Nothing is left to do for the generation, until it is asked for more."""

    generation: int


Event = Opened | SliceResult | Fallback | Failure | Finished


def quantise(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities in 256ths: min(floor(256 p), 255)."""
    scaled: NDArray[np.float32] = np.minimum(probabilities * np.float32(256), np.float32(255))
    return scaled.astype(np.uint8)


def image_hash(volumes: Sequence[Volume]) -> str:
    """Hash of the voxels and the geometry of ``volumes``, in their order."""
    digest = hashlib.blake2b(digest_size=16)
    for volume in volumes:
        digest.update(f"{volume.data.shape} {volume.data.dtype.str}".encode())
        digest.update(np.ascontiguousarray(volume.affine).tobytes())
        for plane in np.moveaxis(volume.data, 2, 0):  # a plane at a time, so that a mapped file is never whole in memory
            digest.update(np.ascontiguousarray(plane).data)
    return digest.hexdigest()


def text_hash(text: str) -> str:
    """Hash of a short text, such as preprocessing as JSON."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

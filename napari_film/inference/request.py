"""What goes into the engine and what comes out of it; data only, no torch.

The key says under which circumstances probabilities were computed: whatever could change them is part of it. Every
result carries the request that it answers, so that nobody shows it under another condition value's name.
"""

import hashlib
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_film.inference.plan import Plan
from napari_film.preprocessing import Prepared
from napari_film.volume import Volume, pieces

_HASHERS = min(8, os.cpu_count() or 1)


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
class Replanned:
    """The plan has changed: memory ran out, or a precision was settled. What the generation has delivered is void and comes again."""

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


Event = Opened | SliceResult | Replanned | Failure | Finished


def quantise(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities in 256ths: min(floor(256 p), 255)."""
    q = np.empty_like(probabilities, dtype=np.uint8)
    # Piece by piece, so that an image of 8000 x 8000 does not stand in memory once more.
    for piece, out in zip(pieces(probabilities.T), pieces(q.T), strict=True):
        scaled = piece * np.float32(256)
        out[...] = np.minimum(scaled, np.float32(255), out=scaled)
    return q


def image_hash(volumes: Sequence[Volume]) -> str:
    """Hash of the voxels and the geometry of ``volumes``, in their order; the storage order of their arrays is none of it."""
    digest = hashlib.sha256()
    for volume in volumes:
        digest.update(np.ascontiguousarray(volume.affine).tobytes())
        digest.update(voxel_hash(volume.data).encode())
    return digest.hexdigest()


def voxel_hash(data: NDArray[Any]) -> str:
    """Hash of shape, type and voxels.

    It stands between a person and the first mask. So pieces are taken side by side, and of each a CRC-32 and a sum of 64 bits
    go into one SHA-256: a few changed bits are certain to show, other images are taken for one another by chance once in
    2^96, and nobody needs to forge one.
    """
    digest = hashlib.sha256(f"{data.shape} {data.dtype.str}".encode())
    with ThreadPoolExecutor(_HASHERS) as pool:
        for checks in pool.map(_checks, pieces(data)):
            digest.update(checks)
    return digest.hexdigest()


def _checks(piece: NDArray[np.generic]) -> bytes:
    """CRC-32 and sum of the voxels, I fastest; copied where they do not lie so, so that of a mapped file only pieces ever are."""
    voxels = np.ascontiguousarray(piece.T)
    words = np.frombuffer(voxels.data, dtype=np.uint64, count=voxels.nbytes // 8)
    return zlib.crc32(voxels.data).to_bytes(4, "little") + int(words.sum()).to_bytes(8, "little")


def text_hash(text: str) -> str:
    """Hash of a short text, such as preprocessing as JSON."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

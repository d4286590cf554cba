"""The header of a checkpoint: everything about a model but its weights, as JSON, read without torch.

It stands in the metadata of a .safetensors file under one key (several would be written in another order at each
save, so that equal models had unequal bytes). ``format`` is (major, minor): a reader refuses a major number that it does not know
and ignores keys of a newer minor one.

Format 2 says what format 1 cannot: a network that is not a U-Net with FiLM or none, metadata slice by slice, slices as acquired.
Whatever format 1 can say is still saved in it, with one flag of FiLM per place beside the words for places, so that earlier
versions go on reading it; of format 2 they say that napari-film must be updated.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_film.architecture import Architecture
from napari_film.conditioning import MetadataSchema
from napari_film.errors import InputError
from napari_film.fields import Value
from napari_film.preprocessing import Normalisation, Preprocessing
from napari_film.volume import SLICED_AXES

FORMATS = ((1, 1), (2, 0))
"""What this version writes: the first where it suffices, else the second. It reads the major numbers of both."""

METADATA_KEY = "napari_film"
DEFAULT_THRESHOLD = 128
"""In 256ths of probability, as kept probabilities are: a voxel belongs to the mask where floor(256 p) >= threshold."""

_MOST_LABELS = 254  # of 8 bits, beside the background and what was not computed
_LONGEST_JSON = 100_000_000  # bytes, as the format itself allows
_PICKLES = (b"PK", b"\x80")  # torch's archives, and pickles of protocol 2 and later
_Finite = Annotated[float, Field(allow_inf_nan=False)]  # JSON has no other numbers


class CheckpointError(InputError):
    """A file that is no checkpoint of this project, or one that this version cannot read."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Channel(_Part):
    """One image that the model takes; ``suffix`` is how BIDS names it ("T2w", "ce-gadolinium_T1w")."""

    name: str
    suffix: str = ""
    description: str = ""


class Threshold(_Part):
    """Probability thresholds (256ths, one per class) for the metadata that have all the condition values of ``when``."""

    when: Mapping[str, Value]
    classes: tuple[int, ...]

    @model_validator(mode="after")
    def _is_a_probability(self) -> Self:
        if any(not 1 <= threshold <= 255 for threshold in self.classes):
            raise ValueError(f"thresholds {self.classes} are not between 1 and 255 (256ths of probability)")
        return self


class Range(_Part):
    """What training met of one quantity."""

    low: _Finite
    median: _Finite
    high: _Finite


class Fingerprint(_Part):
    """What the training data were like, so that an unusual image can be told from a usual one.

    ``spacing`` (mm) and ``size`` (voxels) are along R, A, S, of acquired slices along columns, rows, slices; ``intensity`` is
    per channel, of the 0.5th percentile, the median and the 99.5th percentile of the images as stored; ``metadata`` counts
    subjects per condition value.
    """

    subjects: int
    spacing: tuple[Range, Range, Range]
    size: tuple[Range, Range, Range]
    intensity: tuple[Range, ...]
    metadata: Mapping[str, Mapping[str, int]] = {}


class Provenance(_Part):
    """How the model came to be: enough to train it again, and how well it did on subjects never trained on.

    ``scores`` holds tables by name; a row is the true condition value, a column the one given to the network.
    """

    recipe: str = ""
    seed: int | None = None
    versions: Mapping[str, str] = {}
    data_hash: str = ""
    data: str = ""
    scores: Mapping[str, Mapping[str, Mapping[str, float | None]]] = {}


def _format_of(parts: Mapping[str, Any]) -> tuple[int, int]:
    """The format that a header of these ``parts`` needs; one that is not valid is missing, and told of then."""
    architecture, schema, preprocessing = (parts.get(name) for name in ("architecture", "metadata_schema", "preprocessing"))
    classic = architecture is None or architecture.classic
    by_slice = schema is not None and bool(schema.per_slice)
    acquired = preprocessing is not None and preprocessing.slice_axis == "acquired"
    return FORMATS[not classic or by_slice or acquired]


class Header(_Part):
    """All that a person needs to know to use a model, and a program to run it."""

    name: str
    description: str = ""
    licence: str = ""
    architecture: Architecture
    metadata_schema: MetadataSchema = MetadataSchema()
    channels: tuple[Channel, ...]
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    thresholds: tuple[Threshold, ...] = ()
    fingerprint: Fingerprint | None = None
    provenance: Provenance = Field(default_factory=Provenance)
    format: tuple[int, int] = Field(default_factory=_format_of)  # of what stands above it

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        architecture, schema = self.architecture, self.metadata_schema
        pairs = {
            "channel names": (len(self.channels), architecture.channels),
            "channel normalisations": (len(self.preprocessing.normalisation), architecture.channels),
            "class names": (len(self.classes), architecture.classes),
            "columns of the metadata schema": (schema.width, architecture.condition),
        }
        for what, (found, needed) in pairs.items():
            if found != needed:
                raise ValueError(f"{found} {what} for an architecture that has {needed}")
        if self.preprocessing.divisor % architecture.divisor:
            raise ValueError(f"slices are padded to multiples of {self.preprocessing.divisor}, not of {architecture.divisor}")
        across = SLICED_AXES[self.preprocessing.slice_axis][0]
        if schema.per_slice and self.preprocessing.spacing[across] is not None:
            raise ValueError(
                f"{schema.per_slice[0]} is per slice, but the slices are resampled along their axis; leave their spacing as it is"
            )
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"two classes have one name: {', '.join(self.classes)}")
        values = len(schema.target.values) if schema.target else 1
        if values * architecture.classes > _MOST_LABELS:
            raise ValueError(f"{values} target values of {architecture.classes} classes are more than the {_MOST_LABELS} labels of a mask")
        for threshold in self.thresholds:
            if len(threshold.classes) != architecture.classes:
                raise ValueError(f"a threshold does not have {architecture.classes} classes")
            for name, value in threshold.when.items():
                if schema[name].resolve(value)[0] != value:
                    raise ValueError(f"a threshold is for {name} {value!r}, which the metadata schema spells otherwise")
        return self

    @property
    def all_thresholds(self) -> tuple[tuple[int, ...], ...]:
        """Every set of thresholds that `thresholds_for` can give."""
        return (DEFAULT_THRESHOLD,) * len(self.classes), *(entry.classes for entry in self.thresholds)

    def thresholds_for(self, values: Mapping[str, Value]) -> tuple[int, ...]:
        """Thresholds per class, in 256ths, for resolved metadata: the entry that matches in most fields."""
        matching = [entry for entry in self.thresholds if entry.when.items() <= dict(values).items()]
        best = max(matching, key=lambda entry: len(entry.when), default=None)
        return best.classes if best else (DEFAULT_THRESHOLD,) * len(self.classes)

    def to_json(self) -> str:
        """Give the header as it is stored."""
        return self.model_dump_json()


def parse_header(text: str, *, name: str) -> Header:
    """Parse the JSON of a header from the file called ``name``; raises CheckpointError."""
    try:
        content: dict[str, Any] = json.loads(text)
        major, _minor = map(int, content["format"])
        _forget_newer_keys(content)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"{name} has a header that is not valid; ask whoever made it to save it again.") from error
    oldest, newest = FORMATS[0][0], FORMATS[-1][0]
    if not oldest <= major <= newest:
        raise CheckpointError(
            f"{name} is of checkpoint format {major}, and this version of napari-film reads formats {oldest} and {newest}; "
            f"{'update napari-film' if major > newest else 'save it again with a current version'}."
        )
    try:
        return Header.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "header"
        raise CheckpointError(
            f"{name} has a header that is not valid ({place}: {first['msg']}); ask whoever made it to save it again."
        ) from error


def _forget_newer_keys(content: dict[str, Any]) -> None:
    """Take the keys away that a newer minor format brings to Preprocessing, which takes no others; the rest ignores them."""
    preprocessing = content.get("preprocessing")
    if not isinstance(preprocessing, dict):
        return
    content["preprocessing"] = preprocessing = {key: value for key, value in preprocessing.items() if key in Preprocessing.model_fields}
    normalisations = preprocessing.get("normalisation")
    if isinstance(normalisations, list):
        preprocessing["normalisation"] = [
            {key: value for key, value in part.items() if key in Normalisation.model_fields} if isinstance(part, dict) else part
            for part in normalisations
        ]


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read the header of a checkpoint; loads no torch, no weights, and executes nothing from the file.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, of another format (a pickle, for one), without a header or of a future version.
    """
    path = Path(path)
    name = path.name
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(9)  # eight bytes of length, and the first of the JSON
            length = int.from_bytes(start[:8], "little")
            if start[8:] != b"{" or not 2 <= length <= _LONGEST_JSON:
                if start.startswith(_PICKLES):
                    raise CheckpointError(
                        f"{name} is a pickled model, which can run code when it is opened; napari-film opens .safetensors checkpoints only."
                    )
                raise CheckpointError(f"{name} is not a .safetensors file; choose a checkpoint that napari-film-train wrote.")
            if length + 8 > size:
                raise CheckpointError(f"{name} is cut off ({size:,} bytes); copy it again from where it came.")
            content = b"{" + file.read(length - 1)
    except FileNotFoundError as error:
        raise CheckpointError(f"{name} does not exist; check the path of the checkpoint.") from error
    except OSError as error:
        raise CheckpointError(f"{name} cannot be read ({error.strerror}); choose a checkpoint file.") from error
    try:
        table: dict[str, Any] = json.loads(content)
        metadata = dict(table.pop("__metadata__", {}))
        end = max((int(tensor["data_offsets"][1]) for tensor in table.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"{name} is not a .safetensors file; choose a checkpoint that napari-film-train wrote.") from error
    if METADATA_KEY not in metadata:
        raise CheckpointError(
            f"{name} holds weights but no napari-film header, so its metadata and preprocessing are not known; "
            "choose a checkpoint that napari-film-train wrote."
        )
    if 8 + length + end != size:
        raise CheckpointError(f"{name} is cut off or damaged ({size:,} bytes); copy it again from where it came.")
    return parse_header(metadata[METADATA_KEY], name=name)

"""A model card: what a person should know before using a model, in Markdown, beside its checkpoint.

The sections are those of Mitchell et al. 2019 (Model Cards for Model Reporting, FAT* '19), in brief. Everything in it stands in the
checkpoint's header or in the run's scores; no path and no subject's name does.
"""

import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from napari_film.fields import BY_SLICE, UNKNOWN, CategoricalField, ContinuousField
from napari_film.header import DEFAULT_THRESHOLD, Fingerprint, Header, Range
from napari_film.plausibility import FEW_SUBJECTS
from napari_film.volume import axis_names

from .recipe.training import Training

_FILM = (
    "A. Lemay, C. Gros, O. Vincent, Y. Liu, J. P. Cohen, J. Cohen-Adad: Benefits of Linear Conditioning with Metadata for Image "
    "Segmentation. Medical Imaging with Deep Learning (MIDL) 2021, PMLR 143:416-430."
)
_INSIDE = (
    "Grzegorz Jacenków, Alison Q. O'Neil, Brian Mohr, Sotirios A. Tsaftaris: INSIDE: Steering Spatial Attention with Non-imaging "
    "Information in CNNs. MICCAI 2020."
)
_GUIDE = (
    "Christian Rupprecht, Iro Laina, Nassir Navab, Gregory D. Hager, Federico Tombari: Guide Me: Interacting with Deep Networks. CVPR 2018."
)
_KINDS = {"film": "FiLM", "inside": "INSIDE", "guide": "the guiding block"}
_AUGMENTATION = {True: "yes", False: "no", "intensity": "of intensities alone"}
_CITED = "If you use the model, cite napari-film (CITATION.cff in its repository)"


def model_card(header: Header, scores: Mapping[str, Any], *, checkpoint: str = "best.safetensors") -> str:
    """Write the card of a model.

    Parameters
    ----------
    header
        Of the checkpoint, with thresholds and scores.
    scores
        As they stand in the run's ``scores.json``; what is missing there is left out.
    checkpoint
        File name of the checkpoint.
    """
    sections = {
        f"# {header.name}": _about(header),
        "## Intended use": _use(header),
        "## How to run it": _run(header, checkpoint),
        "## Metadata": _fields(header),
        "## Data": _data(header),
        "## Training": _training(header, scores),
        "## Scores": _scores(header, scores),
        "## Thresholds": _thresholds(header),
        "## Limits": _limits(header),
        "## Cite": _cite(header),
    }
    return "\n\n".join("\n".join([title, "", *lines]) for title, lines in sections.items() if lines) + "\n"


def _about(header: Header) -> list[str]:
    architecture = header.architecture
    counted = Counter(place for place in architecture.places if place != "none")
    told = [f"{_KINDS[kind]} at {count} of its {len(architecture.places)} places" for kind, count in counted.items()]
    told += ["the condition painted as channels"] if architecture.condition_map else []
    told += ["x and y as channels"] if architecture.coordinates else []
    kind = "U-Net" if architecture.skips else "Encoder and decoder without skips,"
    told += [] if architecture.takes_condition else ["no FiLM: it takes no metadata"]
    network = f"{kind} of depth {architecture.depth} and width {architecture.width}, {', '.join(told)}"
    channels = [channel.name + (f" ({channel.description})" if channel.description else "") for channel in header.channels]
    lines = [header.description, ""] if header.description else []
    lines += [f"- Segments: {', '.join(_structures(header))}", f"- Images, in this order: {'; '.join(channels)}"]
    lines += [f"- Network: {network}, on {header.preprocessing.slice_axis} slices, one by one"]
    if header.licence:
        lines.append(f"- Licence: {header.licence}")
    if versions := header.provenance.versions:
        lines.append(f"- Made with: {', '.join(f'{package} {number}' for package, number in versions.items())}")
    return lines


def _structures(header: Header) -> tuple[str, ...]:
    target = header.metadata_schema.target
    return target.values if target else header.classes


def _use(header: Header) -> list[str]:
    *most, last = _structures(header)
    names = f"{', '.join(most)} {'or' if header.metadata_schema.target else 'and'} {last}" if most else last
    swap = ", and to see how the mask changes with the metadata" if header.metadata_schema.fields else ""
    return [
        f"Research on images like those it was trained on (below): to segment {names}{swap}.",
        "",
        "**Not for clinical use.** It is no medical device; nobody should be diagnosed or treated by what it shows.",
    ]


def _run(header: Header, checkpoint: str) -> list[str]:
    together = header.preprocessing.fourth_axis == "channels"
    ending = ".png" if together and _of_bytes(header) else ".nii.gz"
    names = ["image"] if together else [_file_name(channel.name) for channel in header.channels]
    words = ["napari-film", "predict", *(f"{name}{ending}" for name in names), "--model", checkpoint]
    for field in header.metadata_schema:
        words += ["--metadata", f"{field.name}={BY_SLICE if field.name in header.metadata_schema.per_slice else field.example}"]
    line = shlex.join([*words, "--output", f"mask{ending}"])
    return ["```", line, "```", "", "Or choose the file in napari: *Plugins > FiLM segmentation*."]


def _of_bytes(header: Header) -> bool:
    """Whether it was trained on pictures, as far as a header says: on slices of their own order, of values from 0 to 255."""
    found = header.fingerprint.intensity if header.fingerprint else ()
    return header.preprocessing.slice_axis == "acquired" and all(0 <= of.low and of.high <= 255 for of in found)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-") or "image"


def _fields(header: Header) -> list[str]:
    lines = []
    counts = header.fingerprint.metadata if header.fingerprint else {}
    for field in header.metadata_schema:
        about = f": {field.description.rstrip('.')}" if field.description else ""
        lines += [f"**{field.name}** ({'what to segment' if field.role == 'target' else 'who and how was scanned'}){about}", ""]
        if isinstance(field, ContinuousField):
            lines += [f"{field.expected[0].upper()}{field.expected[1:]}.", ""]
            continue
        rows = [(value, str(counts.get(field.name, {}).get(value, 0))) for value in field.values]
        lines += [*_table((field.name, "training subjects"), rows), ""]
        if field.unknown:
            lines += ["*unknown* is a value too: it was trained by leaving the value out.", ""]
    return lines[:-1]


def _data(header: Header) -> list[str]:
    lines = [f"{header.provenance.data[0].upper()}{header.provenance.data[1:]}."] if header.provenance.data else []
    if (fingerprint := header.fingerprint) is not None:
        lines += ["", f"The {fingerprint.subjects} training subjects' images, as they are stored:", "", *_ranges(fingerprint, header)]
    if header.provenance.data_hash:
        lines += ["", f"SHA-256 of images, masks and metadata: `{header.provenance.data_hash}`"]
    return lines


def _ranges(fingerprint: Fingerprint, header: Header) -> list[str]:
    axes = axis_names(header.preprocessing.slice_axis)
    rows: list[tuple[str, Range]] = [(f"spacing {axis}, mm", of) for axis, of in zip(axes, fingerprint.spacing, strict=True)]
    rows += [(f"voxels {axis}", of) for axis, of in zip(axes, fingerprint.size, strict=True)]
    rows += [(f"intensity, {channel.name}", of) for channel, of in zip(header.channels, fingerprint.intensity, strict=False)]
    return _table(("", "lowest", "median", "highest"), [(name, *(f"{n:.5g}" for n in (of.low, of.median, of.high))) for name, of in rows])


def _training(header: Header, scores: Mapping[str, Any]) -> list[str]:
    lines = []
    settings = _settings(header.provenance.recipe)
    if settings is not None:
        loss = {"dice": "soft Dice", "dice+bce": "soft Dice and cross-entropy", "focal+dice": "focal loss and soft Dice"}[settings.loss]
        much = f"at most {settings.epochs} epochs of {settings.samples} slices, {settings.batch} at a time"
        lines.append(f"- Adam from {settings.learning_rate:g}, {loss}, {much}; augmentation: {_AUGMENTATION[settings.augmentation]}")
        if any(field.unknown for field in header.metadata_schema) and settings.prior != "none":
            lines.append(f"- A field that may be unknown was told so {settings.metadata_dropout:.0%} of the time")
        if settings.prior == "none":
            lines.append("- A control: it was never told any metadata, in training or after it")
    if header.provenance.seed is not None:
        lines.append(f"- Seed {header.provenance.seed}")
    if "best_epoch" in scores:
        lines.append(f"- The network is that of epoch {scores['best_epoch']}, the best in validation")
    axes = axis_names(header.preprocessing.slice_axis)
    spacing = " x ".join("own" if length is None else f"{length:g}" for length in header.preprocessing.spacing)
    normalisation = "; ".join(
        f"{channel.name} {f'window {of.window[0]:g} to {of.window[1]:g}' if of.window else f'z-score over each {of.scope}'}"
        for channel, of in zip(header.channels, header.preprocessing.normalisation, strict=True)
    )
    lines.append(f"- Preprocessing: spacing {spacing} mm ({', '.join(axes)}); {normalisation}")
    return [*lines, "- The whole recipe stands in the checkpoint"] if header.provenance.recipe else lines


def _settings(recipe: str) -> Training | None:
    """Give the training part of a recipe, whatever became of the others."""
    try:
        return Training.model_validate(tomllib.loads(recipe)["training"] if recipe else None)
    except (tomllib.TOMLDecodeError, KeyError, ValidationError):
        return None


def _scores(header: Header, scores: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, table in header.provenance.scores.items():
        part, _, structure = name.partition(", ")
        if part == "test" and table:
            columns = list(next(iter(table.values())))
            counted = _counts(scores, structure)
            rows = [
                (true, *(counted.get(true, ("-",)) if counted else ()), *(_dice(row.get(given), bold=given == true) for given in columns))
                for true, row in table.items()
            ]
            head = ("true value" if len(columns) > 1 else "", *(("cases",) if counted else ()), *columns)
            lines += [*([f"**{structure}**", ""] if structure else []), *_table(head, rows), ""]
    if not lines:
        return []
    across = "A row is the true value, a column the one given to the network. " if header.metadata_schema.fields else ""
    settings = _settings(header.provenance.recipe)
    over = "test subjects that had no say in anything before"
    if settings is not None and settings.split == "same":
        over = "the very cases that it was trained on, which says nothing about others"
    start = f"Mean Dice in 3D on the images' own voxels, over {over}. {across}"
    if header.metadata_schema.target:
        start += "Off the diagonal stands the overlap with another structure's truth: no score of use. "
    return [start.strip(), "", *lines[:-1]]


def _counts(scores: Mapping[str, Any], structure: str) -> dict[str, tuple[str]]:
    """Cases with something to segment, by true value; nothing where the scores do not say it."""
    found: dict[str, int] = {}
    for row in scores.get("test", ()):
        if row["class"] == structure:
            found[row["true"]] = found.get(row["true"], 0) + (row["voxels"] > 0)
    return {true: (str(number),) for true, number in found.items()}


def _dice(value: float | None, *, bold: bool) -> str:
    text = "-" if value is None else f"{value:.3f}"
    return f"**{text}**" if bold else text


def _thresholds(header: Header) -> list[str]:
    if not header.thresholds:
        return []
    rows = [
        (", ".join(f"{name} {value}" for name, value in entry.when.items()) or "always", *(f"{k / 256:.3f}" for k in entry.classes))
        for entry in header.thresholds
    ]
    start = (
        f"A voxel is in the mask from this probability on, chosen on validation subjects; {DEFAULT_THRESHOLD / 256:g} for other metadata."
    )
    return [start, "", *_table(("", *header.classes), rows)]


def _limits(header: Header) -> list[str]:
    lines = ["- What it does on images of other scanners, sequences, ages and diseases than those above is not known."]
    lines.append("- It sees one slice at a time, so masks of neighbouring slices may not fit each other.")
    counts = header.fingerprint.metadata if header.fingerprint else {}
    for field in header.metadata_schema:
        if isinstance(field, CategoricalField):
            few = [value for value in field.values if field.name in counts and counts[field.name].get(value, 0) < FEW_SUBJECTS]
            if few:
                lines.append(f"- {field.name} {', '.join(few)}: fewer than {FEW_SUBJECTS} training subjects, so hardly learned.")
        if field.name in header.metadata_schema.per_slice:
            lines.append(f"- {field.name} is filled in from a slice's place among those of its file, so part of a stack has other values.")
        elif not field.unknown and field.role == "context":
            lines.append(f"- {field.name} has to be told: the network was not trained without it.")
        if field.unknown:
            lines.append(f"- A wrong {field.name} can spoil a mask (Scores); where it is not sure, give *{UNKNOWN}*.")
    return lines


def _cite(header: Header) -> list[str]:
    places = header.architecture.places
    papers = [paper for kind, paper in (("film", _FILM), ("inside", _INSIDE), ("guide", _GUIDE)) if kind in places]
    if not papers:
        return [f"{_CITED}."]
    whose = "the paper whose method it carries out" if len(papers) == 1 else "the papers whose methods it carries out"
    return [f"{_CITED}, and {whose}:", *(line for paper in papers for line in ("", paper))]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]

"""Tasks of the Medical Segmentation Decathlon (Antonelli et al. 2022), as published.

    Task09_Spleen/dataset.json      modality, labels, and the training images with their labels
    Task09_Spleen/imagesTr/spleen_2.nii.gz
    Task09_Spleen/labelsTr/spleen_2.nii.gz

Images of several modalities are 4D files, the modalities along the fourth axis. An organ and its tumour are one structure, as in
Lemay et al. 2021; other labels are a structure each. Test images have no labels and are left out.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_film.errors import InputError

from .published import Published, Row, quoted, recipe_text, require_files

_TUMOURS = {"cancer", "tumour", "tumor", "tumours", "tumors"}
_SUFFIXES = {"ct": "ct", "t1w": "T1w", "t2w": "T2w", "flair": "FLAIR", "t1gd": "ce-gadolinium_T1w"}


def read_msd(source: Path) -> Published:
    """Read the task in the folder ``source``.

    Raises
    ------
    InputError
        If there is no dataset.json, it lacks what the layout has, or files that it lists are missing.
    """
    described = _described(source / "dataset.json")
    entries = [entry for entry in described["training"] if not Path(str(entry["image"])).name.startswith("._")]
    if not entries:
        raise InputError(f"{source / 'dataset.json'} lists no training images, so there is nothing to train on.")
    files = [(source / str(entry["image"]), source / str(entry["label"])) for entry in entries]
    require_files([path for pair in files for path in pair], source)
    structures = structures_of(described["labels"])
    organs = ";".join(structures)
    cases: list[Row] = [
        {"subject": re.sub(r"\.nii(\.gz)?$", "", image.name), "image": image, "mask": mask, "organ": organs} for image, mask in files
    ]
    title = str(described.get("name") or source.name)
    channels = [(str(name), _SUFFIXES.get(str(name).lower(), "")) for _, name in sorted(described["modality"].items(), key=_number)]
    skipped = len(described["training"]) - len(entries)
    return Published(
        title=f"Medical Segmentation Decathlon, {title}",
        cases=tuple(cases),
        recipe=_recipe(title, structures, channels, ct=[name.lower() for name, _ in channels] == ["ct"]),
        notices=(f"{skipped} entries that are no images (._*) are left out.",) if skipped else (),
    )


def structures_of(labels: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Integers of each structure: an organ takes its tumour in, other labels stand for themselves, and 0 is the background."""
    named = {str(name): int(code) for code, name in sorted(labels.items(), key=_number) if int(code) != 0}
    tumours = [name for name in named if name.lower() in _TUMOURS]
    organs = [name for name in named if name not in tumours]
    if len(organs) == 1 and tumours:
        return {organs[0]: tuple(named.values())}
    return {name: (code,) for name, code in named.items()}


def organ_field(structures: Mapping[str, tuple[int, ...]]) -> str:
    """Give the target field of ``structures`` in TOML; the table's column organ says which are labelled in a case."""
    values = ", ".join(quoted(name) for name in structures)
    labels = "\n".join(f"{quoted(name)} = {list(codes)}" for name, codes in structures.items())
    return (
        f'[[fields]]\nname = "organ"\nrole = "target"\ncolumn = "organ"\ndescription = "What to segment"\nvalues = [{values}]\n\n'
        f"[fields.labels]\n{labels}\n"
    )


def _recipe(title: str, structures: Mapping[str, tuple[int, ...]], channels: list[tuple[str, str]], *, ct: bool) -> str:
    merged = " Organ and tumour are one, as in Lemay et al. 2021." if any(len(codes) > 1 for codes in structures.values()) else ""
    axis = 'slice_axis = "axial"' + ('\nfourth_axis = "channels"' if len(channels) > 1 else "")
    return recipe_text(
        name=re.sub(r"[^a-z0-9]+", "_", f"msd_{title.lower()}").strip("_"),
        about=f"Medical Segmentation Decathlon, {title}.{merged}",
        model=f"depth = {5 if ct else 4}\nwidth = 64  # of the paper's public code; 16 makes a first run 16 times cheaper",
        channels=channels,
        rest=f"{organ_field(structures)}\n[preprocessing]\n{axis}\n",
    )


def _described(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read; give the unpacked folder of one task, such as Task09_Spleen.") from error
    kinds = {"training": list, "labels": dict, "modality": dict}
    for key, kind in kinds.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), kind) or not content[key]:
            raise InputError(f"{path} has no {key}, as the dataset.json of a task has; give the unpacked folder of one task.")
    if not all(isinstance(entry, dict) and {"image", "label"} <= entry.keys() for entry in content["training"]):
        raise InputError(f"{path} lists training images without their labels; an image and a label are expected for each.")
    if not all(str(code).isdigit() for code in content["labels"]):
        raise InputError(f"{path} has labels that are no integers: {', '.join(map(str, content['labels']))}.")
    return dict(content)


def _number(item: tuple[str, str]) -> tuple[int, str]:
    return (int(item[0]) if str(item[0]).isdigit() else 0, str(item[0]))

"""ACDC, the cardiac diagnosis challenge of 2017 (Bernard et al. 2018), as published.

    training/patient001/Info.cfg                        ED: 1, ES: 12, Group: DCM, Height: 184.0, NbFrame: 30, Weight: 95.0
    training/patient001/patient001_frame01.nii.gz       the frame of end-diastole (ED), and another of end-systole (ES)
    training/patient001/patient001_frame01_gt.nii.gz    1 right ventricle, 2 myocardium, 3 left ventricle
    testing/patient101/...                              likewise

Each frame is a case with the phase as its condition. Where a slice is in the stack is filled in by the program, in training as in use:
slices are those that were acquired, in the file's order, 0 for the first and 1 for the last. Which end is the apex is not said in the
files. slices.tsv has the same for a person to read: ``slice`` is the voxel index along the file's third axis.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from napari_film import nifti
from napari_film.errors import InputError

from .published import Published, Row, recipe_text, require_files

_GROUPS = ("NOR", "MINF", "DCM", "HCM", "RV")
_KEYS = ("ED", "ES", "Group", "Height", "NbFrame", "Weight")

_REST = """
[[classes]]
name = "right ventricle"
labels = [1]

[[classes]]
name = "myocardium"
labels = [2]

[[classes]]
name = "left ventricle"
labels = [3]

[[fields]]
name = "phase"
description = "End-diastole (ED) or end-systole (ES)"
values = ["ED", "ES"]
unknown = true

[fields.synonyms]
ED = ["end-diastole"]
ES = ["end-systole"]

[[fields]]
name = "group"
description = "Diagnosis: none, infarction, dilated or hypertrophic cardiomyopathy, abnormal right ventricle"
values = ["NOR", "MINF", "DCM", "HCM", "RV"]
unknown = true

[[fields]]
name = "slice_position"
kind = "continuous"
description = "Place of a slice in its stack, from the first in the file (0) to the last (1)"
minimum = 0
maximum = 1
per_slice = "position"  # filled in by the program

[preprocessing]
slice_axis = "acquired"  # the short-axis slices, whatever their obliquity
"""


def read_acdc(source: Path) -> Published:
    """Read the data set in the folder ``source``: the one with training and testing in it, or one of these.

    Raises
    ------
    InputError
        If there are no patients, or one lacks its Info.cfg or a frame.
    """
    patients = sorted(
        folder for parent in (source / "training", source / "testing", source) for folder in parent.glob("patient*") if folder.is_dir()
    )
    if not patients:
        raise InputError(f"{source} has no folders training/patient001 and so on; give the unpacked folder of ACDC.")
    frames = [row for folder in patients for row in _frames(folder)]
    labelled = [row for row in frames if Path(row["mask"]).is_file()]
    require_files([Path(row["image"]) for row in frames], source)
    if not labelled:
        raise InputError(f"None of the {len(frames)} frames in {source} has a mask (*_gt.nii.gz), so there is nothing to train on.")
    skipped = len(frames) - len(labelled)
    return Published(
        title="ACDC",
        cases=tuple(labelled),
        recipe=recipe_text(
            name="acdc",
            about="ACDC: the ventricles and the myocardium on cardiac cine MRI, told phase, diagnosis and each slice's place.",
            model="depth = 4\nwidth = 64  # of the FiLM paper's public code; 16 makes a first run 16 times cheaper",
            channels=[("cine MRI", "")],
            rest=_REST,
        ),
        slices=tuple(slice_ for row in labelled for slice_ in _slices(Path(row["image"]))),
        notices=(f"{skipped} frame(s) without a mask are left out.",) if skipped else (),
    )


def _frames(folder: Path) -> Iterator[Row]:
    """Give the two rows of a patient."""
    info = _info(folder / "Info.cfg")
    for phase in ("ED", "ES"):
        if not info[phase].isdigit():
            raise InputError(f"{folder.name}/Info.cfg says that {phase} is {info[phase]!r}; the number of a frame is expected.")
        name = f"{folder.name}_frame{int(info[phase]):02d}"
        yield {
            "subject": folder.name,
            "session": phase,
            "image": folder / f"{name}.nii.gz",
            "mask": folder / f"{name}_gt.nii.gz",
            "phase": phase,
            "group": info["Group"],
            "height": info["Height"],
            "weight": info["Weight"],
            "part": folder.parent.name if folder.parent.name in {"training", "testing"} else "n/a",
        }


def _info(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.parent.name}/{path.name} cannot be read; each patient of ACDC has one.") from error
    found = dict(re.findall(r"^\s*(\w+)\s*:\s*(.*?)\s*$", text, flags=re.MULTILINE))
    for key in _KEYS:
        if key not in found:
            raise InputError(f"{path.parent.name}/{path.name} does not say {key}; it should hold {', '.join(_KEYS)}.")
    if found["Group"] not in _GROUPS:
        raise InputError(f"{path.parent.name}/{path.name} says that Group is {found['Group']!r}; one of {', '.join(_GROUPS)} is expected.")
    return found


def _slices(image: Path) -> Iterator[Row]:
    """Give the rows of slices.tsv for one image."""
    count = nifti.read(image).data.shape[2]
    for index in range(count):
        yield {"image": image, "slice": str(index), "position": f"{index / max(count - 1, 1):.6f}"}

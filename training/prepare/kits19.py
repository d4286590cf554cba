"""KiTS19, the kidney tumour challenge of 2019 (Heller et al. 2019), as its repository and get_imaging.py leave it.

    data/kits.json
    data/case_00000/imaging.nii.gz          slices first: 3D CT in HU
    data/case_00000/segmentation.nii.gz     1 kidney, 2 tumour

Kidney and tumour are one structure, as in Lemay et al. 2021. Cases 210 to 299 were published without segmentations.
"""

import json
from pathlib import Path
from typing import Any

from napari_film.errors import InputError

from .msd import organ_field
from .published import Published, Row, recipe_text, require_files

# What kits.json says of a case that may be of use as a condition: its key, the column here.
_CLINICAL = {
    "age_at_nephrectomy": "age",
    "gender": "sex",
    "body_mass_index": "body_mass_index",
    "radiographic_size": "radiographic_size",
    "malignant": "malignant",
    "tumor_histologic_subtype": "tumor_histologic_subtype",
    "tumor_isup_grade": "tumor_isup_grade",
}


def read_kits19(source: Path) -> Published:
    """Read the data set in the folder ``source``, the repository or its folder data.

    Raises
    ------
    InputError
        If there are no case folders, none has a segmentation, or one with a segmentation has no image.
    """
    data = source / "data" if (source / "data").is_dir() else source
    folders = sorted(folder for folder in data.glob("case_*") if folder.is_dir())
    if not folders:
        raise InputError(f"{source} has no folders data/case_00000 and so on; give the folder of the KiTS19 repository.")
    segmented = [folder for folder in folders if (folder / "segmentation.nii.gz").is_file()]
    if not segmented:
        raise InputError(f"None of the {len(folders)} case folders of {source} has a segmentation.nii.gz, so there is nothing to train on.")
    require_files([folder / "imaging.nii.gz" for folder in segmented], source)
    clinical = _clinical(data / "kits.json")
    cases: list[Row] = [
        {
            "subject": folder.name,
            "image": folder / "imaging.nii.gz",
            "mask": folder / "segmentation.nii.gz",
            "organ": "kidney",
            **{column: _text(clinical.get(folder.name, {}).get(key)) for key, column in _CLINICAL.items()},
        }
        for folder in segmented
    ]
    skipped = len(folders) - len(segmented)
    return Published(
        title="KiTS19",
        cases=tuple(cases),
        recipe=recipe_text(
            name="kits19",
            about="KiTS19: kidneys on CT. Organ and tumour are one, as in Lemay et al. 2021.",
            model="depth = 5\nwidth = 64  # of the paper's public code; 16 makes a first run 16 times cheaper",
            channels=[("CT", "ct")],
            rest=f'{organ_field({"kidney": (1, 2)})}\n[preprocessing]\nslice_axis = "axial"\n',
        ),
        notices=(f"{skipped} case(s) without a segmentation are left out.",) if skipped else (),
    )


def _clinical(path: Path) -> dict[str, dict[str, Any]]:
    """What kits.json says of each case; nothing where it is not there."""
    if not path.is_file():
        return {}
    try:
        return {str(entry["case_id"]): dict(entry) for entry in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not the list of cases that KiTS19 was published with; take it from the repository again.") from error


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "n/a" if value is None or isinstance(value, list | dict) else str(value)

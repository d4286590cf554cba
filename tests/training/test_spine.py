"""Real files: one person's spine in three contrasts, the contrast as the condition. One person can only be learnt by heart."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_film import nifti
from napari_film.header import read_header
from napari_film.training.fit import fit
from napari_film.training.recipe import load_recipe

SPINE = Path(__file__).resolve().parents[3] / "shared" / "data" / "mri_spine_bids"
CONTRASTS = ("T1w", "T2w", "T2star")
RECIPE = """
[model]
name = "cord"
depth = 3
width = 8
dropout = 0.0

[data]
bids = "BIDS"
unlabelled = "skip"  # two of the three people have no masks of the cord

[[channels]]
name = "MR"
suffix = ["T1w", "T2w", "T2star"]

[[classes]]
name = "spinal cord"
labels = [1]

[[fields]]
name = "contrast"
column = "suffix"
values = ["T1w", "T2w", "T2star"]

[preprocessing]
slice_axis = "axial"

[training]
epochs = 40
samples = 96
batch = 8
learning_rate = 4e-3
loss = "dice+bce"
augmentation = false
validate_every = 5
split = "same"
pictures = false
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not SPINE.is_dir(), reason="the shared data are not here")
def test_the_cord_of_one_person_is_learnt_by_heart_and_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "cord.toml").write_text(RECIPE.replace("BIDS", str(SPINE)), encoding="utf-8")
    recipe, text = load_recipe(str(tmp_path / "cord.toml"))
    fitted = fit(recipe, text, tmp_path / "run", cache=tmp_path / "cache")
    provenance = read_header(fitted.checkpoint).provenance
    assert "the same 3 cases for training, validation and test" in provenance.data
    for contrast in CONTRASTS:
        image = SPINE / "sub-unf01" / "anat" / f"sub-unf01_{contrast}.nii.gz"
        mask = tmp_path / f"{contrast}.nii.gz"
        words = ["predict", str(image), "--model", str(fitted.checkpoint), "--metadata", f"contrast={contrast}", "--output", str(mask)]
        subprocess.run([sys.executable, "-c", "from napari_film.cli import main; main()", *words], check=True, capture_output=True)
        found = nifti.read(mask)
        truth = nifti.read(SPINE / "derivatives/labels/sub-unf01/anat" / f"sub-unf01_{contrast}_seg-manual.nii.gz")
        assert found.data.shape == truth.data.shape
        np.testing.assert_allclose(found.affine, nifti.read(image).affine, atol=1e-6)
        a, b = np.asarray(found.data) == 1, np.asarray(truth.data) == 1
        dice = 2 * (a & b).sum() / (a.sum() + b.sum())
        assert dice >= 0.95, f"{contrast}: Dice {dice:.3f}"

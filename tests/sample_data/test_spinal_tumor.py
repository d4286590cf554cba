"""The spinal phantom: geometry, truth, and what does and does not depend on the type."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from napari_film.sample_data import spinal_tumor, tumor, write_phantom

SUBJECTS = 3


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom("spinal_tumor", tmp_path_factory.mktemp("spine"), subjects=SUBJECTS, seed=11)


def load(directory: Path, index: int, suffix: str) -> tuple[nib.Nifti1Image, nib.Nifti1Image]:
    name = f"sub-{index + 1:03d}"
    tree = "labels" if suffix.endswith("T1w") else "truth"
    return (
        nib.load(directory / name / "anat" / f"{name}_{suffix}.nii.gz"),
        nib.load(directory / "derivatives" / tree / name / "anat" / f"{name}_{suffix}_dseg.nii.gz"),
    )


def centre_mm(mask: nib.Nifti1Image, labels: tuple[int, ...]) -> NDArray[np.float64]:
    where = np.argwhere(np.isin(np.asarray(mask.dataobj), labels))
    return nib.affines.apply_affine(mask.affine, where.mean(axis=0))


@pytest.mark.parametrize("index", range(SUBJECTS))
def test_channels_have_grids_of_their_own_over_one_anatomy(directory: Path, index: int) -> None:
    (t1w, mask_1), (t2w, mask_2) = load(directory, index, "ce-gadolinium_T1w"), load(directory, index, "T2w")
    assert t1w.shape != t2w.shape
    assert not np.allclose(t1w.affine[:3, :3], t2w.affine[:3, :3])
    for labels in ((1,), (1, 2, 3)):
        np.testing.assert_allclose(centre_mm(mask_1, labels), centre_mm(mask_2, labels), atol=1.5)


@pytest.mark.parametrize("index", range(SUBJECTS))
def test_slices_are_sagittal_oblique_and_not_stored_ras(directory: Path, index: int) -> None:
    for suffix in ("ce-gadolinium_T1w", "T2w"):
        affine = load(directory, index, suffix)[0].affine
        codes = nib.aff2axcodes(affine)
        assert codes[2] in "LR"
        assert codes != ("R", "A", "S")
        through = affine[:3, 2] / np.linalg.norm(affine[:3, 2])
        assert 0.3 < np.degrees(np.arccos(abs(through[0]))) < 8


@pytest.mark.parametrize("index", range(SUBJECTS))
def test_no_tumour_in_the_slices_at_either_end(directory: Path, index: int) -> None:
    for suffix in ("ce-gadolinium_T1w", "T2w"):
        mask = np.asarray(load(directory, index, suffix)[1].dataobj)
        assert not mask[..., 0].any()
        assert not mask[..., -1].any()


def test_many_subjects_have_a_core_oedema_and_free_ends() -> None:
    for index in range(24):
        subject = spinal_tumor.draw_subject(2, index)
        site = spinal_tumor.PROTOCOLS[subject.site]
        thin = spinal_tumor.Sequence((48, 24, site.t1w.shape[2]), (4.6, 4.6, site.t1w.spacing[2]), "PSR", 0.0, 1.0, 1.0)
        shape, affine = spinal_tumor.draw_grid(np.random.default_rng(index), thin, subject.scene.spine)
        (world,) = spinal_tumor.sub_slices(shape, affine, 1)
        shares = subject.scene.signal(world, 0, 1.15)[1]
        assert shares[0].max() > 0.5, f"subject {index} has no core"
        assert shares[:2].sum() > shares[0].sum(), f"subject {index} has no oedema"
        assert shares[..., 0].max() == 0
        assert shares[..., -1].max() == 0


def test_types_are_balanced_and_site_and_level_do_not_depend_on_them() -> None:
    subjects = [spinal_tumor.draw_subject(7, index) for index in range(90)]
    types = [subject.scene.tumor.tumor_type for subject in subjects]
    assert Counter(types) == dict.fromkeys(tumor.TYPES, 30)
    for column in ("site", "level"):
        values = [getattr(subject, column, None) or subject.scene.spine.level for subject in subjects]
        counts = np.array([[Counter(zip(types, values, strict=True))[t, v] for v in sorted(set(values))] for t in tumor.TYPES])
        chi_square = float(((counts - 10.0) ** 2 / 10.0).sum())
        assert chi_square < 13.3  # four degrees of freedom: p > 0.01


def test_person_and_spine_are_drawn_without_the_type(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [spinal_tumor.draw_subject(1, index) for index in range(6)]
    monkeypatch.setattr(spinal_tumor, "TYPES", ("hemangioblastoma",) * 3)
    after = [spinal_tumor.draw_subject(1, index) for index in range(6)]
    for one, other in zip(before, after, strict=True):
        assert (one.site, one.age, one.sex, one.scene.spine.level) == (other.site, other.age, other.sex, other.scene.spine.level)
        np.testing.assert_array_equal(one.scene.spine.discs, other.scene.spine.discs)


def test_the_labelling_rule_alone_decides_what_core_is() -> None:
    distances = {
        "region": np.array([3.0, 3.0, 3.0, -9.0]),
        "nodule": np.array([2.0, -9.0, -9.0, -9.0]),
        "oedema": np.array([3.0, 3.0, 3.0, 3.0]),
        "cavity": np.array([-9.0, -9.0, 2.0, -9.0]),
    }
    rng = np.random.default_rng(0)
    spine = spinal_tumor.Spine.draw(rng, "thoracic")
    labels = {name: tumor.Tumor.draw(rng, spine, name).truth(distances, 1.0).argmax(axis=0) + 1 for name in tumor.TYPES}
    np.testing.assert_array_equal(labels["astrocytoma"], [1, 1, 3, 2])
    np.testing.assert_array_equal(labels["ependymoma"], [1, 1, 3, 2])
    np.testing.assert_array_equal(labels["hemangioblastoma"], [1, 2, 3, 2])


def test_looks_of_the_types_overlap() -> None:
    for name in ("half_length", "off_centre", "border", "patchy", "enhancement", "nodule", "nodule_enhancement", "nodule_surface"):
        ranges = [getattr(look, name) for look in tumor.LOOKS.values()]
        assert max(low for low, _ in ranges) < min(high for _, high in ranges), name


def test_borders_hold_partial_volume() -> None:
    subject = spinal_tumor.draw_subject(1, 0)
    shape, affine = spinal_tumor.draw_grid(np.random.default_rng(0), spinal_tumor.PROTOCOLS["north"].t2w, subject.scene.spine)
    shares = sum(subject.scene.signal(world, 1, 1.02)[1] for world in spinal_tumor.sub_slices(shape, affine, 3)) / 3
    whole = shares.sum(axis=0)
    assert ((whole > 0.2) & (whole < 0.8)).sum() > 0.1 * (whole > 0.5).sum()


def test_fluid_is_dark_on_t1w_and_bright_on_t2w_and_nodules_enhance() -> None:
    subject = spinal_tumor.draw_subject(1, 0)
    spine, drawn = subject.scene.spine, subject.scene.tumor
    at = tuple(np.full((1, 1, 1), c) for c in spine.to_world(*drawn.nodule.centre))
    assert 1.2 < float(subject.scene.signal(at, 0, 1.0)[0][0, 0, 0])
    behind = (0.0, -(spine.size.canal[1] - 0.8), drawn.region.centre[2] + (120 if drawn.region.centre[2] < 0 else -120))
    at = tuple(np.full((1, 1, 1), c) for c in spine.to_world(*behind))
    assert float(subject.scene.signal(at, 0, 1.0)[0][0, 0, 0]) < 0.7
    assert float(subject.scene.signal(at, 1, 1.0)[0][0, 0, 0]) > 2

"""Small trees of exactly the form in which the data sets are published."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from napari_film import nifti
from napari_film.errors import InputError
from napari_film.fields import BY_SLICE
from napari_film.header import read_header
from napari_film.sample_data import write_phantom
from napari_film.training.cache import Cache
from napari_film.training.cases.case import Case
from napari_film.training.cases.reading import read_cases
from napari_film.training.cli import main
from napari_film.training.data import find_cases
from napari_film.training.fit import fit
from napari_film.training.prepare import READERS, prepare
from napari_film.training.recipe import Recipe, load_recipe
from napari_film.volume import Volume

SHAPE = (24, 20, 4)


def write_pair(image: Path, mask: Path | None, *, seed: int, affine: np.ndarray | None = None, channels: int = 0) -> None:
    """Write an image and a mask with labels 1 (a block) and 2 (its core), bright in the image."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(SHAPE, dtype=np.uint8)
    truth[4:18, 4:16, 1:] = 1
    truth[8:12, 7:12, 1:] = 2
    voxels = (rng.normal(0, 20, SHAPE) + 90.0 * truth).astype(np.int16)
    affine = np.diag([1.0, 1.0, 3.0, 1.0]) if affine is None else affine
    if affine[2, 0]:  # slices first, as KiTS19 stores them
        voxels, truth = np.transpose(voxels, (2, 1, 0)), np.transpose(truth, (2, 1, 0))
    data = np.stack([voxels + channel for channel in range(channels)], axis=-1) if channels else voxels
    for path, array in ((image, data), (mask, truth)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            nifti.write(path, array, like=Volume(array, affine, path.name))


def write_msd(
    folder: Path, *, name: str = "Spleen", labels: dict[str, str] | None = None, modality: tuple[str, ...] = ("CT",), cases: int = 3
) -> Path:
    """Write a task of the Decathlon; its archives also hold the files that macOS leaves."""
    stem = name.lower()
    training = []
    for number in range(cases):
        file = f"{stem}_{number}.nii.gz"
        channels = len(modality) if len(modality) > 1 else 0
        write_pair(folder / "imagesTr" / file, folder / "labelsTr" / file, seed=number, channels=channels)
        for part in ("imagesTr", "labelsTr"):
            (folder / part / f"._{file}").write_bytes(b"\x00\x05\x16\x07")
        training.append({"image": f"./imagesTr/{file}", "label": f"./labelsTr/{file}"})
    described = {
        "name": name,
        "description": f"{name} Segmentation",
        "reference": "somebody",
        "licence": "CC-BY-SA 4.0",
        "release": "1.0 06/08/2018",
        "tensorImageSize": "4D" if len(modality) > 1 else "3D",
        "modality": {str(place): one for place, one in enumerate(modality)},
        "labels": labels or {"0": "background", "1": stem},
        "numTraining": cases,
        "numTest": 1,
        "training": training,
        "test": [f"./imagesTs/{stem}_99.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    return folder


def write_kits19(folder: Path, *, segmented: int = 3, without: int = 2) -> Path:
    """Write the repository as get_imaging.py leaves it."""
    affine = np.array([[0, 0, -0.78, 0], [0, -0.78, 0, 0], [-3.0, 0, 0, 0], [0, 0, 0, 1]])
    clinical = []
    for number in range(segmented + without):
        case = folder / "data" / f"case_{number:05d}"
        write_pair(case / "imaging.nii.gz", case / "segmentation.nii.gz" if number < segmented else None, seed=number, affine=affine)
        clinical.append(
            {"case_id": case.name, "age_at_nephrectomy": 40 + number, "gender": "male", "malignant": True, "last_preop_egfr": {"value": 7}}
        )
    (folder / "data" / "kits.json").write_text(json.dumps(clinical, indent=2), encoding="utf-8")
    return folder


def write_acdc(folder: Path, *, patients: int = 6) -> Path:
    """Write training/ as published: two frames with their masks, the whole series, and Info.cfg."""
    for number in range(1, patients + 1):
        patient = folder / "training" / f"patient{number:03d}"
        for frame in (1, 12):
            stem = patient / f"{patient.name}_frame{frame:02d}"
            write_pair(stem.with_name(f"{stem.name}.nii.gz"), stem.with_name(f"{stem.name}_gt.nii.gz"), seed=number * 20 + frame)
        write_pair(patient / f"{patient.name}_4d.nii.gz", None, seed=number, channels=2)
        group = ("DCM", "HCM")[number % 2]
        text = f"ED: 1\nES: 12\nGroup: {group}\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0"
        (patient / "Info.cfg").write_text(text, encoding="utf-8")
        (patient / "MANDATORY_CITATION.md").write_text("cite", encoding="utf-8")
    return folder


def cases_of(kind: str, source: Path, output: Path) -> tuple[tuple[Case, ...], Recipe]:
    """Prepare, and read what was written as `fit` does."""
    prepare(READERS[kind], source, output)
    recipe, _ = load_recipe(str(output / "recipe.toml"))
    return read_cases(recipe.data.all_sources(), recipe), recipe


def test_an_msd_task(tmp_path: Path) -> None:
    source = write_msd(tmp_path / "Task09_Spleen")
    cases, recipe = cases_of("msd", source, tmp_path / "out" / "spleen")
    assert [case.subject for case in cases] == ["spleen_0", "spleen_1", "spleen_2"]
    assert cases[1].images[0].samefile(source / "imagesTr" / "spleen_1.nii.gz")
    assert cases[1].mask.samefile(source / "labelsTr" / "spleen_1.nii.gz")
    assert recipe.class_labels("spleen") == ((1,),)
    assert (recipe.model.name, recipe.model.depth, recipe.model.width) == ("msd_spleen", 5, 64)
    assert sorted(path.name for path in (tmp_path / "out" / "spleen").iterdir()) == ["cases.tsv", "dataset_description.json", "recipe.toml"]
    assert str(tmp_path) not in (tmp_path / "out" / "spleen" / "cases.tsv").read_text(encoding="utf-8")


def test_liver_and_its_tumour_are_one_and_other_labels_are_several(tmp_path: Path) -> None:
    liver = write_msd(tmp_path / "Task03_Liver", name="Liver", labels={"0": "background", "1": "liver", "2": "cancer"})
    cases, recipe = cases_of("msd", liver, tmp_path / "liver")
    assert recipe.class_labels("liver") == ((1, 2),)
    assert cases[0].values == ("liver",)
    labels = {"0": "background", "2": "Posterior", "1": "Anterior"}
    hippocampus = write_msd(tmp_path / "Task04_Hippocampus", name="Hippocampus", labels=labels, modality=("MRI",))
    cases, recipe = cases_of("msd", hippocampus, tmp_path / "hippocampus")
    assert cases[0].values == ("Anterior", "Posterior")
    assert recipe.class_labels("Posterior") == ((2,),)
    assert recipe.model.depth == 4


def test_modalities_of_one_file_are_channels(tmp_path: Path) -> None:
    names = ("FLAIR", "T1w", "t1gd", "T2w")
    source = write_msd(tmp_path / "Task01_BrainTumour", name="BRATS", modality=names)
    cases, recipe = cases_of("msd", source, tmp_path / "out")
    assert len(cases[0].images) == 1
    assert tuple(channel.name for channel in recipe.channels) == names
    assert recipe.checkpoint_preprocessing().fourth_axis == "channels"
    prepared = Cache(tmp_path / "cache").prepared(cases[0], recipe)
    assert prepared.shape[1] == 4
    stored = np.asarray(nifti.read(cases[0].images[0]).data)
    assert [median for _, median, _ in prepared.measures.intensity] == [np.median(stored[..., channel]) for channel in range(4)]


def test_kits19_merges_the_tumour_and_leaves_out_what_has_no_segmentation(tmp_path: Path) -> None:
    source = write_kits19(tmp_path / "kits19")
    published = prepare(READERS["kits19"], source, tmp_path / "out")
    assert published.notices == ("2 case(s) without a segmentation are left out.",)
    recipe, _ = load_recipe(str(tmp_path / "out" / "recipe.toml"))
    cases = read_cases(recipe.data.all_sources(), recipe)
    assert [case.subject for case in cases] == ["case_00000", "case_00001", "case_00002"]
    assert recipe.class_labels("kidney") == ((1, 2),)
    table = (tmp_path / "out" / "cases.tsv").read_text(encoding="utf-8").splitlines()
    assert table[0].split("\t")[:6] == ["subject", "image", "mask", "organ", "age", "sex"]
    assert table[1].split("\t")[3:6] == ["kidney", "40", "male"]
    assert prepare(READERS["kits19"], source / "data", tmp_path / "again").cases == published.cases


def test_acdc_has_phase_and_group_and_the_place_of_each_slice(tmp_path: Path) -> None:
    source = write_acdc(tmp_path / "database")
    cases, recipe = cases_of("acdc", source, tmp_path / "out")
    assert len(cases) == 12
    told = {"group": "HCM", "slice_position": BY_SLICE}
    assert [dict(case.metadata) for case in cases[:2]] == [{"phase": "ED", **told}, {"phase": "ES", **told}]
    assert cases[1].mask.name == "patient001_frame12_gt.nii.gz"
    assert recipe.class_names() == ("right ventricle", "myocardium", "left ventricle")
    lines = [line.split("\t") for line in (tmp_path / "out" / "slices.tsv").read_text(encoding="utf-8").splitlines()]
    assert lines[0] == ["image", "slice", "position"]
    assert [line[1:] for line in lines[1:5]] == [["0", "0.000000"], ["1", "0.333333"], ["2", "0.666667"], ["3", "1.000000"]]
    assert (tmp_path / "out" / lines[1][0]).samefile(cases[0].images[0])
    assert len(lines) == 1 + 12 * SHAPE[2]
    assert len(prepare(READERS["acdc"], source / "training", tmp_path / "again").cases) == 12


def test_a_phantom_of_the_heart_is_read_as_acdc_is(tmp_path: Path) -> None:
    """Written as published: the reader takes the tree as it is, slices are those acquired, and training runs to its end."""
    source = write_phantom("cardiac", tmp_path / "phantom", subjects=5, seed=3)
    cases, recipe = cases_of("acdc", source, tmp_path / "out")
    assert len(cases) == 10
    assert [dict(case.metadata)["phase"] for case in cases[:2]] == ["ED", "ES"]
    assert len({dict(case.metadata)["group"] for case in cases}) == 5
    prepared = Cache(tmp_path / "cache").prepared(cases[0], recipe)
    stored = nifti.read(cases[0].images[0]).data.shape
    assert prepared.shape[0] == stored[2] <= 12 < min(stored[:2])
    short = [
        "training.epochs=1",
        "training.samples=8",
        "training.pictures=false",
        "training.patch=[64, 64]",
        "preprocessing.spacing=[4, 4, 0]",
    ]
    small, text = load_recipe(str(tmp_path / "out" / "recipe.toml"), [*short, "model.depth=1", "model.width=4"])
    fitted = fit(small, text, tmp_path / "run", cache=tmp_path / "cache")
    rows = fitted.scores["test"]
    assert sorted({(row["true"], row["class"]) for row in rows}) == [
        (phase, name) for phase in ("ED", "ES") for name in sorted(recipe.class_names())
    ]
    assert all(row["voxels"] > 0 for row in rows)


def edited(name: str, change: tuple[str, str]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (file,) = folder.rglob(name)
        file.write_text(file.read_text(encoding="utf-8").replace(*change), encoding="utf-8")

    return edit


def without(pattern: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        found = [path for path in folder.rglob(pattern) if path.is_file()]
        assert found
        for path in found:
            path.unlink()

    return remove


@pytest.mark.parametrize(
    ("write", "kind", "change", "message"),
    [
        (write_msd, "msd", without("dataset.json"), r"dataset\.json cannot be read; give the unpacked folder of one task"),
        (write_msd, "msd", edited("dataset.json", ('"training"', '"trainig"')), r"dataset\.json has no training, as"),
        (write_msd, "msd", edited("dataset.json", ('"label"', '"lable"')), r"lists training images without their labels"),
        (write_msd, "msd", edited("dataset.json", ('"1": "spleen"', '"spleen": 1')), r"has labels that are no integers: 0, spleen"),
        (write_msd, "msd", without("spleen_1.nii.gz"), r"imagesTr/spleen_1\.nii\.gz and 1 other file\(s\) of 6 .* are missing; download"),
        (write_kits19, "kits19", without("segmentation.nii.gz"), r"None of the 5 case folders .* has a segmentation\.nii\.gz"),
        (write_kits19, "kits19", without("case_00001/imaging.nii.gz"), r"data/case_00001/imaging\.nii\.gz and 0 other .* are missing"),
        (write_kits19, "kits19", edited("kits.json", ("case_id", "id")), r"kits\.json is not the list of cases that KiTS19"),
        (write_acdc, "acdc", without("patient003/Info.cfg"), r"^patient003/Info\.cfg cannot be read; each patient of ACDC has one"),
        (write_acdc, "acdc", without("patient003_frame12.nii.gz"), r"patient003_frame12\.nii\.gz and 0 other .* are missing"),
        (write_acdc, "acdc", without("*_gt.nii.gz"), r"None of the 12 frames .* has a mask"),
    ],
)
def test_a_wrong_layout_is_told(
    tmp_path: Path, write: Callable[[Path], Path], kind: str, change: Callable[[Path], None], message: str
) -> None:
    source = write(tmp_path / "source")
    change(source)
    with pytest.raises(InputError, match=message) as told:
        prepare(READERS[kind], source, tmp_path / "out")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Group: HCM", "Group: XYZ", r"patient001/Info\.cfg says that Group is 'XYZ'; one of NOR, MINF, DCM, HCM, RV is expected"),
        ("ES: 12\n", "", r"patient001/Info\.cfg does not say ES; it should hold ED, ES, Group"),
        ("ES: 12", "ES: ?", r"patient001/Info\.cfg says that ES is '\?'; the number of a frame"),
    ],
)
def test_a_wrong_info_cfg_is_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    source = write_acdc(tmp_path / "source", patients=1)
    edited("Info.cfg", (old, new))(source)
    with pytest.raises(InputError, match=message):
        prepare(READERS["acdc"], source, tmp_path / "out")


@pytest.mark.parametrize("kind", sorted(READERS))
def test_another_folder_is_told(tmp_path: Path, kind: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"give the (unpacked )?folder of"):
        prepare(READERS[kind], tmp_path / "empty", tmp_path / "out")
    (tmp_path / "Task09_Spleen.tar").touch()
    with pytest.raises(InputError, match=r"Task09_Spleen\.tar is no folder; unpack it first"):
        prepare(READERS[kind], tmp_path / "Task09_Spleen.tar", tmp_path / "out")


def test_nothing_is_overwritten_nor_half_written(tmp_path: Path) -> None:
    source = write_msd(tmp_path / "Task09_Spleen")
    out = tmp_path / "out"
    out.mkdir()
    (out / "recipe.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"out already holds recipe\.toml; name another folder"):
        prepare(READERS["msd"], source, out)
    assert (out / "recipe.toml").read_text(encoding="utf-8") == "mine"
    assert [path.name for path in out.iterdir()] == ["recipe.toml"]


SEVERAL = """
[model]
name = "organs"
depth = 1
width = 4

[[data.sources]]
table = "liver/cases.tsv"
name = "liver"

[[data.sources]]
table = "spleen/cases.tsv"
name = "spleen"

[[data.sources]]
table = "kidney/cases.tsv"
name = "kidney"

[[channels]]
name = "CT"

[[fields]]
name = "organ"
role = "target"
column = "organ"
values = ["liver", "spleen", "kidney"]
labels = { liver = [1, 2], spleen = [1], kidney = [1, 2] }

[preprocessing]
slice_axis = "axial"

[training]
epochs = 1
samples = 12
batch = 4
"""


def test_three_data_sets_of_one_organ_each_train_one_network(tmp_path: Path) -> None:
    """The second experiment of the paper: no case has a truth but for its own organ, and each has its own."""
    liver = {"0": "background", "1": "liver", "2": "cancer"}
    prepare(READERS["msd"], write_msd(tmp_path / "Task03_Liver", name="Liver", labels=liver), tmp_path / "liver")
    prepare(READERS["msd"], write_msd(tmp_path / "Task09_Spleen"), tmp_path / "spleen")
    prepare(READERS["kits19"], write_kits19(tmp_path / "kits19"), tmp_path / "kidney")
    (tmp_path / "organs.toml").write_text(SEVERAL, encoding="utf-8")
    recipe, text = load_recipe(str(tmp_path / "organs.toml"))
    cases, origin = find_cases(recipe, tmp_path, data=None, console=Console(quiet=True))
    assert origin == "Medical Segmentation Decathlon, Liver; Medical Segmentation Decathlon, Spleen; KiTS19"
    assert {(case.source, case.values) for case in cases} == {(organ, (organ,)) for organ in ("liver", "spleen", "kidney")}
    fitted = fit(recipe, text, tmp_path / "run", cache=tmp_path / "cache")
    rows = fitted.scores["test"]
    assert sorted(row["true"] for row in rows) == ["kidney", "liver", "spleen"]
    assert all(row["subject"].startswith(f"{row['true']}.") for row in rows)
    # The mask's labels: liver and kidney take their tumours in, and the spleen of this phantom has a core that is not of it.
    counts = {row["true"]: row["voxels"] for row in rows}
    assert counts["liver"] == counts["kidney"] == 14 * 12 * 3
    assert counts["spleen"] == 14 * 12 * 3 - 4 * 5 * 3
    assert "liver" in read_header(fitted.checkpoint).provenance.data.lower()


def test_the_command_prepares_what_fit_trains_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_acdc(tmp_path / "ACDC")
    with pytest.raises(SystemExit, match=r"^0?$"):
        main(["prepare", "acdc", str(source), str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert re.search(r"12 cases of ACDC are in .*out\nnapari-film-train fit .*recipe\.toml", said)
    settings = ["training.epochs=1", "training.samples=8", "model.depth=1", "model.width=4", "training.pictures=false"]
    changes = [part for setting in settings for part in ("--set", setting)]
    with pytest.raises(SystemExit, match=r"^0?$"):
        main(["fit", str(tmp_path / "out" / "recipe.toml"), "-o", str(tmp_path / "run"), "--cache", str(tmp_path / "cache"), *changes])
    header = read_header(tmp_path / "run" / "best.safetensors")
    assert header.classes == ("right ventricle", "myocardium", "left ventricle")
    assert [field.name for field in header.metadata_schema] == ["phase", "group", "slice_position"]
    assert header.metadata_schema.per_slice == ("slice_position",)


def test_a_mistake_of_the_command_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["prepare", "msd", str(tmp_path / "nowhere"), str(tmp_path / "out")])
    assert capsys.readouterr().err.count("\n") == 1

"""A wheel holds what the sources hold: no module, recipe, volume or checkpoint stays behind, and nothing else comes along."""

import fnmatch
import shutil
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDERS = {"napari_film": "napari_film", "training": "napari_film/training", "sample_data": "napari_film/sample_data"}
LARGEST = 3 * 2**20


def sources() -> list[str]:
    """The files of this checkout, those not yet committed among them, without what git ignores."""
    run = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return [name for name in run.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


@pytest.fixture(scope="module")
def expected() -> set[str]:
    """The names that the packages' files have in a wheel."""
    names = set()
    for name in map(PurePosixPath, sources()):
        if name.parts[0] in FOLDERS and name.suffix != ".md":
            names.add(str(FOLDERS[name.parts[0]] / PurePosixPath(*name.parts[1:])))
    return names


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy: setuptools leaves build/ and *.egg-info beside what it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in sources():
        copy = folder / "copy" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, copy)
    run = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(folder / "copy")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def packaged(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_nothing_stays_behind(wheel: zipfile.ZipFile, expected: set[str]) -> None:
    assert sorted(expected - packaged(wheel)) == []


def test_nothing_else_comes_along(wheel: zipfile.ZipFile, expected: set[str]) -> None:
    assert sorted(packaged(wheel) - expected) == []


@pytest.mark.parametrize(
    "pattern",
    [
        "napari_film/napari.yaml",
        "napari_film/py.typed",
        "napari_film/cli.py",
        "napari_film/training/cli.py",
        "napari_film/training/recipes/*.toml",
        "napari_film/sample_data/volumes/*.nii.gz",
        "napari_film/sample_data/checkpoints/*.safetensors",
    ],
)
def test_what_every_user_needs_is_there(wheel: zipfile.ZipFile, pattern: str) -> None:
    """Holds even where the sources have lost it."""
    found = fnmatch.filter(packaged(wheel), pattern)
    assert found, f"no file of the wheel is {pattern}"


def test_entry_points(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    lines = set(wheel.read(name).decode().splitlines())
    assert lines >= {
        "napari-film = napari_film.cli:main",
        "napari-film-train = napari_film.training.cli:main",
        "[napari.manifest]",
        "napari-film = napari_film:napari.yaml",
    }


def test_who_only_runs_models_needs_no_viewer_and_no_trainer(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    metadata = HeaderParser().parsestr(wheel.read(name).decode())
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert not any(word in line.lower() for line in required for word in ("napari", "qt", "lightning", "monai"))
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert "Framework :: napari" in metadata.get_all("Classifier", [])


def test_no_file_is_large(wheel: zipfile.ZipFile) -> None:
    assert {entry.filename: entry.file_size for entry in wheel.infolist() if entry.file_size > LARGEST} == {}

"""What holds for every file of the repository, and for what napari is told of us."""

import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from npe2 import PluginManifest

REPOSITORY = Path(__file__).resolve().parents[1]
MACHINE_PATH = re.compile(r"(?<![\w./~-])/(?:root|work|home/\w+|Users/\w+)\b|(?<![\w./~-])/tmp/\w|[A-Z]:\\\\?Users\\")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The text files that git knows, by name."""
    run = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found = {}
    for name in filter(None, run.stdout.split("\0")):
        path = REPOSITORY / name
        if not path.is_file() or path.is_symlink():
            continue
        data = path.read_bytes()
        if b"\0" not in data[:8192]:
            found[name] = data.decode("utf-8")
    return found


def test_no_file_names_a_place_on_somebodys_machine(texts: dict[str, str]) -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts.items()
        if not name.startswith("tests/")
        for number, line in enumerate(text.splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line", ["data = '/root/data'", "see /home/anna/x.nii", 'open("/tmp/a")', "(/Users/anna/scan)", "under /work/main"]
)
def test_such_a_place_is_recognised(line: str) -> None:
    assert MACHINE_PATH.search(line)


@pytest.mark.parametrize("line", ["docs/home/page.md", "https://example.org/home/anna", "a/root of the tree", "head/work", "~/home/x"])
def test_other_words_are_left_alone(line: str) -> None:
    assert not MACHINE_PATH.search(line)


def test_the_manifest_is_valid_and_every_command_can_be_imported() -> None:
    manifest = PluginManifest.from_file(REPOSITORY / "napari_film" / "napari.yaml")
    manifest.validate_imports()
    assert manifest.name == "napari-film"


def test_napari_finds_the_manifest_of_what_is_installed() -> None:
    assert PluginManifest.from_distribution("napari-film").contributions.widgets


def test_the_manifest_beside_the_readme_is_the_packages() -> None:
    assert (REPOSITORY / "napari.yaml").resolve() == REPOSITORY / "napari_film" / "napari.yaml"


def test_one_version_everywhere(texts: dict[str, str]) -> None:
    stated = tomllib.loads(texts["pyproject.toml"])["project"]["version"]
    assert version("napari-film") == stated
    assert yaml.safe_load(texts["CITATION.cff"])["version"] == stated


def test_constraints_pin_what_the_project_names(texts: dict[str, str]) -> None:
    pins = dict(line.split("==") for line in texts["constraints.txt"].splitlines() if not line.startswith("#"))
    assert all(re.fullmatch(r"[\w.]+", pin) for pin in pins.values())
    project = tomllib.loads(texts["pyproject.toml"])["project"]
    named = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    plain = {re.split(r"[\[><=!~ ]", line)[0].lower().replace("_", "-") for line in named} - {"napari-film"}
    assert plain - {name.lower().replace("_", "-") for name in pins} == set()

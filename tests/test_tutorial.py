"""The tutorial, done as it stands there: from a phantom to a model in the dock that says what the command line says."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from napari_film import nifti

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def tutorial() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_tutorial", DOCS / "run_tutorial.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_command_that_fails_ends_it(tutorial: ModuleType, tmp_path: Path) -> None:
    assert list(tutorial.follow("```toml a.toml\nx = 1\n```\n```console\n$ cat a.toml\nold\n```\n", tmp_path)) == [
        ("```console\n$ cat a.toml\nold\n```", "```console\n$ cat a.toml\nx = 1\n```")
    ]
    with pytest.raises(RuntimeError, match="ended with 3"):
        tutorial.run("exit 3", tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_tutorial_holds(tutorial: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "tutorial"
    folder.mkdir()
    done = [after for _, after in tutorial.follow(tutorial.PAGE.read_text(encoding="utf-8"), folder)]
    printed = "\n".join(done)
    assert "gain: Dice told the true value" in printed
    for made in tutorial.PICTURES.values():
        assert (folder / made).stat().st_size > 10_000
    line = re.findall(r"^  (napari-film predict .*)$", printed, re.MULTILINE)[0]
    images, told, mask = tutorial.predicted(line, folder)
    viewer, widget = tutorial.open_dock(images, folder / "runs/first/best.safetensors", told)
    try:
        in_file = np.asarray(nifti.read(mask).data)
        assert in_file.any()
        assert np.array_equal(widget.session.prepared.to_source(widget.session.mask()), in_file)
        assert widget.session.metadata == told
    finally:
        viewer.close()

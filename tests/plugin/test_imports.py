"""What the manifest's commands import before a model is loaded, each tried in a fresh interpreter."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import napari_film

MANIFEST = yaml.safe_load((Path(napari_film.__file__).parent / "napari.yaml").read_text(encoding="utf-8"))
COMMANDS = sorted({command["python_name"].partition(":")[0] for command in MANIFEST["contributions"]["commands"]})
HEAVY = {"torch", "safetensors", "nibabel"}


def left_by(code: str, tmp_path: Path) -> str:
    """Which of the heavy packages a fresh interpreter has loaded after running ``code``."""
    words = [sys.executable, "-c", f"import sys\n{code}\nprint(*sorted({HEAVY} & set(sys.modules)))"]
    run = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_s_module_loads_nothing_heavy(module, tmp_path):
    assert left_by(f"import {module}", tmp_path) == ""


def test_asking_for_a_reader_reads_nothing(tmp_path):
    code = "from napari_film.plugin.reader import napari_get_reader\nassert napari_get_reader('a.nii.gz')"
    assert left_by(code, tmp_path) == ""


def test_opening_the_dock_and_choosing_a_model_loads_no_torch(tmp_path):
    """In a window of its own, where the test's display is."""
    code = """
import napari
from napari_film.bundled import bundled_checkpoints
viewer = napari.Viewer(show=False)
_, widget = viewer.window.add_plugin_dock_widget("napari-film", "FiLM segmentation")
widget.picker.choose(bundled_checkpoints()["abdomen"])
assert widget.session.header is not None
widget.close_session()
viewer.close()
"""
    assert left_by(code, tmp_path) == ""

"""Imports run one way, as ARCHITECTURE.md says: read from the sources, and tried in a fresh interpreter."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDERS = {"napari_film": "napari_film", "training": "napari_film.training", "sample_data": "napari_film.sample_data"}

GUI = {"napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "magicgui", "superqt", "vispy"}
TRAINING_ONLY = {"lightning", "pytorch_lightning", "monai", "tensorboard", "matplotlib", "torchmetrics"}
QT_FREE_IN_PLUGIN = {"napari_film.plugin", "napari_film.plugin.session"}
TORCH_FREE = ["napari_film", "napari_film.header", "napari_film.conditioning", "napari_film.volume", "napari_film.architecture"]
USERS_OF_NIBABEL = {"napari_film.nifti", "napari_film.nifti_header"}

# Which rooms a room may import from; inside the core, the order of ARCHITECTURE.md decides.
MAY_IMPORT = {
    "front": {"core"},
    "core": {"core"},
    "cli": {"front", "core", "cli", "sample_data"},
    "training": {"front", "core", "training", "sample_data"},
    "plugin": {"front", "core", "plugin", "sample_data"},
    "sample_data": {"core", "sample_data"},
}
SAMPLE_DATA_KNOWS = {f"napari_film.{name}" for name in ("volume", "nifti", "errors", "atomic")}

# (importing module, function, imported room): why. The sole ways round the rules above.
EXCEPTIONS = {("napari_film.cli", "demo", "plugin"): "`napari-film demo` opens the dock, where there is a napari, and only when called"}


class Import(NamedTuple):
    """One module that another one names."""

    target: str
    line: int
    functions: tuple[str, ...]  # the functions it stands in, outermost first; empty: runs when the module is imported


def modules_of(root: Path) -> dict[str, Path]:
    """Every module of the rooms under ``root``, by its installed name."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in sorted((root / folder).rglob("*.py")):
            inner = path.relative_to(root / folder).with_suffix("").parts
            found[".".join([package, *(part for part in inner if part != "__init__")])] = path
    return found


def imports_of(module: str, path: Path, known: set[str]) -> Iterator[Import]:
    """Every import in a file, wherever it stands; relative ones resolved, ``from package import module`` as the module."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]

    def visit(node: ast.AST, functions: tuple[str, ...]) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, functions)
        elif isinstance(node, ast.ImportFrom):
            ancestors = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*ancestors, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(inner if inner in known else base, node.lineno, functions)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            if node.args and isinstance(node.args[0], ast.Constant):
                yield Import(str(node.args[0].value), node.lineno, functions)
        inside = (*functions, node.name) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else functions
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), ())


def room_of(module: str) -> str:
    """In which room a module of ours stands."""
    if module == "napari_film":
        return "front"
    name = module.split(".")[1]
    return name if name in MAY_IMPORT else "core"


def core_order(architecture: str) -> dict[str, int]:
    """The rank of each core module, from the line of ARCHITECTURE.md that states the order."""
    line = re.search(r"Imports run one way: `([^`]+)`", architecture)
    assert line, "ARCHITECTURE.md states the order as: Imports run one way: `a, b <- c <- ...`"
    layers = [layer for layer in line[1].split("<-") if "{" not in layer]
    return {f"napari_film.{name.strip()}": rank for rank, layer in enumerate(layers) for name in layer.split(",")}


def violations(root: Path, order: dict[str, int]) -> list[str]:
    """What the imports under ``root`` do against the rules, one sentence each."""
    modules = modules_of(root)
    found: list[str] = []
    graph: dict[str, set[str]] = {}

    def placed(module: str) -> str:
        """The name that the order knows a module by: a package stands for what is in it."""
        return ".".join(module.split(".")[:2])

    for module, path in modules.items():
        room = room_of(module)
        if room == "core" and placed(module) not in order:
            found.append(f"{module} has no place in the order that ARCHITECTURE.md states")
        for target, line, functions in imports_of(module, path, set(modules)):
            top = target.split(".")[0]

            def report(why: str, target: str = target, line: int = line, path: Path = path) -> None:
                found.append(f"{path.relative_to(root)}:{line} imports {target}: {why}")

            if top in GUI and (room != "plugin" or module in QT_FREE_IN_PLUGIN):
                report("Qt and napari live in napari_film/plugin, outside its session")
            elif top in TRAINING_ONLY and room != "training":
                report("only training has it")
            elif top == "nibabel" and module not in USERS_OF_NIBABEL:
                report("nifti and nifti_header are its sole users")
            elif top in FOLDERS and top != "napari_film":
                report(f"its installed name is {FOLDERS[top]}")
            if top != "napari_film":
                continue
            if not functions and target in modules and target != module and not module.startswith(f"{target}."):
                graph.setdefault(module, set()).add(target)
            other = room_of(target)
            if other not in MAY_IMPORT[room]:
                if not any((module, function, other) in EXCEPTIONS for function in functions):
                    report(f"{room} never imports {other}")
            elif room == other == "core" and order.get(placed(target), 0) > order.get(placed(module), len(order)):
                report("it comes later in the order of ARCHITECTURE.md")
            elif room == "sample_data" and other == "core" and target not in SAMPLE_DATA_KNOWS:
                report(f"sample_data knows {', '.join(sorted(SAMPLE_DATA_KNOWS))} alone")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append(f"imports go in a circle: {' -> '.join(error.args[1])}")
    return found


def left_in(modules: list[str], unwanted: set[str], cwd: Path) -> str:
    """Which of the unwanted packages a fresh interpreter has loaded after importing the modules."""
    code = (
        f"import importlib, sys\n"
        f"for name in {modules}: importlib.import_module(name)\n"
        f"print(*sorted(set({sorted(unwanted)}) & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.fixture(scope="module")
def order() -> dict[str, int]:
    return core_order((REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8"))


def test_imports_run_one_way(order: dict[str, int]) -> None:
    found = violations(REPOSITORY, order)
    assert not found, "\n".join(found)


def test_the_order_names_modules_that_exist(order: dict[str, int]) -> None:
    assert set(order) <= set(modules_of(REPOSITORY))


def test_qt_and_napari_stay_out_of_core_training_and_session(tmp_path: Path) -> None:
    modules = modules_of(REPOSITORY)
    assert set(modules) >= QT_FREE_IN_PLUGIN
    qt_free = [name for name in modules if (room_of(name) != "plugin" or name in QT_FREE_IN_PLUGIN) and not name.endswith("__main__")]
    assert left_in(qt_free, GUI, tmp_path) == ""


@pytest.mark.parametrize("module", TORCH_FREE)
def test_what_needs_no_torch_does_not_load_it(module: str, tmp_path: Path) -> None:
    assert left_in([module], {"torch", "monai", "lightning", *GUI}, tmp_path) == ""


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("napari_film/volume.py", "import napari", "Qt and napari live in"),
        ("napari_film/volume.py", "def f():\n    from qtpy.QtCore import Qt", "Qt and napari live in"),
        ("napari_film/plugin/session.py", "from superqt.utils import thread_worker", "outside its session"),
        ("napari_film/plugin/dock.py", "from napari_film.training import module", "plugin never imports training"),
        ("napari_film/plugin/dock.py", "from napari_film import cli", "plugin never imports cli"),
        ("napari_film/plugin/dock.py", "from .. import cli", "plugin never imports cli"),
        ("napari_film/plugin/dock.py", "import monai", "only training has it"),
        (
            "napari_film/inference/engine.py",
            "import importlib\nimportlib.import_module('napari_film.plugin.dock')",
            "core never imports plugin",
        ),
        ("napari_film/volume.py", "from napari_film.nifti import read", "comes later in the order"),
        ("napari_film/models/unet.py", "from ..checkpoint import load", "comes later in the order"),
        ("napari_film/volume.py", "from napari_film import Volume", "core never imports front"),
        ("napari_film/volume.py", "import nibabel as nib", "sole user"),
        ("napari_film/utils.py", "", "no place in the order"),
        ("napari_film/cli.py", "from napari_film.plugin.dock import Dock", "cli never imports plugin"),
        ("napari_film/cli.py", "def predict():\n    import napari_film.plugin", "cli never imports plugin"),
        ("napari_film/cli.py", "from napari_film.training import cli", "cli never imports training"),
        ("training/dataset.py", "from napari_film.plugin import session", "training never imports plugin"),
        ("training/dataset.py", "from training.module import Module", "installed name"),
        ("sample_data/spine.py", "from napari_film.checkpoint import load", "sample_data knows"),
    ],
)
def test_a_planted_violation_is_found(path: str, source: str, complaint: str, order: dict[str, int], tmp_path: Path) -> None:
    lawful = {
        "napari_film/__init__.py": "",
        "napari_film/errors.py": "",
        "napari_film/volume.py": "from napari_film.errors import InputError",
        "napari_film/nifti.py": "import nibabel",
        "napari_film/checkpoint.py": "import torch\nfrom . import volume",
        "napari_film/cli.py": "def demo():\n    from napari_film.plugin.dock import Dock",
        "napari_film/plugin/__init__.py": "",
        "napari_film/plugin/dock.py": "import napari\nfrom napari_film.plugin import session",
        "training/__init__.py": "",
        "training/module.py": "import lightning\nfrom napari_film.checkpoint import load",
        "training/cli.py": "from .module import Module",
        "sample_data/__init__.py": "",
        "sample_data/spine.py": "from napari_film.volume import Volume",
    }

    def plant(files: dict[str, str]) -> list[str]:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return violations(tmp_path, order)

    assert plant(lawful) == []
    found = plant({path: source})
    assert len(found) == 1, found
    assert complaint in found[0]


def test_a_circle_is_found(order: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training/one.py").write_text("from . import two")
    (tmp_path / "training/two.py").write_text("from .one import something")
    assert violations(tmp_path, order) == [
        "imports go in a circle: napari_film.training.one -> napari_film.training.two -> napari_film.training.one"
    ]

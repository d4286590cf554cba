import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_film.checkpoint import load_checkpoint
from napari_film.errors import InputError
from napari_film.training.processes import check_processes
from napari_film.training.recipe.training import Training
from napari_film.training.sampling import BalancedSampler, make_pools

SETTINGS = ("--set", "training.epochs=3", "--set", "training.samples=25", "--set", "training.tensorboard=false")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The command line as a file, which torchrun and Lightning start again for each process."""
    path = tmp_path / "train.py"
    path.write_text("import torch\n\ntorch.set_num_threads(1)\nfrom napari_film.training.cli import main\n\nmain()\n", encoding="utf-8")
    return path


def told(command: list[str], tmp_path: Path) -> str:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended.stdout


@pytest.mark.slow
def test_two_processes_share_each_epoch(script: Path, write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit = ["fit", str(write_recipe()), "--output", str(run), *SETTINGS, "--devices", "2", "--strategy", "ddp"]
    out = told([sys.executable, str(script), *fit], tmp_path)
    assert out.count("Checkpoint:") == 1  # one process talks
    assert len(re.findall(r"epoch +1 +loss", out)) == 1
    scores = json.loads((run / "scores.json").read_text())
    assert scores["processes"] == 2
    assert scores["epochs"] == 3
    assert load_checkpoint(run / "best.safetensors").header.provenance.recipe.count("devices = 2") == 1
    rows = (run / "metrics.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["epoch", "1", "2", "3"]
    assert {path.name for path in run.iterdir()} == {
        "best.md",
        "best.safetensors",
        "last.ckpt",
        "metrics.csv",
        "pictures",
        "recipe.toml",
        "scores.json",
    }


@pytest.mark.slow
def test_torchrun_and_resuming(script: Path, write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    """Two processes by torchrun give what two processes by Lightning give, whole or resumed."""
    recipe = str(write_recipe())
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    options = [*SETTINGS, "--set", "training.epsilon=1", "--devices", "2", "--strategy", "ddp"]
    told([*torchrun, "fit", recipe, "--output", str(tmp_path / "one"), *options], tmp_path)
    told([sys.executable, str(script), "fit", recipe, "--output", str(tmp_path / "two"), *options], tmp_path)
    told([*torchrun, "fit", recipe, "--output", str(tmp_path / "three"), *options, "--set", "training.patience=1"], tmp_path)
    assert json.loads((tmp_path / "three" / "scores.json").read_text())["epochs"] == 2
    out = told([*torchrun, "fit", recipe, "--output", str(tmp_path / "three"), *options, "--resume"], tmp_path)
    assert "Going on after epoch 2 of 3." in out
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    assert (one / "metrics.csv").read_text() == (two / "metrics.csv").read_text() == (three / "metrics.csv").read_text()
    weights = [load_checkpoint(run / "best.safetensors").network.state_dict() for run in (one, two, three)]
    assert all(np.array_equal(weights[0][name], other[name]) for other in weights[1:] for name in weights[0])

    drawn = ["--set", "data.phantom.subjects=12", "--set", "model.width=4", "--set", "model.depth=1", "--set", "training.epochs=1"]
    drawn += ["--set", "training.samples=8", "--set", "training.validate_every=1", "--set", "training.pictures=false"]
    told([*torchrun, "fit", "spinal_tumor", "--output", str(tmp_path / "drawn"), *drawn, "--devices", "2"], tmp_path)
    ended = subprocess.run([*torchrun, "fit", recipe, "--output", str(tmp_path / "four")], capture_output=True, text=True, check=False)
    assert ended.returncode
    assert "2 processes were started, and 1 devices on 1 nodes need 1" in ended.stderr


@pytest.mark.parametrize(("samples", "processes"), [(24, 2), (25, 2), (25, 4), (3, 4)])
def test_shares_are_as_long_as_each_other_and_make_the_epoch(samples: int, processes: int) -> None:
    pools = make_pools([{"a": np.array([True, False, True])}, {"b": np.array([True, True, False])}])

    def sampler(rank: int, of: int) -> BalancedSampler:
        made = BalancedSampler(pools, samples=samples, foreground=0.75, seed=1, rank=rank, processes=of)
        made.set_epoch(4)
        return made

    whole = list(sampler(0, 1))
    shares = [list(sampler(rank, processes)) for rank in range(processes)]
    assert {len(share) for share in shares} == {len(sampler(0, processes))} == {-(-samples // processes)}
    together = [shares[index % processes][index // processes] for index in range(len(shares[0]) * processes)]
    assert together[:samples] == whole
    assert together[samples:] == whole[: len(together) - samples]


@pytest.mark.parametrize(
    ("environment", "processes"),
    [
        ({"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "4", "RANK": "0"}, 4),
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "train", "SLURM_LOCALID": "0"}, 2),
    ],
)
def test_as_many_processes_as_devices(environment: dict[str, str], processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check_processes(Training(devices=2))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=rf"^{processes} processes were started, and 3 devices on 1 nodes need 3; give --devices"):
        check_processes(Training(devices=3))
    check_processes(Training(devices=processes))
    check_processes(Training(nodes=processes))

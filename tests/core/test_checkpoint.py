"""One file holds a model; files that are none, or damaged, are told in one sentence each and execute nothing."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import napari_film
from napari_film.checkpoint import load_checkpoint, save_checkpoint
from napari_film.errors import InputError
from napari_film.header import METADATA_KEY, CheckpointError, read_header


def table_of(path: Path) -> tuple[dict[str, Any], bytes]:
    """Give the JSON table at the front of a .safetensors file, and the bytes behind it."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_table(path: Path, table: Any, weights: bytes, *, length: int | None = None) -> Path:
    text = json.dumps(table).encode()
    if length is not None:
        assert len(text) <= length
        text = text.ljust(length)
    path.write_bytes(len(text).to_bytes(8, "little") + text + weights)
    return path


@pytest.fixture(scope="module")
def model(make_checkpoint: Callable, tumor: Any) -> Path:
    return make_checkpoint(tumor)


def test_a_model_comes_back_as_it_was(model: Path, make_network: Callable) -> None:
    checkpoint = load_checkpoint(model)
    network = make_network(checkpoint.header.architecture)
    images = torch.randn(2, 1, 16, 16)
    assert torch.equal(checkpoint.network(images, torch.eye(3)[:2]), network(images, torch.eye(3)[:2]))
    assert checkpoint.hash == hashlib.sha256(model.read_bytes()).hexdigest()
    assert checkpoint.name == "tiny.safetensors"
    assert checkpoint.header == read_header(model)


def test_the_public_way_from_a_file_to_probabilities(model: Path) -> None:
    checkpoint = napari_film.load_checkpoint(str(model))
    assert not checkpoint.network.training
    assert not any(parameter.requires_grad for parameter in checkpoint.network.parameters())
    images = torch.randn(3, 1, 20, 12)
    conditions = torch.stack(
        [torch.from_numpy(checkpoint.header.metadata_schema.encode({"tumor_type": value})) for value in ("hb", "hb", "ependymoma")]
    )
    probabilities = checkpoint.network(images, conditions)
    assert probabilities.shape == (3, 1, 20, 12)
    assert probabilities.dtype == torch.float32
    assert 0 <= probabilities.min()
    assert probabilities.max() <= 1
    assert not torch.allclose(checkpoint.network(images, conditions.flip(0))[0], probabilities[0])


def test_every_public_name_is_there() -> None:
    for name in napari_film.__all__:
        assert getattr(napari_film, name).__name__ == name
    assert set(napari_film.__all__) <= set(dir(napari_film))
    with pytest.raises(AttributeError, match="no attribute 'segment'"):
        _ = napari_film.segment


def test_loading_draws_no_random_numbers(model: Path) -> None:
    before = torch.random.get_rng_state()
    load_checkpoint(model)
    assert torch.equal(before, torch.random.get_rng_state())


def test_equal_models_are_equal_files(model: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(model)
    copy = tmp_path / "copy.safetensors"
    save_checkpoint(copy, checkpoint.network, checkpoint.header)
    assert copy.read_bytes() == model.read_bytes()
    checkpoint.network.to(memory_format=torch.channels_last)
    save_checkpoint(copy, checkpoint.network, checkpoint.header)
    assert copy.read_bytes() == model.read_bytes()
    code = (
        "import sys; from napari_film import load_checkpoint, save_checkpoint; "
        "checkpoint = load_checkpoint(sys.argv[1]); save_checkpoint(sys.argv[2], checkpoint.network, checkpoint.header)"
    )
    subprocess.run([sys.executable, "-c", code, str(model), str(copy)], check=True, env={**os.environ, "PYTHONHASHSEED": "77"})
    assert copy.read_bytes() == model.read_bytes()


def test_half_precision_weights_are_run_in_float32(model: Path, tmp_path: Path) -> None:
    header = read_header(model)
    state = {name: value.half() if value.is_floating_point() else value for name, value in load_file(model).items()}
    save_file(state, tmp_path / "half.safetensors", {METADATA_KEY: header.to_json()})
    network = load_checkpoint(tmp_path / "half.safetensors").network
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32, torch.int64}


def test_a_header_of_another_network_is_not_saved(model: Path, make_header: Callable, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="another architecture"):
        save_checkpoint(tmp_path / "m.safetensors", load_checkpoint(model).network, make_header())
    assert list(tmp_path.iterdir()) == []


def test_nothing_half_written_stays_when_the_disk_is_full(model: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    checkpoint = load_checkpoint(model)
    target = tmp_path / "model.safetensors"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for earlier in (None, b"what stood here"):
        if earlier:
            target.write_bytes(earlier)
        resource.setrlimit(resource.RLIMIT_FSIZE, (model.stat().st_size // 2, limits[1]))
        try:
            with pytest.raises(InputError, match=r"^model\.safetensors cannot be written \(.*\); make room or name another file\.$"):
                save_checkpoint(target, checkpoint.network, checkpoint.header)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert [path.name for path in tmp_path.iterdir()] == ([target.name] if earlier else [])
    assert target.read_bytes() == b"what stood here"


class Malicious:
    def __reduce__(self) -> tuple:
        return os.mkdir, (os.environ["TRAP"],)


class Forge:
    """Makes files that are no checkpoint out of one that is."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.model, self.path = model, folder / "m.safetensors"
        self.whole = model.read_bytes()
        self.table, self.weights = table_of(model)
        self.front = len(self.whole) - len(self.weights)

    def raw(self, content: bytes) -> None:
        self.path.write_bytes(content)

    def in_front(self, table: Any) -> None:
        with_table(self.path, table, self.weights)

    def metadata(self, value: Any) -> None:
        self.in_front(self.table | {"__metadata__": value})

    def header(self, old: str, new: str) -> None:
        text = self.table["__metadata__"][METADATA_KEY]
        assert old in text
        self.metadata({METADATA_KEY: text.replace(old, new)})

    def offsets(self, value: list, name: str = "head.weight") -> None:
        self.in_front(self.table | {name: self.table[name] | {"data_offsets": value}})

    def tensors(self, **changed: torch.Tensor | None) -> None:
        state = load_file(self.model) | {name.replace("__", "."): value for name, value in changed.items()}
        save_file({name: value for name, value in state.items() if value is not None}, self.path, self.table["__metadata__"])


NOT_ONE = r"m\.safetensors is not a \.safetensors file; choose a checkpoint that napari-film-train wrote\."
CUT = r"m\.safetensors is cut off.* \([\d,]+ bytes\); copy it again from where it came\."
PICKLED = r"m\.safetensors is a pickled model, which can run code when it is opened; .*\.safetensors checkpoints only\."
NO_HEADER = r"m\.safetensors holds weights but no napari-film header, so .* not known; choose .*\."
INVALID = r"m\.safetensors has a header that is not valid.*; ask whoever made it to save it again\."
FUTURE = r"m\.safetensors is of checkpoint format 3, .* update napari-film\."
UNFIT = r"m\.safetensors has weights that do not fit its own header; .*\."
NOT_FINITE = r"m\.safetensors has weights that are not finite .*; train it again or use an earlier one\."

BAD: dict[str, tuple[Callable[[Forge], None], str]] = {
    "empty": (lambda forge: forge.raw(b""), NOT_ONE),
    "seven bytes": (lambda forge: forge.raw(forge.whole[:7]), NOT_ONE),
    "cut in the header": (lambda forge: forge.raw(forge.whole[: forge.front // 2]), CUT),
    "cut behind the header": (lambda forge: forge.raw(forge.whole[: forge.front]), CUT),
    "cut in the weights": (lambda forge: forge.raw(forge.whole[:-1]), CUT),
    "a byte too many": (lambda forge: forge.raw(forge.whole + b"x"), CUT),
    "text": (lambda forge: forge.raw(b"This is a model, honestly.\n" * 50), NOT_ONE),
    "a pickle": (lambda forge: forge.raw(pickle.dumps(Malicious())), PICKLED),
    "an older pickle": (lambda forge: forge.raw(pickle.dumps({"x": Malicious()}, protocol=2)), PICKLED),
    "torch's archive": (lambda forge: torch.save({"x": Malicious()}, forge.path), PICKLED),
    "torch's older file": (lambda forge: torch.save({"x": Malicious()}, forge.path, _use_new_zipfile_serialization=False), PICKLED),
    "zeros": (lambda forge: forge.raw(bytes(1000)), NOT_ONE),
    "no JSON in front": (lambda forge: forge.raw((8).to_bytes(8, "little") + b"\xff" * 8), NOT_ONE),
    "JSON nested without end": (lambda forge: forge.raw((10**6).to_bytes(8, "little") + b"[" * 10**6), NOT_ONE),
    "a list in front": (lambda forge: forge.in_front([1, 2]), NOT_ONE),
    "no napari-film header": (lambda forge: forge.metadata({"format": "pt"}), NO_HEADER),
    "metadata that are a number": (lambda forge: forge.metadata(5), NOT_ONE),
    "offsets that are words": (lambda forge: forge.offsets(["a", "b"]), NOT_ONE),
    "offsets that are infinite": (lambda forge: forge.offsets([0, float("inf")]), NOT_ONE),
    "offsets beyond the file": (lambda forge: forge.offsets([0, 10**9]), CUT),
    "offsets that overlap": (lambda forge: forge.offsets([0, 4], "bottom.conv1.weight"), UNFIT),
    "a header that is a number": (lambda forge: forge.metadata({METADATA_KEY: 7}), INVALID),
    "a header that is damaged": (lambda forge: forge.header('"name":"tiny"', '"name:"tiny"'), INVALID),
    "a header of the future": (lambda forge: forge.header('"format":[1,1]', '"format":[3,0]'), FUTURE),
    "wrong shapes": (lambda forge: forge.header('"width":4', '"width":5'), UNFIT),
    "a network larger than any memory": (lambda forge: forge.header('"width":4', '"width":100000000'), UNFIT),
    "a tensor missing": (lambda forge: forge.tensors(head__bias=None), UNFIT),
    "a tensor too many": (lambda forge: forge.tensors(extra=torch.zeros(1)), UNFIT),
    "no numbers among the weights": (lambda forge: forge.tensors(head__bias=torch.full((1,), torch.nan)), NOT_FINITE),
    "infinity among the statistics": (lambda forge: forge.tensors(bottom__norm1__running_var=torch.full((8,), torch.inf)), NOT_FINITE),
    "weights beyond float32": (lambda forge: forge.tensors(head__bias=torch.full((1,), 1e300, dtype=torch.float64)), NOT_FINITE),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_told_in_one_sentence_and_executes_nothing(
    kind: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    damage, sentence = BAD[kind]
    forge = Forge(model, tmp_path)
    damage(forge)
    with pytest.raises(CheckpointError, match=f"^{sentence}$"):
        load_checkpoint(forge.path)
    assert not (tmp_path / "sprung").exists()


def test_the_trap_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    pickle.loads(pickle.dumps(Malicious()))
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("first", [b"PK", b"\x80\x02", b"\x80\x04", b"\x80"])
def test_a_length_that_begins_like_a_pickle_is_a_length(first: bytes, model: Path, tmp_path: Path) -> None:
    table, weights = table_of(model)
    length = next(
        candidate
        for candidate in range(len(json.dumps(table)), 10**6)
        if candidate.to_bytes(8, "little").startswith(first) and candidate % 8 == 0
    )
    path = with_table(tmp_path / "m.safetensors", table, weights, length=length)
    assert path.read_bytes().startswith(first)
    assert load_checkpoint(path).header == read_header(model)

"""What the dock remembers comes back; what is damaged is forgotten."""

from pathlib import Path

import pytest

from napari_film.inference.postprocessing import Postprocessing
from napari_film.plugin.remembered import DockState, Remembered, RememberedState


@pytest.fixture
def store(tmp_path):
    return tmp_path / "state" / "dock.json"


def test_comes_back_as_it_was(store):
    slots = {"A": {"tumor_type": "ependymoma", "age": 42.5, "site": "1"}, "B": {"tumor_type": "astrocytoma", "age": 0.1, "site": "unknown"}}
    state = DockState(
        postprocessing=Postprocessing(threshold=77, smallest_mm3=0.1), layout="stacked", convention="neurological", page=2
    ).with_checkpoint(Path("models/a.safetensors"), Remembered(slots=slots, field="age"))
    RememberedState(store).save(state)
    assert RememberedState(store).load() == state
    assert type(RememberedState(store).load().checkpoints[str(Path("models/a.safetensors"))].slots["A"]["site"]) is str


def test_nothing_is_remembered_before_anything_was(store):
    assert RememberedState(store).load() == DockState()


def test_the_checkpoints_used_last_are_kept():
    state = DockState()
    for number in [*range(25), 7]:
        state = state.with_checkpoint(Path(f"{number}.safetensors"), Remembered(field=str(number)))
    assert state.checkpoint == "7.safetensors"
    assert [kept.field for kept in state.checkpoints.values()] == [str(number) for number in [5, 6, *range(8, 25), 7]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"page": "many"}',
        b'{"checkpoints": {"a": {"slots": {"A": {"age": null}}}}}',
        b'{"postprocessing": {"threshold": 256}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_forgotten_and_written_anew(store, content):
    store.parent.mkdir()
    store.write_bytes(content)
    assert RememberedState(store).load() == DockState()
    RememberedState(store).save(DockState(page=1))
    assert RememberedState(store).load().page == 1


def test_what_a_newer_version_wrote_besides_is_passed_over(store):
    store.parent.mkdir()
    store.write_text('{"page": 3, "colour": "blue"}')
    assert RememberedState(store).load() == DockState(page=3)


def test_a_file_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    RememberedState(tmp_path / "file" / "dock.json").save(DockState())
    assert RememberedState(tmp_path / "file" / "dock.json").load() == DockState()


def test_stands_in_the_users_folder_for_state(monkeypatch, tmp_path):
    monkeypatch.setattr("napari_film.plugin.remembered.user_state_path", lambda name: tmp_path / name)
    RememberedState().save(DockState(page=1))
    assert [path.name for path in (tmp_path / "napari-film").iterdir()] == ["dock.json"]

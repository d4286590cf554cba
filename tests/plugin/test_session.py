"""The session without Qt: what it shows, what it says, and in which order it wants slices computed.

The engine's thread is held in ``notify`` where a test has to meet it between two events.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_film.checkpoint import load_checkpoint
from napari_film.errors import InputError
from napari_film.fields import MetadataError
from napari_film.header import CheckpointError
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import Plan
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import joint_labels
from napari_film.inference.predictor import Predictor
from napari_film.inference.runner import OutOfMemory, Runner
from napari_film.plugin.session import SegmentationSession, State
from napari_film.volume import Volume

PATIENCE = 60  # seconds until a test gives up
SLICES = 6
VALUES = ("astrocytoma", "ependymoma", "hemangioblastoma")


class Owner:
    """A session, what it has said, and a hand on its engine's thread."""

    def __init__(self, memory: int = 2**20) -> None:
        self._came = threading.Event()
        self._steps = threading.Semaphore(0)
        self._held = False
        self.session = SegmentationSession(notify=self._notified, memory=memory)
        self.states: list[State] = []
        self.slices: list[int] = []
        self.said: list[tuple[str, str]] = []
        self.session.state_changed.connect(self.states.append)
        self.session.slice_changed.connect(self.slices.append)
        self.session.told.connect(lambda sentence: self.said.append(("told", sentence)))
        self.session.failed.connect(lambda sentence: self.said.append(("failed", sentence)))

    def _notified(self) -> None:
        self._came.set()
        if self._held:
            assert self._steps.acquire(timeout=PATIENCE)

    def hold(self) -> None:
        """Stop the engine's thread behind its next event."""
        self._held = True

    def release(self) -> None:
        """Let it go on for good."""
        self._held = False
        self._steps.release()

    def step(self) -> None:
        """Let it go on to its next event, and take that."""
        self._steps.release()
        self.drain()

    def drain(self) -> None:
        """Wait for an event and take all there are."""
        assert self._came.wait(PATIENCE)
        self._came.clear()
        self.session.drain()

    def until(self, *states: State) -> None:
        while self.session.state not in states:
            self.drain()

    def until_complete(self) -> None:
        while self.session.results is None or not self.session.results.complete:
            self.drain()


@pytest.fixture
def make_owner() -> Iterator[Callable[..., Owner]]:
    owners: list[Owner] = []

    def make(**options: Any) -> Owner:
        owners.append(Owner(**options))
        return owners[-1]

    yield make
    for owner in owners:
        owner.release()
        assert owner.session.close(PATIENCE)
    assert not any(thread.name == "napari-film engine" for thread in threading.enumerate())


@pytest.fixture
def owner(make_owner: Callable[..., Owner]) -> Owner:
    return make_owner()


@pytest.fixture(scope="module")
def model(make_checkpoint: Callable[..., Path], tumor: Any, site: Any) -> Path:
    return make_checkpoint(tumor, site)


@pytest.fixture(scope="module")
def volume(make_volume: Callable[..., Volume]) -> Volume:
    return make_volume((12, 16, SLICES))


@pytest.fixture(scope="module")
def expected(model: Path, volume: Volume) -> Callable[..., np.ndarray]:
    """Masks (N, H, W) as `Predictor` makes them."""
    predictor = Predictor(load_checkpoint(model), device="cpu")

    def mask(*values: str, site: str = "unknown") -> np.ndarray:
        return joint_labels([predictor.predict([volume], {"tumor_type": value, "site": site}) for value in values])

    return mask


def test_states_of_a_whole_life(owner: Owner, model: Path, volume: Volume, expected: Callable) -> None:
    session = owner.session
    assert session.state is State.EMPTY
    session.segment([volume])
    assert session.state is State.EMPTY
    assert session.predictions() == []
    with pytest.raises(ValueError, match="no images are open"):
        session.mask()
    session.set_checkpoint(model)
    assert session.state is State.READY
    assert session.metadata == {"tumor_type": "astrocytoma", "site": "unknown"}
    session.segment([volume], device="cpu")
    owner.until(State.READY)
    assert owner.states == [State.READY, State.RUNNING, State.AHEAD, State.READY]
    assert session.sources == ("noise.nii",)
    assert session.opened.plan == Plan(device="cpu")
    assert len(session.opened.checkpoint) == 64
    assert np.array_equal(session.mask(), expected("astrocytoma"))
    session.set_checkpoint(None)
    assert session.state is State.EMPTY
    assert session.header is None
    assert session.close(PATIENCE)
    assert session.state is State.CLOSED


def test_another_value_is_at_once_where_it_is_kept(owner: Owner, model: Path, volume: Volume, expected: Callable) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    owner.until(State.READY)
    owner.slices.clear()
    masks = [expected(value) for value in VALUES]
    assert not any(np.array_equal(a, b) for a, b in ((masks[0], masks[1]), (masks[1], masks[2])))
    for value, mask in zip(VALUES, masks, strict=True):
        session.set_metadata({**session.metadata, "tumor_type": value})
        assert np.array_equal(session.mask(), mask)  # computed ahead: nothing was waited for
        owner.until(State.READY)  # the other field's values under this one came too
    assert owner.slices == []
    owner.states.clear()
    for value, mask in zip(VALUES, masks, strict=True):
        session.set_metadata({**session.metadata, "tumor_type": value})
        assert np.array_equal(session.mask(), mask)
    assert owner.states == []  # nothing is computed, so nothing is said to be


def test_after_a_failure_a_value_that_is_kept_is_shown_as_ever(
    owner: Owner, model: Path, volume: Volume, expected: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, other = expected(VALUES[0]), expected(VALUES[1])
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    owner.until(State.READY)
    first = session.metadata

    def run(self: Runner, condition: tuple[float, ...], indices: Any, ahead: Any = ()) -> Iterator[tuple[int, Any]]:
        raise RuntimeError("a driver")

    monkeypatch.setattr(Runner, "run", run)
    session.set_metadata({**first, "tumor_type": VALUES[1]})
    assert np.array_equal(session.mask(), other)
    owner.until(State.FAILED)  # what would be computed ahead under this value cannot be
    assert np.array_equal(session.mask(), other)
    session.set_metadata(first)
    assert session.state is State.READY  # nothing is missing here
    assert np.array_equal(session.mask(), reference)
    assert [kind for kind, _ in owner.said] == ["failed"]


def test_nothing_is_shown_that_was_not_computed(owner: Owner, model: Path, volume: Volume, expected: Callable) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.set_visible(4)
    owner.hold()
    session.segment([volume], device="cpu")
    owner.drain()  # opened
    assert (session.mask() == NOT_COMPUTED).all()
    owner.step()
    owner.step()
    assert owner.slices == [4, 3]
    mask = session.mask()
    assert np.array_equal(mask[3:5], expected("astrocytoma")[3:5])
    assert (np.delete(mask, (3, 4), axis=0) == NOT_COMPUTED).all()
    assert session.results.progress() == (2, SLICES)
    session.set_metadata({**session.metadata, "tumor_type": "ependymoma"})
    assert (session.mask() == NOT_COMPUTED).all()


def test_moving_and_swapping_put_the_visible_slice_first(owner: Owner, model: Path, volume: Volume) -> None:
    session = owner.session
    session.set_checkpoint(model)
    owner.hold()
    session.segment([volume], device="cpu")
    owner.drain()
    owner.step()
    session.set_visible(5)  # slice 1 is not yet begun: the engine waits behind slice 0
    owner.step()
    owner.step()
    assert owner.slices == [0, 5, 4]
    session.set_metadata({**session.metadata, "tumor_type": "ependymoma"})
    session.set_visible(2)
    owner.slices.clear()
    owner.release()
    owner.until(State.AHEAD, State.READY)
    assert owner.slices == [2, 1, 3, 0, 4, 5]
    session.set_metadata({**session.metadata, "tumor_type": "astrocytoma"})
    assert session.results.has(5)


def test_cancel_keeps_what_was_computed_and_segment_goes_on_from_there(
    owner: Owner, model: Path, volume: Volume, expected: Callable
) -> None:
    session = owner.session
    session.set_checkpoint(model)
    owner.hold()
    session.segment([volume], device="cpu")
    owner.drain()
    owner.step()
    owner.step()
    session.cancel()
    assert session.state is State.READY
    owner.release()
    mask = session.mask()
    assert np.array_equal(mask[:2], expected("astrocytoma")[:2])
    assert (mask[3:] == NOT_COMPUTED).all()  # one more slice may have been on its way
    owner.slices.clear()
    owner.hold()
    session.segment([volume], device="cpu")
    while not session.predictions():
        owner.drain()
    assert np.array_equal(session.mask()[:2], mask[:2])  # at once
    owner.release()
    owner.until_complete()
    assert set(owner.slices) <= {2, 3, 4, 5}
    assert np.array_equal(session.mask(), expected("astrocytoma"))


def test_cancel_while_opening_leaves_nothing(owner: Owner, model: Path, volume: Volume) -> None:
    session = owner.session
    released: list[bool] = []
    session.released.connect(released.append)
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    session.cancel()
    assert session.state is State.READY
    assert released == [False]
    owner.drain()
    assert session.prepared is None


def test_late_words_of_an_earlier_opening_are_dropped(owner: Owner, model: Path, volume: Volume, make_volume: Callable) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.segment([make_volume((8, 8, 3), seed=5)], device="cpu")
    session.segment([volume], device="cpu")
    shapes = []
    session.shown_changed.connect(lambda: shapes.append(session.mask().shape))
    owner.until(State.READY)
    assert shapes == [(SLICES, 16, 12)]
    session.forget()
    assert session.predictions() == []


def test_all_values_in_one_mask(owner: Owner, model: Path, volume: Volume, expected: Callable) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    owner.until_complete()
    session.set_all_values(True)
    assert session.choice.all_values
    owner.until_complete()
    assert np.array_equal(session.mask(), expected(*VALUES))
    assert session.results.progress() == (SLICES, SLICES)
    session.set_all_values(False)
    assert np.array_equal(session.mask(), expected("astrocytoma"))


def test_with_little_memory_masks_are_computed_again_and_right(
    make_owner: Callable, model: Path, volume: Volume, expected: Callable
) -> None:
    owner = make_owner(memory=volume.data.size)  # one volume of probabilities
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    for value in (*VALUES, VALUES[0]):
        session.set_metadata({**session.metadata, "tumor_type": value})
        owner.slices.clear()
        owner.until_complete()
        owner.until(State.READY)
        assert np.array_equal(session.mask(), expected(value))
        assert sorted(owner.slices) == list(range(SLICES))
    session.set_all_values(True)  # more than there is memory for: what is shown stays all the same
    owner.until_complete()
    owner.until(State.READY)
    assert np.array_equal(session.mask(), expected(*VALUES))


def test_segmenting_the_same_images_again_shows_what_is_kept(owner: Owner, model: Path, volume: Volume, expected: Callable) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    owner.until(State.READY)
    owner.slices.clear()
    again = Volume(volume.data.copy(), volume.affine.copy(), "other name.nii")
    session.segment([again], device="cpu")
    owner.until_complete()
    assert owner.slices == []
    assert np.array_equal(session.mask(), expected("astrocytoma"))


def test_other_images_and_other_metadata_are_never_taken_for_the_same(
    owner: Owner, model: Path, volume: Volume, expected: Callable
) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    owner.until(State.READY)
    changed = volume.data.copy()
    changed[0, 0, 0] += 1
    session.segment([Volume(changed, volume.affine)], device="cpu")
    owner.hold()
    while session.prepared is None:
        owner.drain()
    assert not session.results.has(SLICES - 1)
    owner.release()
    session.segment([volume], device="cpu")
    session.set_metadata({"tumor_type": "ependymoma", "site": "south"})
    owner.until_complete()
    assert np.array_equal(session.mask(), expected("ependymoma", site="south"))


@pytest.fixture
def small_device(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pretend that the device runs out of memory at its third slice, under the first plan."""
    seen: list[str] = []
    real = Runner.run

    def run(self: Runner, condition: tuple[float, ...], indices: Any, ahead: Any = ()) -> Iterator[tuple[int, np.ndarray]]:
        seen.append(self.plan.key)
        if len(seen) == 3 and self.plan.batch == 2:
            raise OutOfMemory("no room")
        yield from real(self, condition, indices, ahead)

    monkeypatch.setattr(Runner, "run", run)
    monkeypatch.setitem(__import__("napari_film.inference.plan", fromlist=["_BATCHES"])._BATCHES, "cpu", 2)
    return seen


def test_falling_back_is_told_and_starts_anew(
    owner: Owner, model: Path, volume: Volume, expected: Callable, small_device: list[str]
) -> None:
    reference = expected("astrocytoma")  # by a plan of its own
    small_device.clear()
    session = owner.session
    plans: list[Plan | None] = []
    session.plan_changed.connect(plans.append)
    session.set_checkpoint(model)
    owner.hold()
    session.segment([volume], device="cpu")
    owner.drain()
    for _ in range(4):
        owner.step()
    assert session.results.progress() == (4, SLICES)
    owner.step()
    assert [plan and plan.batch for plan in plans] == [2, 1]
    assert session.opened.notices == ("The cpu ran out of memory; going on with 1 slices at a time instead of 2.",)
    assert (session.mask() == NOT_COMPUTED).all()
    owner.release()
    owner.until(State.READY)
    assert np.array_equal(session.mask(), reference)
    assert all(prediction.plan.batch == 1 for prediction in session.predictions())


def test_a_swap_just_when_memory_ran_out_leaves_no_gap(
    owner: Owner, model: Path, volume: Volume, expected: Callable, small_device: list[str]
) -> None:
    """What the session wanted on the word of the former plan must not stand after the change of plan."""
    reference = expected("astrocytoma")
    small_device.clear()
    session = owner.session
    session.set_checkpoint(model)
    owner.hold()
    session.segment([volume], device="cpu")
    owner.drain()
    for _ in range(4):
        owner.step()
    owner._came.clear()
    owner._steps.release()
    assert owner._came.wait(PATIENCE)  # the engine has fallen back, and the session does not know it yet
    session.set_metadata({**session.metadata, "tumor_type": "ependymoma"})
    session.set_metadata({**session.metadata, "tumor_type": "astrocytoma"})
    owner.release()
    owner.until(State.READY)
    assert np.array_equal(session.mask(), reference)


def test_word_of_the_end_of_earlier_wishes_is_not_the_end(owner: Owner, model: Path, volume: Volume) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    owner.until(State.READY)
    owner.hold()
    session.set_metadata({"tumor_type": "astrocytoma", "site": "north"})
    while session.state is not State.AHEAD:
        owner.step()
    while not owner.session._computation._engine.idle:
        owner._came.clear()
        owner._steps.release()
        assert owner._came.wait(PATIENCE)
    session.set_metadata({"tumor_type": "ependymoma", "site": "south"})  # Finished lies in the queue
    assert session.state is State.RUNNING
    session.drain()
    assert session.state is State.RUNNING
    owner.release()
    owner.until_complete()


def test_a_failure_is_said_once_and_the_next_start_is_free_of_it(owner: Owner, model: Path, volume: Volume, make_volume: Callable) -> None:
    session = owner.session
    released: list[bool] = []
    session.released.connect(released.append)
    session.set_checkpoint(model)
    session.segment([volume, volume], device="cpu")
    owner.until(State.FAILED)
    ((kind, sentence),) = owner.said
    assert kind == "failed"
    assert sentence == "2 channel(s) came from noise.nii, noise.nii, but 1 are expected; give one volume per channel."
    assert session.predictions() == []
    assert released == [False]
    session.segment([volume], device="cpu")
    assert session.state is State.RUNNING
    owner.until(State.READY)
    assert len(owner.said) == 1


def test_what_is_refused_changes_nothing(owner: Owner, model: Path, volume: Volume, tmp_path: Path) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    owner.until(State.READY)
    with pytest.raises(MetadataError, match="tumor_type is 'glioma', which this model does not know"):
        session.set_metadata({**session.metadata, "tumor_type": "glioma"})
    with pytest.raises(MetadataError, match="site is missing"):
        session.set_metadata({"tumor_type": "ependymoma"})
    torch.save({"weights": 1}, tmp_path / "pickle.safetensors")
    with pytest.raises(CheckpointError, match=r"pickle\.safetensors"):
        session.set_checkpoint(tmp_path / "pickle.safetensors")
    assert session.checkpoint == model
    assert session.metadata == {"tumor_type": "astrocytoma", "site": "unknown"}
    assert session.results.complete


def test_synonyms_and_clamped_numbers_are_told(owner: Owner, make_checkpoint: Callable, tumor: Any, age: Any) -> None:
    session = owner.session
    session.set_checkpoint(make_checkpoint(tumor, age))
    changes: list[dict[str, Any]] = []
    session.metadata_changed.connect(changes.append)
    session.set_metadata({"tumor_type": "HB", "age": 120})
    assert session.metadata == {"tumor_type": "hemangioblastoma", "age": 100.0}
    assert changes == [session.metadata]
    assert [kind for kind, _ in owner.said] == ["told"] * len(owner.said)
    assert any("120" in sentence for _, sentence in owner.said)
    session.set_metadata(session.metadata)
    assert len(changes) == 1


def test_a_closed_session_does_nothing_more(owner: Owner, model: Path, volume: Volume) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    assert session.close(PATIENCE)
    owner.states.clear()
    session.drain()
    session.forget()
    session.set_checkpoint(None)
    session.segment([volume])
    session.set_visible(3)
    assert session.state is State.CLOSED
    assert owner.states == []
    assert session.close(PATIENCE)


def test_each_slot_has_metadata_of_its_own(owner: Owner, model: Path, volume: Volume, expected: Callable) -> None:
    session = owner.session
    session.set_checkpoint(model)
    assert session.choices["B"].metadata == {"tumor_type": "ependymoma", "site": "unknown"}
    session.segment([volume], device="cpu")
    owner.until_complete()
    assert session.set_view("B", both=False)
    assert not session.set_view("B", both=False)
    assert session.metadata["tumor_type"] == "ependymoma"
    owner.until_complete()
    assert np.array_equal(session.mask(), expected("ependymoma"))
    session.step("tumor_type", 1)
    owner.until_complete()
    assert np.array_equal(session.mask(), expected("hemangioblastoma"))
    assert session.choices["A"].metadata["tumor_type"] == "astrocytoma"
    session.set_view("A", both=False)
    assert np.array_equal(session.mask(), expected("astrocytoma"))


def test_both_slots_in_view_are_computed_side_by_side(owner: Owner, model: Path, volume: Volume) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.set_view("A", both=True)
    arrived: list[tuple[Any, int]] = []
    session.arrived.connect(lambda condition, index: arrived.append((condition, index)))
    session.segment([volume], device="cpu")
    owner.until(State.READY)
    a, b = (session.choices[slot].conditions()[0] for slot in ("A", "B"))
    assert [condition for condition, _ in arrived[: 2 * SLICES]] == [a, b] * SLICES
    assert [index for _, index in arrived[:6]] == [0, 0, 1, 1, 2, 2]


def test_what_is_compared_comes_before_what_may_be_chosen_next(owner: Owner, model: Path, volume: Volume) -> None:
    session = owner.session
    session.set_checkpoint(model)
    progress: list[tuple[int, int]] = []
    session.compared_progress_changed.connect(lambda *both: progress.append(both))
    session.segment([volume], device="cpu")
    owner.until(State.AHEAD)
    compared = [session.choice.with_metadata({"tumor_type": value, "site": "south"})[0] for value in VALUES]
    session.set_compared(compared)
    owner.until(State.READY)
    assert all(session.results_of(choice).complete for choice in compared)
    assert progress[-1] == (3 * SLICES, 3 * SLICES)
    north = session.choice.with_metadata({**session.metadata, "site": "north"})[0]
    assert not session.results_of(north).complete, "nothing else was begun"
    session.cancel()
    session.set_compared(())
    owner.until(State.READY)
    assert session.results_of(north).complete


def test_more_masks_than_memory_are_refused_in_words(make_owner: Callable, model: Path, volume: Volume) -> None:
    owner = make_owner(memory=2 * volume.data.size)
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    owner.until(State.READY)
    compared = [session.choice.with_metadata({"tumor_type": value, "site": "south"})[0] for value in VALUES]
    with pytest.raises(InputError, match=r"5 results of 0 MB each are more than may be kept \(2\)"):
        session.set_compared(compared)
    assert session.compared == ()


def test_expected_mask_is_the_mean_of_the_masks_probabilities(owner: Owner, model: Path, volume: Volume) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    mixture = Mixture(field="site", percent={"north": 30, "south": 70})
    session.set_mixture(mixture)
    owner.until_complete()
    predictor = Predictor(load_checkpoint(model), device="cpu")
    prediction = predictor.predict_mixture([volume], {"tumor_type": "astrocytoma"}, mixture)
    (shown,) = session.predictions()
    assert np.array_equal(shown.kept.q, prediction.kept.q)
    assert np.array_equal(session.mask(), joint_labels([prediction]))


def test_threshold_and_clean_up_never_run_the_network(owner: Owner, model: Path, volume: Volume, expected: Callable) -> None:
    session = owner.session
    session.set_checkpoint(model)
    session.segment([volume], device="cpu")
    owner.until(State.READY)
    shown: list[None] = []
    session.shown_changed.connect(lambda: shown.append(None))
    session.set_postprocessing(Postprocessing(threshold=30, largest_component=True))
    session.set_postprocessing(Postprocessing(threshold=30, largest_component=True))
    assert len(shown) == 1
    assert session.state is State.READY
    q = session.predictions()[0].kept.q[0]
    assert np.array_equal(session.mask(), q >= 30)
    cleaned = session.results.composition().labels()
    assert np.array_equal(cleaned, Postprocessing(largest_component=True).apply(session.mask(), 1.0))
    assert not np.array_equal(cleaned, session.mask())

"""The engine as its owner sees it: what was asked for comes, in the order asked, and never under another's name.

Waiting is for the engine's word. Where a test has to meet the engine at a certain point it holds its thread in
``notify``, between one event and the next.
"""

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_film.checkpoint import load_checkpoint
from napari_film.fields import ContinuousField
from napari_film.header import read_header
from napari_film.inference.agenda import outward
from napari_film.inference.engine import Engine
from napari_film.inference.predictor import Predictor
from napari_film.inference.request import Event, Failure, Finished, Opened, Request, SliceResult
from napari_film.volume import Volume

PATIENCE = 60  # seconds until a test gives up


class Owner:
    """An engine and what it has said."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._came = threading.Event()
        self._steps = threading.Semaphore(0)
        self._held = False
        self.engine = Engine(self._notified)

    def _notified(self) -> None:
        self._came.set()
        if self._held:
            self._steps.acquire()

    def hold(self) -> None:
        """Stop the engine's thread behind its next event."""
        self._held = True

    def release(self) -> None:
        """Let it go on for good."""
        self._held = False
        self._steps.release()

    def step(self) -> None:
        """Let it go on to its next event."""
        self._steps.release()

    def wait(self, enough: Callable[[list[Event]], bool]) -> list[Event]:
        """Collect events until they are enough."""
        while not enough(self.events):
            assert self._came.wait(PATIENCE), self.events
            self._came.clear()
            self.events += self.engine.poll()
        return self.events

    def count(self, number: int) -> list[Event]:
        return self.wait(lambda events: len(events) >= number)

    def until(self, kind: type[Event], generation: int) -> list[Event]:
        return self.wait(lambda events: any(isinstance(event, kind) and event.generation == generation for event in events))

    def open(self, generation: int, volume: Volume, checkpoint: Path) -> None:
        self.engine.open(generation, [volume], checkpoint, read_header(checkpoint).preprocessing, device="cpu")

    def take(self) -> list[Event]:
        taken, self.events = self.events, []
        return taken


@pytest.fixture
def owner() -> Iterator[Owner]:
    owner = Owner()
    yield owner
    owner.release()
    assert owner.engine.close(PATIENCE)
    assert not any(thread.name == "napari-film engine" and thread.is_alive() for thread in threading.enumerate())


@pytest.fixture(scope="module")
def model(make_checkpoint: Callable, tumor: Any) -> Path:
    return make_checkpoint(tumor)


@pytest.fixture(scope="module")
def volume(make_volume: Callable) -> Volume:
    return make_volume((12, 16, 6))


def conditions(model: Path) -> list[tuple[float, ...]]:
    schema = read_header(model).metadata_schema
    return [tuple(map(float, schema.encode({"tumor_type": value}))) for value in schema.target.values]


def slices(events: list[Event]) -> list[tuple[tuple[float, ...], int]]:
    return [(event.request.condition, event.index) for event in events if isinstance(event, SliceResult)]


def test_every_slice_comes_in_the_order_asked_and_equals_the_predictor(owner: Owner, model: Path, volume: Volume) -> None:
    owner.open(1, volume, model)
    first, second, _ = conditions(model)
    order = [3, 2, 4, 1, 5, 0]
    owner.engine.submit([Request(1, first), Request(1, second)], order)
    events = owner.until(Finished, 1)
    opened, *results, finished = events
    assert isinstance(opened, Opened)
    assert opened.prepared.shape == (6, 16, 12)
    assert opened.plan.device == "cpu"
    assert finished == Finished(1)
    assert slices(results) == [(first, index) for index in order] + [(second, index) for index in order]
    predictor = Predictor(load_checkpoint(model), device="cpu")
    for value, condition in zip(("astrocytoma", "ependymoma"), (first, second), strict=True):
        expected = predictor.predict([volume], {"tumor_type": value}).kept.q
        for event in results:
            if event.request.condition == condition:
                assert np.array_equal(event.q, expected[:, event.index])
                assert event.key == opened.key(condition)
    assert not np.array_equal(
        *(np.stack([event.q for event in results if event.request.condition == c and event.index == 3]) for c in (first, second))
    )


def test_the_slice_in_view_comes_first_then_those_around_it(owner: Owner, model: Path, volume: Volume) -> None:
    owner.open(1, volume, model)
    owner.engine.submit([Request(1, conditions(model)[0])], outward(4, 6))
    assert [index for _, index in slices(owner.until(Finished, 1))] == [4, 3, 5, 2, 1, 0]


def test_scrolling_changes_the_order_of_what_is_still_to_come(owner: Owner, model: Path, volume: Volume) -> None:
    owner.hold()
    owner.open(1, volume, model)
    owner.engine.submit([Request(1, conditions(model)[0])], range(6))
    owner.count(1)
    for number in (2, 3):
        owner.step()
        owner.count(number)
    owner.engine.reorder(1, [5, 4, 3, 2, 1, 0])
    owner.release()
    assert [index for _, index in slices(owner.until(Finished, 1))] == [0, 1, 5, 4, 3, 2]


def test_cancelling_lets_no_more_than_the_slice_at_hand_come(owner: Owner, model: Path, volume: Volume) -> None:
    owner.hold()
    owner.open(1, volume, model)
    first, second, _ = conditions(model)
    owner.engine.submit([Request(1, first)], range(6))
    owner.count(1)
    for number in (2, 3):
        owner.step()
        owner.count(number)
    owner.engine.cancel()
    owner.release()
    # What is asked for next comes at once, and nothing of what was cancelled before it.
    owner.engine.submit([Request(1, second)], [5])
    assert slices(owner.until(Finished, 1)) == [(first, 0), (first, 1), (second, 5)]


def test_what_was_done_before_is_not_computed_again(owner: Owner, model: Path, volume: Volume) -> None:
    owner.open(1, volume, model)
    first = conditions(model)[0]
    owner.engine.submit([Request(1, first)], range(6), done={Request(1, first): [0, 1, 4]})
    assert [index for _, index in slices(owner.until(Finished, 1))] == [2, 3, 5]


def test_opening_anew_voids_what_was_opened_and_asked_before(owner: Owner, model: Path, volume: Volume, make_volume: Callable) -> None:
    other = make_volume((8, 8, 3), seed=9)
    first = conditions(model)[0]
    owner.hold()
    owner.open(1, volume, model)
    owner.engine.submit([Request(1, first)], range(6))
    owner.count(1)
    owner.step()
    owner.count(2)  # one slice of generation 1 is there, and the thread is held
    owner.open(2, volume, model)
    owner.open(3, other, model)
    owner.engine.submit([Request(3, first)], range(3))
    owner.engine.reorder(1, [5])
    owner.release()
    events = owner.until(Finished, 3)
    assert [event.generation for event in events if isinstance(event, Opened)] == [1, 3]
    assert [event.request.generation for event in events if isinstance(event, SliceResult)] == [1, 3, 3, 3]
    assert not any(isinstance(event, Finished) and event.generation != 3 for event in events)


def test_closing_in_the_middle_ends_the_thread(model: Path, volume: Volume) -> None:
    owner = Owner()
    owner.hold()
    owner.open(1, volume, model)
    owner.engine.submit([Request(1, conditions(model)[0])], range(6))
    owner.count(1)
    owner.step()
    owner.count(2)
    assert not owner.engine.close(timeout=0.01)  # it is held, and the owner is told so
    owner.release()
    assert owner.engine.close(PATIENCE)
    assert owner.engine.close(0)
    assert len(list(owner.engine.poll())) == 0
    owner.engine.submit([Request(1, conditions(model)[0])], range(6))
    owner.open(2, volume, model)
    assert not any(thread.name == "napari-film engine" for thread in threading.enumerate())


def test_what_a_person_gets_wrong_is_one_sentence_and_the_engine_lives_on(
    owner: Owner, model: Path, volume: Volume, make_volume: Callable, tmp_path: Path
) -> None:
    preprocessing = read_header(model).preprocessing
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(model.read_bytes()[:-5])
    missing = "mps" if torch.cuda.is_available() else "cuda"
    nan = Volume(np.full((8, 8, 2), np.nan, np.float32), np.eye(4), "nan.nii")
    trials: list[tuple[list[Volume], Path, Any, str, str]] = [
        ([volume], tmp_path / "gone.safetensors", preprocessing, "cpu", "gone.safetensors does not exist"),
        ([volume], cut, preprocessing, "cpu", "cut.safetensors is cut off"),
        ([volume, volume], model, preprocessing, "cpu", "2 channel"),
        ([nan], model, preprocessing, "cpu", "nan.nii holds"),
        ([volume], model, preprocessing.model_copy(update={"divisor": 8}), "cpu", "tiny.safetensors has changed since it was chosen"),
        ([volume], model, preprocessing, missing, f"The device {missing} is not available here"),
    ]
    for generation, (volumes, path, wanted, device, sentence) in enumerate(trials, start=1):
        owner.engine.open(generation, volumes, path, wanted, device=device)
        owner.engine.submit([Request(generation, conditions(model)[0])], range(6))
        owner.until(Failure, generation)
        (failure,) = owner.take()
        assert failure.message.startswith(sentence)
        assert failure.message.endswith(".")
        assert isinstance(failure.error, ValueError)
    owner.open(99, volume, model)
    owner.engine.submit([Request(99, conditions(model)[0])], range(6))
    assert len(slices(owner.until(Finished, 99))) == 6


def test_what_goes_wrong_in_a_slice_is_told_and_stops_its_generation_alone(owner: Owner, model: Path, volume: Volume) -> None:
    first = conditions(model)[0]
    owner.open(1, volume, model)
    owner.engine.submit([Request(1, first)], [0, 77, 1])
    owner.until(Failure, 1)
    *_, failure = owner.take()
    assert failure.message.startswith("Inference stopped unexpectedly (")
    assert failure.message.endswith("; what was computed is kept.")
    owner.engine.submit([Request(1, first)], [1])
    assert slices(owner.until(Finished, 1)) == [(first, 1)]


def test_a_generation_that_is_not_open_gives_nothing(owner: Owner, model: Path, volume: Volume) -> None:
    first = conditions(model)[0]
    owner.open(1, volume, model)
    owner.engine.submit([Request(5, first)], range(6))
    owner.until(Opened, 1)
    owner.engine.submit([Request(1, first)], [2])
    events = owner.until(Finished, 1)
    assert slices(events) == [(first, 2)]
    assert {event.generation for event in events if isinstance(event, Finished)} == {1}


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_commanded_no_result_bears_another_s_name(
    seed: int, owner: Owner, make_checkpoint: Callable, make_volume: Callable, tumor: Any
) -> None:
    """A thousand commands at random; every result equals the predictor's for the generation and the condition that it names."""
    models = [make_checkpoint(tumor, seed=number, width=2, depth=1) for number in range(2)]
    volumes = [make_volume((10, 8, 5), seed=3), make_volume((6, 8, 4), seed=4)]
    names = ("astrocytoma", "ependymoma", "hemangioblastoma")
    wanted = conditions(models[0])
    expected: dict[tuple[int, int, tuple[float, ...]], np.ndarray] = {}
    for m, path in enumerate(models):
        predictor = Predictor(load_checkpoint(path), device="cpu")
        for v, volume in enumerate(volumes):
            for name, condition in zip(names, wanted, strict=True):
                expected[m, v, condition] = predictor.predict([volume], {"tumor_type": name}).kept.q
    pick = random.Random(seed)
    opened: dict[int, tuple[int, int]] = {}
    keys: dict[int, Opened] = {}
    generation, checked = 0, 0

    def check(events: list[Event]) -> int:
        results = 0
        for event in events:
            assert not isinstance(event, Failure), event.message
            if isinstance(event, Opened):
                keys[event.generation] = event
            if isinstance(event, SliceResult):
                results += 1
                m, v = opened[event.request.generation]
                assert np.array_equal(event.q, expected[m, v, event.request.condition][:, event.index])
                assert event.key == keys[event.request.generation].key(event.request.condition)
        return results

    def submit(order: list[int], count: int) -> None:
        requests = [Request(generation, condition) for condition in pick.sample(wanted, count)]
        owner.engine.submit(requests, order, together=pick.randint(1, 3))

    for number in range(1000):
        command = pick.choice(["submit"] * 6 + ["reorder"] * 6 + ["cancel"] * 2 + ["poll"] * 6 + ["open"] + ["wait"] * 2)
        if command == "open" or number == 0:
            generation += 1
            opened[generation] = pick.randrange(2), pick.randrange(2)
            m, v = opened[generation]
            owner.open(generation, volumes[v], models[m])
        elif command == "submit":
            count = volumes[opened[generation][1]].data.shape[2]
            submit(pick.sample(range(count), pick.randint(1, count)), pick.randint(1, 3))
        elif command == "reorder":
            count = volumes[opened[generation][1]].data.shape[2]
            owner.engine.reorder(pick.choice([generation, generation - 1]), pick.sample(range(count), count))
        elif command == "cancel":
            owner.engine.cancel()
        elif command == "wait":
            submit(list(range(4)), 3)
            owner.until(Finished, generation)
            checked += check(owner.take())
        else:
            checked += check(list(owner.engine.poll()))
    checked += check(list(owner.engine.poll()))
    generation += 1
    opened[generation] = 1, 0
    owner.open(generation, volumes[0], models[1])
    submit(list(range(5)), 3)
    last = owner.until(Finished, generation)
    checked += check(last)
    complete = [
        (event.request.condition, event.index)
        for event in last
        if isinstance(event, SliceResult) and event.request.generation == generation
    ]
    assert sorted(complete) == sorted((condition, index) for condition in wanted for index in range(5))
    assert checked > 100  # each wait alone brings 12


def test_a_condition_per_slice_is_that_of_the_predictor_and_a_wrong_count_is_told(
    owner: Owner, make_checkpoint: Callable, make_affine: Callable, make_volume: Callable, tumor: Any
) -> None:
    position = ContinuousField(name="slice_position", minimum=0, maximum=1, per_slice="position")
    places = ("none", "none", "inside", "film", "film", "none")
    model = make_checkpoint(tumor, position, places=places, preprocessing={"slice_axis": "acquired"})
    volume = make_volume((6, 21, 18), make_affine(spacing=(8, 1.5, 1.5), angles=(41, -30, 25)))
    schema = read_header(model).metadata_schema
    metadata = [{"tumor_type": "ependymoma", "slice_position": told} for told in ("by slice", "1,0.8,0.6,0.4,0.2,0", 0.4)]
    asked = [tuple(map(float, schema.encode(each))) for each in metadata]
    owner.open(1, volume, model)
    owner.engine.submit([Request(1, condition) for condition in asked], range(6), together=3)
    found = {(event.request.condition, event.index): event.q for event in owner.until(Finished, 1) if isinstance(event, SliceResult)}
    predictions = Predictor(load_checkpoint(model), device="cpu").predict_each([volume], metadata)
    for condition, prediction in zip(asked, predictions, strict=True):
        for index in range(6):
            np.testing.assert_array_equal(found[condition, index], prediction.kept.q[:, index])
    assert not np.array_equal(predictions[0].kept.q, predictions[1].kept.q)
    wrong = tuple(map(float, schema.encode({"tumor_type": "ependymoma", "slice_position": "0,0.5,1"})))
    owner.take()
    owner.engine.submit([Request(1, wrong)], range(6))
    failure = next(event for event in owner.until(Failure, 1) if isinstance(event, Failure))
    assert failure.message.startswith("slice_position came with 3 numbers, and the image has 6 slices; give one number per slice")

"""What the main thread takes from the engine, what it keeps of it and how long, and what other threads see of that."""

import gc
import threading
import weakref

import numpy as np
import pytest

from napari_film.checkpoint import load_checkpoint
from napari_film.conditioning import Metadata
from napari_film.header import read_header
from napari_film.inference import prediction
from napari_film.inference.kept import Kept
from napari_film.inference.masks import NOT_COMPUTED, label_mask
from napari_film.inference.mixture import mix
from napari_film.inference.plan import Plan
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.predictor import Predictor
from napari_film.inference.request import Finished, Opened, SliceResult
from napari_film.plugin.choice import Choice
from napari_film.plugin.composition import Composition, Share
from napari_film.plugin.computation import Computation
from napari_film.plugin.layer_geometry import displayed
from napari_film.plugin.live_array import LiveDifference, LiveLabels
from napari_film.plugin.results import Results
from napari_film.preprocessing import prepare

PATIENCE = 60  # seconds until a test gives up
SLICES = 6
VALUES = ("astrocytoma", "ependymoma", "hemangioblastoma")


class Owner:
    """A computation, and what it has given."""

    def __init__(self, model, memory):
        self._came = threading.Event()
        self.computation = Computation(self._came.set, memory)
        self.model = model
        self.header = read_header(model)
        self.events = []

    def open(self, volume):
        self.computation.open([volume], self.model, self.header, device="cpu")

    def choice(self, value):
        return Choice(self.header, {"tumor_type": value})

    def condition(self, value):
        (condition,) = self.choice(value).conditions()
        return condition

    def want(self, *values):
        """Have values in view, as the session does."""
        conditions = [self.condition(value) for value in values]
        self.computation.hold(conditions)
        self.computation.want(conditions, together=len(conditions))

    def until(self, kind):
        """Take events until one of ``kind`` came, and all that came with it."""
        while True:
            assert self._came.wait(PATIENCE)
            self._came.clear()
            new = list(self.computation.events())
            self.events += new
            if any(isinstance(event, kind) for event in new):
                return

    def results(self, value):
        return Results(self.computation.opened, self.choice(value), self.computation.store)

    def kept(self, value):
        return self.computation.store.get(self.computation.opened.key(self.condition(value)))


@pytest.fixture(scope="module")
def model(make_checkpoint, tumor):
    return make_checkpoint(tumor, seed=18)


@pytest.fixture(scope="module")
def volume(make_volume):
    return make_volume((12, 16, SLICES))


@pytest.fixture(scope="module")
def expected(model, volume):
    """Probabilities by `Predictor`."""
    predictor = Predictor(load_checkpoint(model), device="cpu")
    return {value: predictor.predict([volume], {"tumor_type": value}).kept.q for value in VALUES}


@pytest.fixture
def make_owner(model):
    owners = []

    def make(memory=2**20):
        owners.append(Owner(model, memory))
        return owners[-1]

    yield make
    for owner in owners:
        assert owner.computation.close(PATIENCE)
    assert not any(thread.name == "napari-film engine" for thread in threading.enumerate())


def test_slices_stand_under_the_condition_they_were_computed_for(make_owner, volume, expected):
    owner = make_owner()
    owner.open(volume)
    owner.until(Opened)
    owner.want(*VALUES)
    owner.until(Finished)
    for value in VALUES:
        assert np.array_equal(owner.kept(value).q, expected[value])
    assert len({expected[value].tobytes() for value in VALUES}) == len(VALUES)
    assert not owner.computation.working


def test_word_of_an_older_opening_is_not_given(make_owner, volume, make_volume, expected):
    owner = make_owner()
    owner.open(make_volume((8, 8, 3), seed=5))
    owner.computation.forget()
    owner.open(volume)
    owner.until(Opened)
    owner.want("astrocytoma")
    owner.computation.forget()
    assert owner.computation.nbytes == 0
    assert owner.computation.room() == 1
    owner.open(volume)
    owner.until(Opened)
    assert [event.prepared.shape[0] for event in owner.events if isinstance(event, Opened)] == [SLICES, SLICES]
    owner.want("ependymoma")
    owner.until(Finished)
    assert {event.request.condition for event in owner.events if isinstance(event, SliceResult)} == {owner.condition("ependymoma")}
    assert np.array_equal(owner.kept("ependymoma").q, expected["ependymoma"])


def test_what_is_in_view_stays_and_goes_with_it(make_owner, volume, expected):
    """Whatever the limit: the arrays that layers look into stay the same ones until others are in view."""
    size = volume.data.size
    owner = make_owner(memory=size)
    computation = owner.computation
    owner.open(volume)
    owner.until(Opened)
    assert computation.nbytes == size
    assert computation.room() == 1
    owner.want(*VALUES)
    arrays = {value: owner.kept(value) for value in VALUES}
    assert computation.store.nbytes == 3 * size
    owner.until(Finished)
    computation.store.set_limit(1)
    assert all(owner.kept(value) is arrays[value] for value in VALUES)
    assert all(kept.complete for kept in arrays.values())
    owner.want("ependymoma")
    assert computation.store.nbytes == size
    assert owner.kept("ependymoma") is arrays["ependymoma"]
    assert not owner.results("astrocytoma").computed.any()
    assert not owner.computation.working
    owner.want("astrocytoma")  # it comes back by being computed again
    owner.until(Finished)
    assert owner.kept("astrocytoma") is not arrays["astrocytoma"]
    assert np.array_equal(owner.kept("astrocytoma").q, expected["astrocytoma"])


def test_the_least_recently_seen_goes_first(make_owner, volume):
    size = volume.data.size
    owner = make_owner(memory=2 * size)
    owner.open(volume)
    owner.until(Opened)
    for value in VALUES[:2]:
        owner.want(value)
        owner.until(Finished)
    owner.want(VALUES[0])
    assert not owner.computation.working  # it is kept: seen, and nothing to compute
    owner.want(VALUES[2])
    owner.until(Finished)
    assert owner.computation.store.nbytes == 2 * size
    assert [value for value in VALUES if owner.results(value).complete] == [VALUES[0], VALUES[2]]


def test_a_late_slice_of_something_else_takes_no_room_from_what_is_held(make_owner, volume):
    size = volume.data.size
    owner = make_owner(memory=size)
    owner.open(volume)
    owner.until(Opened)
    owner.want("astrocytoma")
    owner.until(Finished)
    late = next(event for event in owner.events if isinstance(event, SliceResult))
    owner.want("ependymoma")
    owner.computation.store.put(late, SLICES)
    assert owner.computation.store.nbytes == size
    assert owner.kept("astrocytoma") is None
    owner.until(Finished)
    assert owner.kept("ependymoma").complete


def test_what_was_let_go_is_gone(make_owner, volume):
    owner = make_owner(memory=volume.data.size)
    owner.open(volume)
    owner.until(Opened)
    owner.want("astrocytoma")
    owner.until(Finished)
    composition = owner.results("astrocytoma").composition()
    gone = weakref.ref(owner.kept("astrocytoma"))
    owner.events.clear()
    owner.want("ependymoma")
    assert gone() is not None, "somebody looks into it still"
    assert composition.complete
    del composition
    gc.collect()
    assert gone() is None


# other threads


@pytest.fixture
def prepared(model, volume):
    return prepare([volume], read_header(model).preprocessing)


def composed(prepared, parts, *, post=None):
    opened = Opened(1, prepared, "image", "checkpoint", "preprocessing", Plan(device="cpu"), ())
    return Composition(opened, (Share(Metadata({}), parts, (128,)),), post or Postprocessing(), None)


def read_while_written(read, write):
    """Have ``read`` called over and over on other threads while ``write`` runs on this one; gives how often."""
    stop, counts, errors = threading.Event(), [], []

    def reader():
        count = 0
        try:
            while not stop.is_set():
                read()
                count += 1
        except AssertionError as error:
            errors.append(error)
        counts.append(count)

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        write()
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
    if errors:
        raise errors[0]
    return sum(counts)


@pytest.mark.parametrize("percents", [(100,), (30, 70)])
def test_a_slice_is_seen_wholly_or_not_at_all(make_volume, model, percents):
    """Also where slices come a second time, with other voxels: what was seen once stays."""
    count = 40
    prepared = prepare([make_volume((64, 64, count))], read_header(model).preprocessing)
    chance = np.random.default_rng(0)
    q = [chance.integers(0, 256, size=(1, *prepared.shape), dtype=np.uint8) for _ in percents]
    whole = label_mask([mix([each[0] for each in q], percents)], (128,))
    kepts = [Kept.empty(1, prepared.shape) for _ in percents]
    composition = composed(prepared, tuple(zip(percents, kepts, strict=True)))
    other = composed(prepared, tuple((percent, Kept(each, np.ones(count, bool))) for percent, each in zip(percents, q, strict=True)))
    geometry = displayed(prepared.reference)
    live, complete = (LiveLabels(one, geometry, "axial") for one in (composition, other))
    difference = LiveDifference(live, complete)
    right = geometry.to_layer(whole, "axial")
    seen = {"veiled": 0, "right": 0}

    def read():
        for index in range(0, count, 5):
            labels = live[index]
            veiled = (labels == NOT_COMPUTED).all()
            assert veiled or np.array_equal(labels, right[index]), index
            seen["veiled" if veiled else "right"] += 1
            between = difference[index]
            assert (between == NOT_COMPUTED).all() or np.array_equal(between > 0, right[index] > 0)
            assert not (between > 1).any() or (between == NOT_COMPUTED).all()
        labels = composition.labels()
        veil = (labels == NOT_COMPUTED).all(axis=(1, 2))
        assert np.array_equal(labels[~veil], whole[~veil])

    def write():
        for index in chance.permutation(count):
            for kept, each in zip(kepts, q, strict=True):
                kept.put(index, each[:, index])
            for kept, each in zip(kepts, q, strict=True):
                kept.put(index, 255 - each[:, index])
            composition.labels()

    assert read_while_written(read, write) > 0
    read()
    assert seen["veiled"] > 0
    assert seen["right"] > 0
    assert np.array_equal(composition.labels(), whole)


def test_a_slice_is_marked_as_computed_when_its_voxels_are_there(prepared):
    """And what is marked is asked for before the voxels: so no order of two threads shows others."""
    q = np.full((1, *prepared.shape[1:]), 200, dtype=np.uint8)

    class Marks(np.ndarray):
        def __setitem__(self, index, value):
            assert np.array_equal(kept.q[:, index], q)
            super().__setitem__(index, value)

    kept = Kept(np.zeros((1, *prepared.shape), np.uint8), np.zeros(SLICES, bool).view(Marks))
    kept.put(2, q)
    assert kept.computed.tolist() == [False, False, True, False, False, False]

    class Slow(LiveLabels):
        def planes(self, index):
            found = super().planes(index)
            kept.put(4, q)
            return found

    live = Slow(composed(prepared, ((100, kept),)), displayed(prepared.reference), "axial")
    assert (live[4] == NOT_COMPUTED).all()
    assert (live[4] == 1).all()


@pytest.mark.parametrize("late", [True, False])
def test_a_part_of_a_mask_is_never_cleaned_up_as_if_it_were_whole(prepared, late, monkeypatch):
    """The last slice may come just before, or just after, the labels are made that are to be cleaned."""
    q = np.random.default_rng(1).integers(0, 256, size=(1, *prepared.shape), dtype=np.uint8)
    post = Postprocessing(threshold=200, largest_component=True)
    raw = label_mask(q, (200,))
    cleaned = post.apply(raw, 1.0)
    assert not np.array_equal(raw, cleaned)
    kept = Kept.empty(1, prepared.shape)
    for index in range(SLICES - 1):
        kept.put(index, q[:, index])
    real = prediction.joint_labels

    def meanwhile(predictions):
        found = real(predictions) if late else None
        kept.put(SLICES - 1, q[:, SLICES - 1])
        return found if late else real(predictions)

    monkeypatch.setattr(prediction, "joint_labels", meanwhile)
    labels = composed(prepared, ((100, kept),), post=post).labels()
    if late:
        assert np.array_equal(labels[:-1], raw[:-1])
        assert (labels[-1] == NOT_COMPUTED).all()
    else:
        assert np.array_equal(labels, cleaned)

"""Whatever a person does in whatever order: no layer shows voxels that are not those of the mask it is called after.

A driver does random deeds in a real window, while the engine is held back and let go at random. After each deed every layer of
ours is held against what `Predictor` says of the metadata in its name: where a slice was computed it is that mask, where it was
not it is the veil. A whole mask is as it is said to be; single slices may still be without their clean-up.
"""

import gc
import threading
import weakref
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image, Labels
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QPushButton, QSlider

from napari_film.checkpoint import load_checkpoint
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.prediction import cleaned_labels, joint_labels
from napari_film.inference.predictor import Predictor
from napari_film.inference.request import image_hash
from napari_film.plugin import segment_widget
from napari_film.plugin.layers import geometry_of, volume_from_layer
from napari_film.plugin.live_array import BOTH, NEITHER, ONLY_A, ONLY_B, LiveArray
from napari_film.plugin.mask_layer import provenance
from napari_film.plugin.preferences import Preferences
from napari_film.plugin.session import State

pytestmark = pytest.mark.usefixtures("unpainted")

SHAPE = (12, 16, 8)
VOLUME = 12 * 16 * 8  # bytes of one class's probabilities
MEMORIES = (1, VOLUME, 3 * VOLUME, 2**24, 2**24, 2**24)
DIFFERENCE = "A and B: difference"
REFUSALS = ("are more than may be kept", "No images are open yet", "There is no mask to keep", "No image is chosen", "No model is chosen")


class Memory(Preferences):
    """Preferences with a memory in bytes."""

    nbytes = 2**24

    @property
    def kept_masks_bytes(self):
        return self.nbytes


class Truth:
    """What the masks are, by `Predictor`: for each model, image and choice once."""

    def __init__(self):
        self._predictors, self._prepared, self._predictions = {}, {}, {}

    def predictions(self, checkpoint, volume, choice, postprocessing):
        schema, mixture = choice.header.metadata_schema, choice.mixture
        metadata = [choice.metadata]
        if choice.all_values:
            metadata = [{**choice.metadata, schema.target.name: value} for value in schema.target.values]
        image = (checkpoint, image_hash([volume]))
        key = (image, str([sorted(each.items()) for each in metadata]), str(mixture and (mixture.text, mixture.mode)))
        if key not in self._predictions:
            if checkpoint not in self._predictors:
                self._predictors[checkpoint] = Predictor(load_checkpoint(checkpoint), device="cpu")
            predictor = self._predictors[checkpoint]
            if image not in self._prepared:
                self._prepared[image] = predictor.prepare([volume])
            self._predictions[key] = predictor.predict_each(self._prepared[image], metadata, mixture=mixture)
        return [replace(each, postprocessing=postprocessing) for each in self._predictions[key]]


@pytest.fixture(scope="module")
def truth():
    return Truth()


@pytest.fixture(scope="module")
def models(make_checkpoint, tumor, site, age):
    """Of other schemas, slice axes and numbers of classes; one takes no metadata."""
    own = {"header": {"thresholds": ({"when": {"tumor_type": "ependymoma"}, "classes": (90,)},)}}
    return [
        make_checkpoint(tumor, seed=18, **own),
        make_checkpoint(site, age, seed=34, classes=("core", "rim"), preprocessing={"slice_axis": "coronal"}),
        make_checkpoint(site, tumor, seed=46, preprocessing={"slice_axis": "sagittal"}),
        make_checkpoint(seed=24),
    ]


@pytest.fixture(scope="module")
def volumes(make_volume, make_affine):
    tilted = make_affine((2, 0, 1), (True, False, True), spacing=(1.0, 2.0, 1.5))
    return [make_volume(SHAPE), make_volume(SHAPE, seed=1), make_volume((8, 12, 16), tilted, seed=2)]


def told(choice):
    """The values in words, as they stand in names."""
    words = []
    for field in choice.header.metadata_schema:
        value, mixture = choice.metadata[field.name], choice.mixture
        if mixture is not None and mixture.field == field.name:
            value = " + ".join(f"{percent} % {name}" for name, percent in mixture.percent.items() if percent)
            value += " (blended)" if mixture.mode == "blended" else ""
        elif choice.all_values and field.role == "target":
            value = "all values"
        words.append(value if isinstance(value, str) else f"{value:g}")
    return ", ".join(words) or "no metadata"


def mask_name(choice):
    classes = choice.header.classes
    return f"{classes[0] if len(classes) == 1 else choice.header.name}: {told(choice)}"


def label_names(choice):
    target, classes = choice.header.metadata_schema.target, choice.header.classes
    if target is None:
        return list(classes)
    return list(target.values) if choice.all_values else [choice.metadata[target.name]]


def differs(a, b):
    known = (a != NOT_COMPUTED) & (b != NOT_COMPUTED)
    found = np.full(a.shape, NEITHER, np.uint8)
    for code, place in ((BOTH, (a > 0) & (b > 0)), (ONLY_A, (a > 0) & (b == 0)), (ONLY_B, (a == 0) & (b > 0))):
        found[place] = code
    return np.where(known, found, NOT_COMPUTED)


class Person:
    """Does whatever comes to mind, and looks at everything after each deed."""

    def __init__(self, dock, gate, models, volumes, truth, memory, seed):
        self.dock, self.gate, self.models, self.volumes, self.truth, self.memory = dock, gate, models, volumes, truth, memory
        self.chance = np.random.default_rng(seed)
        self.opened = None  # the reference's volume as it was segmented
        self.before = {}  # what the slots' layers showed before the deed
        self.ordinary = {}  # layers that were let go or copied, and their voxels
        self.limit = dock.session._computation.store._limit
        self.checked = {"slot": 0, "difference": 0, "cell": 0, "map": 0, "ordinary": 0, "cleaned": 0, "drawn": 0}

    # what there is

    @property
    def viewer(self):
        return self.dock.viewer

    @property
    def session(self):
        return self.dock.session

    @property
    def views(self):
        return self.dock.widget.views

    @property
    def images(self):
        """Images of the person's own."""
        return [one for one in self.viewer.layers if isinstance(one, Image) and not one.metadata["napari_film"].get("stand_in")]

    def one(self, of):
        return of[int(self.chance.integers(len(of)))] if len(of) else None

    def child(self, kind, name):
        return self.dock.widget.findChild(kind, name)

    def press(self, name):
        button = self.child(QPushButton, name) or self.child(QCheckBox, name)
        if button is not None and button.isEnabled():
            button.click()

    # deeds

    def begin(self, model):
        """Have something of everything to look after."""
        self.dock.add(self.volumes[0])
        self.dock.widget.picker.choose(model)
        self.segment()
        self.settle()
        gc.freeze()  # torch and what else has come with the first mask
        for name in ("film_keep", "film_sensitivity", "film_all_at_once", "film_difference", "film_largest", "film_take_away"):
            self.before = self.shown()
            self.press(name)
            self.check()
            self.settle()
            self.check()

    def act(self):
        often = [self.swap, self.step, self.flip, self.move, self.fade, self.compare, self.segment, self.settle]
        sometimes = [self.difference, self.threshold, self.clean, self.mixture, self.weights, self.maps, self.add_image]
        seldom = [self.cancel, self.outline, self.hide, self.all_values, self.take_away, self.layout, self.delete, self.checkpoint]
        seldom += [self.turn, self.display, self.limit_memory, self.prefer, self.edit, self.keep, self.eye, self.field]
        rare = [self.clear, self.reopen, self.grid]
        deeds = often * 6 + sometimes * 4 + seldom * 2 + rare
        deed = self.one(deeds)
        if self.session.prepared is None and self.chance.integers(2):  # there is little to go wrong with nothing open
            busy = self.session.state is State.RUNNING
            deed = self.settle if busy else self.segment if self.images else self.add_image
        self.before = self.shown()
        deed()
        return deed.__name__

    def swap(self):
        if self.session.header is not None and len(self.session.header.metadata_schema.fields):
            field = self.one(self.session.header.metadata_schema.fields)
            value = self.one(field.choices) if hasattr(field, "choices") else float(self.chance.integers(5) * 20)
            self.dock.widget.metadata.form.setValue({field.name: value})

    def step(self):
        """As a held key does: a hundred times, with nothing in between."""
        for _ in range(int(self.chance.choice([1, 2, 7, 100]))):
            self.press(self.one(["film_step_on", "film_step_on", "film_step_back"]))

    def field(self):
        box = self.child(QComboBox, "film_step_field")
        if box.count():
            box.setCurrentIndex(int(self.chance.integers(box.count())))
            box.activated.emit(box.currentIndex())

    def flip(self):
        self.press(self.one(["film_flip", "film_flip", "film_slot_a", "film_slot_b"]))

    def fade(self):
        self.child(QSlider, "film_fade").setValue(int(self.chance.choice([0, 30, 70, 100])))

    def difference(self):
        self.press("film_difference")

    def outline(self):
        self.press("film_outline")

    def hide(self):
        self.press("film_hide")

    def all_values(self):
        box = self.dock.widget.metadata.all_values
        if not box.isHidden():
            box.click()

    def mixture(self):
        if not self.dock.widget.metadata.weights.isHidden():
            self.press("film_uncertain")

    def weights(self):
        form = self.dock.widget.metadata.weights
        if form.isHidden() or not form.isActive():
            return
        if self.chance.integers(3) == 0:
            box = self.child(QComboBox, "film_mixture_mode")
            box.setCurrentIndex(int(self.chance.integers(2)))
            box.activated.emit(box.currentIndex())
        slider = self.one([one for one in form.findChildren(QSlider) if one.objectName().startswith("film_weight_")])
        if slider is not None:
            slider.setValue(int(self.chance.choice([0, 20, 50, 100])))

    def threshold(self):
        if self.chance.integers(3) == 0:
            self.press("film_own_threshold")
        else:
            self.child(QSlider, "film_threshold").setValue(int(self.chance.choice([1, 60, 128, 200, 255])))

    def clean(self):
        self.press(self.one(["film_largest", "film_fill_holes"]))
        if self.chance.integers(3) == 0:
            self.dock.widget.mask_form._small.setValue(float(self.chance.choice([0, 3, 20])))

    def compare(self):
        form = self.dock.widget.workbench.values_form
        for picker in form._pickers.values():
            for box in picker.findChildren(QAction):
                if box.isCheckable() and self.chance.integers(2):
                    box.setChecked(not box.isChecked())
            if self.chance.integers(4) == 0:
                picker.setAll(False)
        if len(form.value()) <= 6:
            self.press("film_all_at_once")

    def layout(self):
        form = self.dock.widget.workbench.values_form
        form.setLayoutValue(self.one(["grid", "stacked"]))
        form.layoutChanged.emit(form.layoutValue())

    def maps(self):
        if len(self.dock.widget.workbench.values_form.value()) <= 6:
            self.press(self.one(["film_sensitivity", "film_disagreement"]))

    def take_away(self):
        self.press("film_take_away")

    def move(self):
        for axis in range(self.viewer.dims.ndim):
            self.viewer.dims.set_current_step(axis, int(self.chance.integers(16)))

    def turn(self):
        order = tuple(int(axis) for axis in self.chance.permutation(self.viewer.dims.ndim))
        self.viewer.dims.order = self.one([order, tuple(range(self.viewer.dims.ndim))])

    def display(self):
        self.viewer.dims.ndisplay = int(self.chance.choice([2, 2, 3]))

    def grid(self):
        self.viewer.canvas.grid.enabled = not self.viewer.canvas.grid.enabled

    def segment(self):
        if self.session.state not in (State.RUNNING, State.AHEAD):
            self.remember_opened()
            self.press("film_segment")

    def remember_opened(self):
        (image,) = self.dock.widget.channel_form.value() or [None]
        if image is not None and self.session.checkpoint is not None:
            volume = volume_from_layer(image)
            self.opened = replace(volume, data=np.array(volume.data))
            self.limit = self.memory.nbytes

    def cancel(self):
        if self.session.state in (State.RUNNING, State.AHEAD):
            self.press("film_segment")

    def delete(self):
        layer = self.one(list(self.viewer.layers))
        if layer is not None:
            self.viewer.layers.remove(layer)

    def clear(self):
        self.viewer.layers.clear()

    def eye(self):
        layer = self.one(list(self.viewer.layers))
        if layer is not None:
            layer.visible = not layer.visible

    def keep(self):
        if len(self.viewer.layers) < 20:
            self.press("film_keep")

    def add_image(self):
        if len(self.images) < 3:
            self.dock.add(self.one(self.volumes))

    def edit(self):
        image = self.one(self.images)
        if image is not None:
            if self.chance.integers(2):
                image.data = np.ascontiguousarray(image.data[::-1])
            else:
                image.scale = self.one([(1, 1, 1), (2, 1, 1)])

    def checkpoint(self):
        self.dock.widget.picker.choose(self.one(self.models))

    def limit_memory(self):
        self.limit = self.one(MEMORIES)
        self.session.set_memory(self.limit)

    def prefer(self):
        self.memory.nbytes = self.one(MEMORIES)

    def reopen(self):
        dock = self.dock
        dock.viewer.window.remove_dock_widget(dock.widget)
        dock.dock, dock.widget = dock.viewer.window.add_plugin_dock_widget("napari-film", "FiLM segmentation")
        dock.session = dock.widget.session
        self.limit = Preferences().kept_masks_bytes
        self.checkpoint()

    def settle(self):
        """Wait until all is computed, cleaned and drawn."""
        self.gate.open()
        busy = (State.RUNNING, State.AHEAD)
        self.dock.wait(
            lambda: (
                self.session.state not in busy
                and not self.views.pending
                and not self.views.cleaning.busy
                and not self.views._draw.isActive()
            )
        )

    def pause(self):
        """Let a random part of what is under way happen."""
        how = self.chance.integers(6)
        if how == 0:
            self.gate.open()
        elif how < 3:
            self.gate.hold()
        self.gate.let(int(self.chance.integers(6)))
        for _ in range(int(self.chance.integers(5))):
            QApplication.processEvents()

    # what must be

    def shown(self):
        """The slots' layers, and what they show."""
        found = {}
        for slot, choice in self.session.choices.items():
            layer = self.views.slots.layer(slot)
            if layer is not None:
                found[layer] = (slot, choice, self.session.postprocessing, self.session.checkpoint, self.opened)
        return found

    def expected(self, choice, postprocessing=None, checkpoint=None, volume=None):
        """The mask (N, H, W) without and with its clean-up, and the probabilities of its labels."""
        postprocessing = postprocessing or self.session.postprocessing
        predictions = self.truth.predictions(checkpoint or self.session.checkpoint, volume or self.opened, choice, postprocessing)
        q = np.concatenate([prediction.kept.q for prediction in predictions])
        return joint_labels(predictions), cleaned_labels(predictions), q

    def sliced(self, layer, array, header=None):
        return geometry_of(layer).to_sliced(array, (header or self.session.header).preprocessing.slice_axis)

    def whole_and_slices(self, layer):
        """The voxels in sliced layout: as they are saved, and as they are seen one slice after the other."""
        dimension = int(self.chance.integers(3))
        slices = [layer.data[(slice(None),) * dimension + (index,)] for index in range(layer.data.shape[dimension])]
        return self.sliced(layer, np.asarray(layer.data)), self.sliced(layer, np.stack(slices, axis=dimension))

    def check(self):
        self.check_memory()
        self.check_form()
        ours = [layer for layer in self.viewer.layers if isinstance(layer.data, LiveArray)]
        slots = {slot: self.views.slots.layer(slot) for slot in ("A", "B")}
        cells, compared = self.views.gallery.masks, self.session.compared
        maps = {self.views.maps.layer(kind): kind for kind in self.views.maps.shown}
        difference = next((layer for layer in ours if layer.name == DIFFERENCE), None)
        known = [*slots.values(), *cells, *maps, difference]
        assert [layer.name for layer in ours if not any(layer is one for one in known)] == [], "layers that nobody looks after"
        assert all(any(layer is one for one in ours) for layer in maps)
        for slot, layer in slots.items():
            if layer is not None:
                self.check_mask(layer, self.session.choices[slot], f"{slot} · ")
        if cells:
            assert len(cells) == len(compared)
            for layer, choice in zip(cells, compared, strict=True):
                if layer in self.viewer.layers:  # one that was deleted takes the others along once napari is done with it
                    self.check_mask(layer, choice, None)
        if difference is not None:
            self.check_difference(difference)
        for layer, kind in maps.items():
            self.check_map(layer, kind)
        for layer in ours:
            self.check_drawn(layer)
        self.check_ordinary()

    def check_mask(self, layer, choice, prefix):
        assert layer.name.rpartition(" [")[0 if layer.name.endswith("]") else 2] == (
            told(choice) if prefix is None else f"{prefix}{mask_name(choice)}"
        )
        states = self.states(choice)
        whole, slices = self.whole_and_slices(layer)
        assert np.array_equal(whole, states[-1]), f"{layer.name}: as a whole"
        kinds = [np.array_equal(slices, state) for state in states]
        assert any(kinds), f"{layer.name}: slice by slice"
        names = list(layer.features["label"])
        assert [name for name in names[1:] if name != "not computed"] == label_names(choice), layer.name
        self.checked["slot" if prefix else "cell"] += int((whole != NOT_COMPUTED).any())
        self.checked["cleaned"] += int(not kinds[0])

    def states(self, choice):
        """What may be seen of a mask: as far as it was computed; once that is all of it, cleaned up too. The last is what it is."""
        raw, cleaned, _ = self.expected(choice)
        computed = self.session.results_of(choice).computed
        raw[~computed] = NOT_COMPUTED
        return [raw, cleaned] if computed.all() else [raw]

    def check_difference(self, layer):
        assert list(layer.features["label"])[2:] == [f"only {slot}: {told(self.session.choices[slot])}" for slot in ("A", "B")]
        a, b = (self.states(self.session.choices[slot]) for slot in ("A", "B"))
        whole, slices = self.whole_and_slices(layer)
        assert np.array_equal(whole, differs(a[-1], b[-1])), "the difference as a whole"
        assert any(np.array_equal(slices, differs(one, other)) for one in a for other in b), "the difference slice by slice"
        self.checked["difference"] += int((slices != NOT_COMPUTED).any())

    def check_map(self, layer, kind):
        compared = self.session.compared
        masks = [self.expected(choice) for choice in compared]
        computed = np.logical_and.reduce([self.session.results_of(choice).computed for choice in compared])
        for seen in self.whole_and_slices(layer):
            assert np.isnan(seen[~computed]).all(), kind
            if kind == "sensitivity":
                stack = np.stack([q for _, _, q in masks]).astype(np.int16)
                moved = (stack.max(axis=0) - stack.min(axis=0)).max(axis=0).astype(np.float32) / 256
                assert np.array_equal(seen[computed], moved[computed])
            else:  # each mask may be without its clean-up still
                both = np.stack([[raw[computed] > 0, cleaned[computed] > 0] for raw, cleaned, _ in masks])
                assert (both.all(axis=1).sum(axis=0) <= seen[computed]).all()
                assert (seen[computed] <= both.any(axis=1).sum(axis=0)).all()
        self.checked["map"] += int(computed.any())

    def check_drawn(self, layer):
        """What napari has in view is what the layer's data say now; slices that came just now may still be veiled."""
        if not layer.visible:
            return
        drawn = np.array(layer._slice.image.raw)
        layer.set_view_slice()
        now = np.asarray(layer._slice.image.raw)
        wrong = drawn != now if isinstance(layer, Labels) else ~((drawn == now) | (np.isnan(drawn) & np.isnan(now)))
        if self.views.pending or self.views._draw.isActive():
            wrong &= drawn != NOT_COMPUTED if isinstance(layer, Labels) else ~np.isnan(drawn)
        if layer in [self.views.slots.layer(slot) for slot in ("A", "B") if slot not in self.views.slots.needed]:
            wrong &= now != NOT_COMPUTED  # unveiled by hand: nothing of it is held, and it may be gone since
        assert drawn.shape == now.shape, layer.name
        assert not wrong.any(), f"{layer.name}: something else is in view"
        self.checked["drawn"] += 1

    def check_ordinary(self):
        """What was let go of is the whole mask that its name says, and nothing touches it any more."""
        layers = [layer for layer in self.viewer.layers if isinstance(layer, Labels) and not isinstance(layer.data, LiveArray)]
        for layer in layers:
            if layer not in self.ordinary:
                if layer.name.partition(" [")[0].endswith("(kept)"):
                    _, choice, post, checkpoint, volume = next(shown for shown in self.before.values() if shown[0] == self.session.slot)
                    named = f"{mask_name(choice)} (kept)"
                else:
                    _, choice, post, checkpoint, volume = self.before[layer]
                    named = mask_name(choice)
                    assert not (layer.data == NOT_COMPUTED).any(), "a part of a mask was left"
                assert layer.name.partition(" [")[0].removesuffix(" (before the image changed)") == named
                raw, cleaned, _ = self.expected(choice, post, checkpoint, volume)
                data = self.sliced(layer, layer.data, choice.header)
                veiled = np.where(data == NOT_COMPUTED, NOT_COMPUTED, raw)
                assert np.array_equal(data, veiled if (data == NOT_COMPUTED).any() else cleaned), layer.name
                assert layer.editable
                self.ordinary[layer] = layer.data.copy()
                self.checked["ordinary"] += 1
            assert np.array_equal(layer.data, self.ordinary[layer]), f"{layer.name} has changed"
        if len(layers) > 4:
            self.viewer.layers.remove(layers[0])

    def check_memory(self):
        """Kept probabilities obey the limit, but for what is in view or compared."""
        session = self.session
        computation = session._computation
        held = set()
        if session.opened is not None:
            slots = self.views.slots.needed
            for choice in [*(session.choices[slot] for slot in slots), *session.compared]:
                held |= set(choice.conditions())
        room = max(self.limit, len(held) * computation.nbytes)
        largest = max((kept.q.nbytes for kept in computation.store._kept.values()), default=0)
        assert computation.store.nbytes <= (room if held else max(self.limit, largest))

    def check_form(self):
        widget, session = self.dock.widget, self.session
        assert widget.metadata.form.value() == pytest.approx(session.metadata)
        for slot, choice in session.choices.items():
            assert self.child(QPushButton, f"film_slot_{slot.lower()}").toolTip() == f"Show mask {slot}: {told(choice)}."
        if session.choice is not None and session.choice.header.metadata_schema.target is not None:
            assert widget.metadata.all_values.isChecked() == session.choice.all_values
        if session.choice is not None:
            assert widget.metadata.weights.isActive() == (session.choice.mixture is not None)


@pytest.fixture
def quick_collection():
    """Napari collects garbage whenever a layer goes; what was there before the test need not be looked through each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def threads_of_ours():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("napari-film")]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("seed", "count"), [(0, 60), *[pytest.param(seed, 1500, marks=pytest.mark.slow) for seed in (1, 2, 3)]])
def test_whatever_a_person_does_no_mask_is_wrong(
    dock, gate, models, volumes, truth, quick_collection, monkeypatch, notified, qtbot, seed, count
):
    memory = Memory(device="cpu")
    monkeypatch.setattr(segment_widget, "preferences", lambda: memory)
    monkeypatch.setattr(Memory, "nbytes", 2**24)
    person = Person(dock, gate, models, volumes, truth, memory, seed)
    last = deque(maxlen=20)
    with qtbot.captureExceptions() as raised:  # Qt swallows what is raised in a slot
        person.begin(models[2])
        try:
            for number in range(count):  # noqa: B007
                last.append(person.act())
                person.check()
                person.pause()
                person.before = person.shown()
                person.check()
                assert raised == []
                said = [note.message for note in notified if note.severity.value == "error"]
                assert [sentence for sentence in said if not any(known in sentence for known in REFUSALS)] == []
        except Exception as error:
            raise AssertionError(f"seed {seed}, deed {number} of {count}, the last were {' '.join(last)}: {error}") from error
        gate.open()
        dock.viewer.window.remove_dock_widget(dock.widget)
    assert raised == []
    assert min(person.checked.values()) > 0, person.checked
    dock.wait(lambda: not threads_of_ours())


def start(dock, model, volume):
    dock.add(volume)
    dock.widget.picker.choose(model)
    dock.click_segment()
    dock.wait_complete()
    dock.wait_idle()


@pytest.mark.usefixtures("on_the_cpu")
def test_what_is_raised_in_a_slot_is_no_secret(dock, models, volumes, qtbot, monkeypatch):
    """Else the test above would pass whatever happens."""
    start(dock, models[0], volumes[0])

    def fail(*_, **__):
        raise RuntimeError("in a slot")

    ring = dock.widget._bell.rung.emit
    for does, where, name in ((ring, dock.session, "drain"), (lambda: dock.click("film_flip"), dock.session, "set_view")):
        with monkeypatch.context() as patch, qtbot.captureExceptions() as raised:
            patch.setattr(where, name, fail)
            does()
        assert [str(error) for _, error, _ in raised] == ["in a slot"]


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_cpu")
def test_a_slot_out_of_view_keeps_no_probabilities_alive(dock, models, volumes):
    """What was dropped is gone, and comes back as the same mask when its slot is seen again."""
    start(dock, models[0], volumes[0])
    first = dock.mask
    before = np.asarray(first.data)
    assert not (before == NOT_COMPUTED).any()
    opened, (condition,) = dock.session.opened, dock.session.choice.conditions()
    kept = weakref.ref(dock.session._computation.store.get(opened.key(condition)))
    dock.click("film_flip")
    dock.session.set_memory(1)
    gc.collect()
    assert kept() is None
    assert first in dock.viewer.layers
    assert not first.visible
    assert first.name == "A · lesion: astrocytoma"
    assert (np.asarray(first.data) == NOT_COMPUTED).all(), "what is gone was not computed"
    dock.wait_complete()
    dock.click("film_flip")
    dock.wait_complete()
    assert dock.mask is first
    assert np.array_equal(np.asarray(first.data), before)


@pytest.mark.usefixtures("on_the_cpu")
def test_a_slot_out_of_view_is_its_mask_as_long_as_that_is_kept(dock, models, volumes):
    """A person may unveil or save it there, after the threshold was changed."""
    start(dock, models[0], volumes[0])
    first = dock.mask
    dock.click("film_flip")
    dock.wait_complete()
    dock.child(QSlider, "film_threshold").setValue(60)
    (prediction,) = dock.session.results_of(dock.session.choices["A"]).predictions()
    assert prediction.kept.complete
    expected = geometry_of(first).to_layer(joint_labels([prediction]), "axial")
    assert not np.array_equal(expected, geometry_of(first).to_layer(prediction.kept.q[0] >= 128, "axial"))
    assert np.array_equal(np.asarray(first.data), expected)
    first.visible = True
    assert np.array_equal(first._slice.image.raw, expected[dock.viewer.dims.current_step[0]])
    assert provenance(first)["Thresholds"] == [60 / 256]

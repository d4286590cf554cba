"""The predictor gives what the network says, brought back onto the source: computed anew here, step by step."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_film.checkpoint import Checkpoint, load_checkpoint
from napari_film.errors import InputError
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import Plan
from napari_film.inference.prediction import joint_mask
from napari_film.inference.predictor import Predictor
from napari_film.inference.specialised import SpecialisedUNet
from napari_film.preprocessing import Prepared, prepare, restore
from napari_film.volume import Volume

AXES = (2, 0, 1)


@pytest.fixture(scope="module")
def volumes(make_volume: Callable, make_affine: Callable) -> list[Volume]:
    """Two channels on other grids, stored in another order, oblique."""
    reference = make_affine(AXES, (True, False, True), spacing=(1.0, 0.9, 2.0), angles=(5, 8, -6))
    other = make_affine(AXES, (True, False, True), spacing=(1.2, 0.9, 2.0), angles=(3, 8, -6))
    return [make_volume((17, 21, 14), reference, seed=1), make_volume((17, 22, 14), other, seed=2)]


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint: Callable, tumor: Any, site: Any) -> Checkpoint:
    """Two channels, two classes, resampled along all axes, with thresholds of its own for one condition value."""
    thresholds = [{"when": {"tumor_type": "ependymoma"}, "classes": (90, 170)}]
    return load_checkpoint(
        make_checkpoint(
            tumor,
            site,
            seed=1,
            channels=2,
            classes=("core", "oedema"),
            preprocessing={"spacing": (1.5, 1.1, 1.7)},
            header={"thresholds": thresholds},
        )
    )


def by_hand(checkpoint: Checkpoint, prepared: Prepared, metadata: dict[str, str]) -> np.ndarray:
    """Probabilities (classes, I, J, K): every network slice through the network by itself."""
    condition = torch.from_numpy(checkpoint.header.metadata_schema.encode(metadata))[None]
    with torch.no_grad():
        slices = [
            checkpoint.network(torch.from_numpy(prepared.image(k))[None], condition)[0].numpy() for k in range(prepared.network_shape[0])
        ]
    return restore(prepared, np.stack(slices, axis=1))


def check_quantised(found: np.ndarray, probabilities: np.ndarray) -> None:
    """Check k/256 against floor(256 p), but where rounding of float32 decides."""
    expected = np.minimum(np.floor(256 * probabilities.astype(np.float64)), 255) / 256
    scaled = 256 * probabilities
    nearest = np.rint(scaled)
    decided = (np.abs(scaled - nearest) > 1e-3) | (nearest == 0) | (nearest == 256)
    assert decided.mean() > 0.9
    np.testing.assert_array_equal(found[decided], expected[decided])
    assert np.abs(found - expected).max() <= 1 / 256


@pytest.mark.parametrize("tumor_type", ["astrocytoma", "ependymoma"])
def test_probabilities_and_mask_equal_an_independent_computation(checkpoint: Checkpoint, volumes: list[Volume], tumor_type: str) -> None:
    metadata = {"tumor_type": tumor_type, "site": "unknown"}
    prediction = Predictor(checkpoint, device="cpu").predict(volumes, metadata)
    found = prediction.probabilities()
    assert found.shape == (2, *volumes[0].data.shape)
    check_quantised(found, by_hand(checkpoint, prepare(volumes, checkpoint.header.preprocessing), metadata))
    low, high = (90, 170) if tumor_type == "ependymoma" else (128, 128)
    mask = prediction.mask()
    seen = set()
    for index in np.ndindex(mask.shape):
        first, second = found[(0, *index)] * 256, found[(1, *index)] * 256
        label = 0
        if first >= low:
            label = 1
        if second >= high and (label == 0 or second > first):
            label = 2
        assert mask[index] == label
        seen.add(label)
    assert seen == {0, 1, 2}
    assert mask.dtype == np.uint8
    assert prediction.notices == ()


def test_condition_values_give_masks_of_their_own(checkpoint: Checkpoint, volumes: list[Volume]) -> None:
    predictor = Predictor(checkpoint, device="cpu")
    prepared = predictor.prepare(volumes)
    first, second, again = (
        predictor.predict(prepared, {"tumor_type": name, "site": "north"}).mask()
        for name in ("astrocytoma", "hemangioblastoma", "astrocytoma")
    )
    assert (first != second).mean() > 0.01
    assert np.array_equal(first, again)


def test_a_plain_network_takes_no_metadata(make_checkpoint: Callable, make_volume: Callable) -> None:
    checkpoint = load_checkpoint(make_checkpoint())
    volume = make_volume((16, 12, 3))
    prediction = Predictor(checkpoint, device="cpu").predict([volume], {})
    check_quantised(prediction.probabilities(), by_hand(checkpoint, prediction.prepared, {}))
    assert 0.01 < prediction.mask().mean() < 0.99


def test_what_a_person_gets_wrong_is_told(checkpoint: Checkpoint, volumes: list[Volume]) -> None:
    predictor = Predictor(checkpoint, device="cpu")
    with pytest.raises(InputError, match="one of: astrocytoma, ependymoma"):
        predictor.predict(volumes, {"tumor_type": "glioma", "site": "north"})
    with pytest.raises(InputError, match="1 channel"):
        predictor.predict(volumes[:1], {"tumor_type": "ependymoma", "site": "north"})
    with pytest.raises(InputError, match="tumor_type is what is looked for; weights are for context fields \\(site\\)"):
        predictor.predict_mixture(volumes, {"site": "north"}, Mixture(field="tumor_type", percent={"HB": 100}))
    for order in ([-1], [0, 99]):
        with pytest.raises(InputError, match="slices outside of 0 to"):
            predictor.predict(volumes, {"tumor_type": "ependymoma", "site": "north"}, order=order)


def test_clamped_numbers_are_told_with_the_prediction(make_checkpoint: Callable, make_volume: Callable, age: Any) -> None:
    predictor = Predictor(load_checkpoint(make_checkpoint(age)), device="cpu")
    volume = make_volume((8, 8, 2))
    clamped = predictor.predict([volume], {"age": 140})
    assert clamped.notices == ("age is 140, outside of what this model was trained on; 100 is used instead.",)
    assert clamped.metadata.values == {"age": 100}
    assert np.array_equal(clamped.mask(), predictor.predict([volume], {"age": 100}).mask())


def test_slices_come_in_the_order_asked_and_the_rest_says_that_it_was_not_computed(checkpoint: Checkpoint, volumes: list[Volume]) -> None:
    predictor = Predictor(checkpoint, device="cpu")
    prepared = predictor.prepare(volumes)
    metadata = {"tumor_type": "ependymoma", "site": "north"}
    whole = predictor.predict(prepared, metadata)
    told: list[tuple[int, int]] = []
    order = [9, 2, 5]
    part = predictor.predict(prepared, metadata, order=order, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert np.flatnonzero(part.kept.computed).tolist() == sorted(order)
    assert not part.kept.complete
    stack, expected = prepared.from_source(part.mask()), prepared.from_source(whole.mask())
    values = prepared.from_source(part.probabilities())
    for index in range(prepared.shape[0]):
        if index in order:
            assert np.array_equal(stack[index], expected[index])
            assert np.array_equal(values[:, index], prepared.from_source(whole.probabilities())[:, index])
        else:
            assert (stack[index] == NOT_COMPUTED).all()
            assert np.isnan(values[:, index]).all()


def test_cancelling_in_the_middle_keeps_what_was_computed(checkpoint: Checkpoint, volumes: list[Volume]) -> None:
    predictor = Predictor(checkpoint, device="cpu")
    done: list[int] = []
    order = [4, 3, 5, 2, 6]
    part = predictor.predict(
        volumes,
        {"tumor_type": "ependymoma", "site": "north"},
        order=order,
        progress=lambda count, total: done.append(count),
        cancelled=lambda: len(done) == 2,
    )
    assert np.flatnonzero(part.kept.computed).tolist() == [3, 4]
    assert done == [1, 2]
    stack = part.prepared.from_source(part.mask())
    assert {index for index in range(len(stack)) if (stack[index] != NOT_COMPUTED).all()} == {3, 4}
    nothing = predictor.predict(part.prepared, part.metadata.values, cancelled=lambda: True)
    assert (nothing.mask() == NOT_COMPUTED).all()


@pytest.mark.parametrize("batch", [1, 3])
def test_a_plan_replays_to_the_byte(checkpoint: Checkpoint, volumes: list[Volume], batch: int) -> None:
    metadata = {"tumor_type": "ependymoma", "site": "south"}
    plan = Plan(device="cpu", batch=batch)
    first, second = (Predictor(checkpoint, plan=plan).predict(volumes, metadata) for _ in range(2))
    assert first.plan == plan
    assert first.kept.q.tobytes() == second.kept.q.tobytes()


@settings(max_examples=12, deadline=None)
@given(order=st.permutations(range(9)), cut=st.integers(1, 9))
def test_under_a_plan_a_slice_is_the_same_in_whatever_company(
    order: Sequence[int], cut: int, checkpoint: Checkpoint, volumes: list[Volume]
) -> None:
    predictor = Predictor(checkpoint, plan=Plan(device="cpu", batch=4))
    metadata = {"tumor_type": "ependymoma", "site": "south"}
    prepared = predictor.prepare(volumes)
    whole = predictor.predict(prepared, metadata)
    part = predictor.predict(prepared, metadata, order=order[:cut])
    chosen = sorted(order[:cut])
    assert part.kept.q[:, chosen].tobytes() == whole.kept.q[:, chosen].tobytes()


def test_bfloat16_differs_from_float32_only_near_the_threshold(checkpoint: Checkpoint, volumes: list[Volume]) -> None:
    metadata = {"tumor_type": "astrocytoma", "site": "north"}
    exact, rough = (
        Predictor(checkpoint, device="cpu", precision=precision).predict(volumes, metadata) for precision in ("float32", "bfloat16")
    )
    assert rough.plan.precision == "bfloat16"
    assert not np.array_equal(exact.kept.q, rough.kept.q)
    differs = exact.mask() != rough.mask()
    assert (np.abs(np.diff([*exact.probabilities(), np.full(differs.shape, 0.5)], axis=0)).min(axis=0)[differs] < 0.06).all()
    assert differs.mean() < 0.05


def test_several_values_in_one_mask(checkpoint: Checkpoint, volumes: list[Volume]) -> None:
    predictor = Predictor(checkpoint, device="cpu")
    prepared = predictor.prepare(volumes)
    values = ("astrocytoma", "ependymoma", "hemangioblastoma")
    predictions = [
        predictor.predict(prepared, {"tumor_type": value, "site": "north"}, order=range(3 + n)) for n, value in enumerate(values)
    ]
    mask = prepared.from_source(joint_mask(predictions))
    q = np.concatenate([prediction.kept.q for prediction in predictions])
    limits = [threshold for prediction in predictions for threshold in prediction.thresholds]
    for n, h, w in np.ndindex(3, *mask.shape[1:]):
        passing = [(int(q[c, n, h, w]), -c) for c in range(6) if q[c, n, h, w] >= limits[c]]
        assert mask[n, h, w] == (1 - max(passing)[1] if passing else 0)
    assert (mask[3:] == NOT_COMPUTED).all()


SITES = Mixture(field="site", percent={"north": 35, "south": 65})


def test_an_expected_mask_is_the_mean_of_those_of_the_values(checkpoint: Checkpoint, volumes: list[Volume]) -> None:
    predictor = Predictor(checkpoint, device="cpu")
    prepared = predictor.prepare(volumes)
    told: list[tuple[int, int]] = []
    mixed = predictor.predict_mixture(prepared, {"tumor_type": "HB"}, SITES, progress=lambda *count: told.append(count))
    north, south = (predictor.predict(prepared, {"tumor_type": "HB", "site": site}) for site in ("north", "south"))
    expected = (35 * north.kept.q.astype(int) + 65 * south.kept.q.astype(int)) // 100
    assert (north.kept.q != south.kept.q).any()
    np.testing.assert_array_equal(mixed.kept.q, expected)
    assert mixed.metadata.values == {"tumor_type": "hemangioblastoma"}
    assert mixed.mixture == SITES
    assert mixed.notices == ()
    assert told[-1] == (2 * prepared.shape[0],) * 2


def test_a_blended_mask_is_that_of_the_blended_condition_and_says_so(checkpoint: Checkpoint, volumes: list[Volume]) -> None:
    predictor = Predictor(checkpoint, device="cpu")
    prepared = predictor.prepare(volumes)
    blended = predictor.predict_mixture(prepared, {"tumor_type": "HB"}, SITES.model_copy(update={"mode": "blended"}))
    condition = torch.tensor([[0, 0, 1, 0.35, 0.65, 0]], dtype=torch.float32)
    with torch.no_grad():
        slices = [checkpoint.network(torch.from_numpy(prepared.image(k))[None], condition)[0] for k in range(prepared.network_shape[0])]
    check_quantised(blended.probabilities(), restore(prepared, torch.stack(slices, dim=1).numpy()))
    assert blended.notices == (
        "The values of site are blended: no image was trained with such metadata, so the mask is off the distribution.",
    )
    expected = predictor.predict_mixture(prepared, {"tumor_type": "HB"}, SITES)
    assert (expected.kept.q != blended.kept.q).any()


def test_a_mixture_of_one_value_is_that_value(checkpoint: Checkpoint, volumes: list[Volume]) -> None:
    predictor = Predictor(checkpoint, device="cpu")
    prepared = predictor.prepare(volumes)
    alone = predictor.predict(prepared, {"tumor_type": "ependymoma", "site": "south"})
    for mode in ("expected", "blended"):
        mixture = Mixture(field="site", percent={"south": 100, "north": 0}, mode=mode)
        mixed = predictor.predict_mixture(prepared, {"tumor_type": "ependymoma", "site": "north"}, mixture)
        np.testing.assert_array_equal(mixed.mask(), alone.mask())
        assert mixed.thresholds == alone.thresholds == (90, 170)
        assert mixed.notices == ()


def test_a_mixture_under_several_metadata_has_their_thresholds(checkpoint: Checkpoint, volumes: list[Volume]) -> None:
    predictor = Predictor(checkpoint, device="cpu")
    runs = [{"tumor_type": value} for value in ("astrocytoma", "ependymoma")]
    both = predictor.predict_each(volumes, runs, mixture=SITES, order=[3, 4])
    assert [prediction.thresholds for prediction in both] == [(128, 128), (90, 170)]
    for prediction, metadata in zip(both, runs, strict=True):
        alone = predictor.predict_mixture(prediction.prepared, metadata, SITES, order=[3, 4])
        np.testing.assert_array_equal(prediction.kept.q, alone.kept.q)
        assert np.flatnonzero(prediction.kept.computed).tolist() == [3, 4]


def test_a_mixture_cancelled_between_two_values_has_only_what_both_have(checkpoint: Checkpoint, volumes: list[Volume]) -> None:
    done: list[int] = []
    mixed = Predictor(checkpoint, device="cpu").predict_mixture(
        volumes,
        {"tumor_type": "HB"},
        SITES,
        order=[4, 3],
        progress=lambda count, _: done.append(count),
        cancelled=lambda: len(done) == 3,
    )
    assert np.flatnonzero(mixed.kept.computed).tolist() == [4]


def test_a_tiled_network_stays_close_to_the_untiled_one(make_checkpoint: Callable, make_volume: Callable, tumor: Any) -> None:
    volume = make_volume((70, 90, 2))
    whole, tiled = (
        Predictor(load_checkpoint(make_checkpoint(tumor, seed=1, preprocessing={"tile": tile})), device="cpu")
        .predict([volume], {"tumor_type": "ependymoma"})
        .probabilities()
        for tile in (None, 48)
    )
    assert whole.std() > 0.05
    # align_corners spreads the samples of the level below a little otherwise over a tile than over a slice.
    assert 0 < np.abs(whole - tiled).max() < 0.03


@pytest.mark.parametrize("tile", [None, 8])
def test_every_batch_is_full_and_tiles_go_one_by_one(
    make_checkpoint: Callable, make_volume: Callable, tile: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(make_checkpoint(preprocessing={"tile": tile}))
    batches: list[int] = []
    front = SpecialisedUNet.front

    def watched(self: SpecialisedUNet, images: torch.Tensor, *window: Any, **position: Any) -> Any:
        batches.append(len(images))
        return front(self, images, *window, **position)

    monkeypatch.setattr(SpecialisedUNet, "front", watched)
    plan = Plan(device="cpu", batch=4, tile=tile)
    prediction = Predictor(checkpoint, plan=plan).predict([make_volume((12, 8, 6))], {})
    assert prediction.kept.complete
    assert batches == ([4, 4] if tile is None else [1] * 12)  # two tiles to a slice


def test_weights_that_give_no_numbers_are_told_and_no_mask(make_checkpoint: Callable, make_volume: Callable) -> None:
    checkpoint = load_checkpoint(make_checkpoint())
    checkpoint.network.state_dict()["bottom.norm1.running_var"].fill_(-1)  # finite, and no variance
    with pytest.raises(InputError, match=r"tiny\.safetensors has weights that give no numbers"):
        Predictor(checkpoint, device="cpu").predict([make_volume((8, 8, 1))], {})


def test_values_that_are_not_numbers_are_told_and_no_mask(make_checkpoint: Callable, make_volume: Callable) -> None:
    checkpoint = load_checkpoint(make_checkpoint())
    checkpoint.network.state_dict()["head.bias"].fill_(torch.nan)  # which loading would have refused
    with pytest.raises(InputError, match=r"tiny\.safetensors gives values that are not numbers for this image"):
        Predictor(checkpoint, device="cpu").predict([make_volume((8, 8, 1))], {})


def test_a_device_that_is_not_here_is_told(checkpoint: Checkpoint) -> None:
    missing = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(InputError, match=rf"The device {missing} is not available here; choose one of: auto, .*cpu\."):
        Predictor(checkpoint, device=missing)
    with pytest.raises(InputError, match=f"The plan was made for the device {missing}"):
        Predictor(checkpoint, plan=Plan(device=missing))
    with pytest.raises(InputError, match="The plan was made for the engine 'eager-0'"):
        Predictor(checkpoint, plan=Plan(device="cpu", engine="eager-0"))


OUT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from napari_film import Predictor, Volume, load_checkpoint
from napari_film.inference import plan as plans
from napari_film.inference.engine import Engine
from napari_film.inference.request import Failure, Finished, Opened, Replanned, Request, SliceResult

torch.set_num_threads(1)
path = Path(sys.argv[1])
checkpoint = load_checkpoint(path)
volume = Volume(np.random.default_rng(0).normal(size=(512, 512, 20)).astype(np.float32), np.eye(4))
large = plans.Plan(device="cpu", batch=16)

def limited(megabytes):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + megabytes * 2**20, resource.RLIM_INFINITY))

def unlimited():
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

warm = Predictor(checkpoint, plan=plans.Plan(device="cpu")).predict([volume], {}, order=[0])
limited(450)
predictor = Predictor(checkpoint, plan=large)
prediction = predictor.predict([volume], {})
unlimited()
assert prediction.plan.batch < 16, prediction.plan
assert len(prediction.notices) == {8: 1, 4: 2, 2: 3, 1: 4}[prediction.plan.batch], prediction.notices
assert "ran out of memory; going on with 8 slices at a time instead of 16" in prediction.notices[0]
assert prediction.kept.complete
plain = Predictor(checkpoint, plan=prediction.plan).predict([volume], {})
assert plain.notices == ()
assert plain.kept.q.tobytes() == prediction.kept.q.tobytes()

# The engine: its own plan for a CPU is few slices at a time, so a larger one is put into its table.
plans._BATCHES["cpu"] = 16
plans._CPU_BATCH = 2**30
import threading
came = threading.Event()
engine = Engine(came.set)
events = []
def until(kind):
    while not any(isinstance(event, kind) for event in events):
        assert came.wait(60)
        came.clear()
        events.extend(engine.poll())
engine.open(1, [volume], path, checkpoint.header.preprocessing, device="cpu")
until(Opened)
limited(450)
engine.submit([Request(1, ())], range(20), done={Request(1, ()): [3]})
until((Finished, Failure))
unlimited()
assert engine.close()
kinds = [type(event).__name__ for event in events]
assert kinds[0] == "Opened" and kinds[-1] == "Finished", kinds
last = max(i for i, kind in enumerate(kinds) if kind == "Replanned")
after = events[last + 1 : -1]
final = events[last].plan
assert final.batch < 16
assert sorted(event.index for event in after) == list(range(20)), kinds
assert all(event.key.plan == final.key for event in after)
assert not {event.key for event in events[:last] if isinstance(event, SliceResult)} & {event.key for event in after}
expected = Predictor(checkpoint, plan=final).predict([volume], {})
assert all(np.array_equal(event.q, expected.kept.q[:, event.index]) for event in after)

# With no room for a single slice there is a sentence, and no mask.
predictor = Predictor(checkpoint, plan=plans.Plan(device="cpu"))
prepared = predictor.prepare([Volume(np.zeros((2048, 2048, 1), np.int16), np.eye(4))])
limited(40)
try:
    predictor.predict(prepared, {})
except Exception as error:
    unlimited()
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit on memory is Linux's")
def test_running_out_of_memory_is_told_and_gives_the_same_as_the_smaller_plan(make_checkpoint: Callable, run_python: Callable) -> None:
    path = make_checkpoint(depth=1, width=8)
    ran = run_python(OUT_OF_MEMORY, path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("InputError There is not enough memory for a single slice; ")

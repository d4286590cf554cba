"""What is unusual is said, each in a line; what is usual is not."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_film.sample_data
from napari_film import nifti
from napari_film.bundled import bundled_checkpoints
from napari_film.fields import CategoricalField, MetadataError
from napari_film.header import Header, read_header
from napari_film.plausibility import unusual
from napari_film.preprocessing import Normalisation
from napari_film.volume import Reorder, Volume

PHANTOMS = Path(napari_film.sample_data.__file__).parent / "volumes"
SUBJECTS = sorted(PHANTOMS.glob("*/sub-*"))
HU = Normalisation(method="window", window=(-100, 250))
ORDERS = [(axes, flips) for axes in itertools.permutations(range(3)) for flips in itertools.product((False, True), repeat=3)]


def of(low: float, median: float, high: float) -> dict[str, float]:
    return {"low": low, "median": median, "high": high}


@pytest.fixture(scope="module")
def header(make_header: Callable, site: CategoricalField, age: Any) -> Callable[..., Header]:
    """Give a maker of headers: trained on 1 mm, 30 x 40 x 50 voxels, 1 to 1000 in each channel; sagittal slices."""

    def make(*, channels: int = 1, normalisation: Normalisation | None = None, intensity: Any = None, **more: Any) -> Header:
        fingerprint = {
            "subjects": 60,
            "spacing": [of(1, 1, 1)] * 3,
            "size": [of(30, 30, 30), of(40, 40, 40), of(50, 50, 50)],
            "intensity": [intensity or of(1, 300, 1000)] * channels,
            "metadata": {"site": {"north": 56, "south": 4}},
            **more.pop("fingerprint", {}),
        }
        preprocessing = {"slice_axis": "sagittal", "normalisation": (normalisation or Normalisation(),) * channels, **more}
        return make_header(site, age, channels=channels, preprocessing=preprocessing, header={"fingerprint": fingerprint})

    return make


def volume(spacing: Sequence[float] = (1, 1, 1), shape: Sequence[int] = (30, 40, 50), low: float = 1, high: float = 1000) -> Volume:
    values = np.linspace(low, high, int(np.prod(shape))).reshape(shape)
    return Volume(np.random.default_rng(0).permuted(values), np.diag([*spacing, 1.0]))


USUAL = {"site": "north", "age": 40.0}


@pytest.mark.parametrize("folder", SUBJECTS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_subjects_of_the_phantoms_are_as_their_models_training(folder: Path) -> None:
    header = read_header(bundled_checkpoints()[folder.parent.name])
    found = [next(folder.rglob(f"*_{channel.suffix}.nii.gz")) for channel in header.channels]
    for field in header.metadata_schema:
        assert isinstance(field, CategoricalField)
        for value in field.choices:
            assert unusual([nifti.read(path) for path in found], header, {field.name: value}) == ()


def test_a_usual_image_has_no_line_and_so_has_a_model_without_a_fingerprint(header: Callable, make_header: Callable, site: Any) -> None:
    assert unusual([volume()], header(), USUAL) == ()
    assert unusual([volume(spacing=(9, 9, 9), low=-1e6)], make_header(site), {"site": "north"}) == ()
    assert unusual([], header(), USUAL) == ()


def test_axes_of_acquired_slices_are_called_columns_rows_and_slices(header: Callable) -> None:
    known = header(slice_axis="acquired")
    stored = volume((1, 1, 3), (30, 40, 50))
    lines = (
        "Voxels are 3 times as thick (slices) as any in training: 3 mm, at most 1 mm there.",
        "The field of view along slices is 150 mm, 3 times the largest in training (about 50 mm).",
    )
    assert unusual([stored], known, USUAL) == lines
    oblique = np.array([[0.6, 0, 0.8, 0], [0, 1, 0, 0], [-0.8, 0, 0.6, 0], [0, 0, 0, 1]]) @ stored.affine[:, [0, 2, 1, 3]]
    assert unusual([Volume(stored.data.transpose(0, 2, 1), oblique)], known, USUAL) == lines  # wherever the file has them
    assert unusual([volume((1.2, 1.2, 1.2))], known, USUAL) == ()


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (volume((3, 1, 1), (10, 40, 50)), "Voxels are 3 times as thick (R) as any in training: 3 mm, at most 1 mm there."),
        (volume((1, 1, 2), (30, 40, 25)), "Voxels are 2 times as large (S) as any in training: 2 mm, at most 1 mm there."),
        (volume((1, 2, 2), (30, 20, 25)), "Voxels are 2 times as large (A, S) as any in training: 2 mm, at most 1 mm there."),
        (volume((1, 0.5, 1), (30, 80, 50)), "Voxels are 2 times finer (A) than any in training: 0.5 mm, at least 1 mm there."),
        (volume(shape=(30, 16, 50)), "The field of view along A is 16 mm, 0.4 of the smallest in training (about 40 mm)."),
        (volume(shape=(30, 40, 150)), "The field of view along S is 150 mm, 3 times the largest in training (about 50 mm)."),
        (
            volume(low=-900, high=100),
            "channel 0 intensities: -895 to 95 (median -400), in training 1 to 1000 (median 300): "
            "has values below zero, which no training image had.",
        ),
        (
            volume(high=4000),
            "channel 0 intensities: 21 to 3980 (median 2000), in training 1 to 1000 (median 300): far beyond any training image.",
        ),
        (
            volume(low=7, high=7),
            "channel 0 intensities: 7 to 7 (median 7), in training 1 to 1000 (median 300): nearly all voxels have one value.",
        ),
    ],
)
def test_each_fault_has_its_line(header: Callable, fault: Volume, line: str) -> None:
    assert unusual([fault], header(), USUAL) == (line,)


def test_a_little_beside_the_training_is_usual(header: Callable) -> None:
    for usual in (volume((1.2, 0.85, 1.0), (30, 40, 50)), volume(shape=(21, 58, 50)), volume(low=-50, high=1900), volume(high=12)):
        assert unusual([usual], header(), USUAL) == ()


def test_the_number_of_voxels_is_told_where_spacing_and_field_of_view_are_usual(header: Callable) -> None:
    wide = {"spacing": [of(1, 2, 3)] + [of(1, 1, 1)] * 2}
    assert unusual([volume((3, 1, 1), (16, 40, 50))], header(fingerprint=wide), USUAL) == (
        "There are 16 voxels along R; in training at least 30.",
    )
    assert unusual([volume((1, 1, 1), (60, 40, 50))], header(fingerprint=wide), USUAL) == (
        "There are 60 voxels along R; in training at most 30.",
    )


def test_spacing_that_is_resampled_is_told_with_what_the_network_gets(header: Callable) -> None:
    (line,) = unusual([volume((3, 1, 1), (10, 40, 50))], header(spacing=(1.5, None, None)), USUAL)
    assert line == "Voxels are 3 times as thick (R) as any in training: 3 mm, at most 1 mm there (resampled to 1.5 mm for the network)."


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 1324, "looks shifted by about 1024 HU, as CT stored without its rescale intercept is, or is no CT"),
        (-1524, -200, "looks shifted by about -493 HU"),
        (0, 1, "hardly any contrast for a network that looks at -100 to 250 HU"),
        (-1000, -600, "all of it lies below -100 HU, where this network sees no differences"),
        (-200, 3000, "most of it lies above 250 HU, where this network sees no differences"),
    ],
)
def test_windowed_intensities_are_absolute(header: Callable, low: float, high: float, words: str) -> None:
    ct = header(normalisation=HU, intensity=of(-1024, -300, 300))
    ct = ct.model_copy(update={"channels": (ct.channels[0].model_copy(update={"suffix": "ct"}),)})
    (line,) = unusual([volume(low=low, high=high)], ct, USUAL)
    assert line.endswith(f"in training -1024 to 300 (median -300): {words}.")
    for fine in (volume(low=-1024, high=300), volume(low=-1000, high=1500), volume(low=-3024, high=300), volume(low=-110, high=200)):
        assert unusual([replace(fine, data=np.sort(fine.data, axis=None).reshape(fine.data.shape))], ct, USUAL) == ()


def test_every_channel_is_looked_at_and_voxels_that_are_no_numbers_are_not(header: Callable) -> None:
    odd = volume()
    odd.data[::2] = np.nan
    odd.data[1] = np.inf
    (line,) = unusual([odd, volume(low=5000, high=9000)], header(channels=2), USUAL)
    assert line.startswith("channel 1 intensities: 5020 to 8980")
    assert unusual([replace(odd, data=np.full(odd.data.shape, np.nan)), volume()], header(channels=2), USUAL) == ()


def test_a_fourth_axis_counts_as_preprocessing_says(header: Callable) -> None:
    fine, odd = volume().data, volume(low=5000, high=9000).data
    both = replace(volume(), data=np.stack([fine, odd], axis=-1))
    assert unusual([both], header(), USUAL) == ()
    assert len(unusual([both], header(frame=1), USUAL)) == 1
    assert unusual([both], header(frame=2), USUAL) == ()  # what `prepare` refuses
    (line,) = unusual([both], header(channels=2, fourth_axis="channels"), USUAL)
    assert line.startswith("channel 1")


def test_metadata_that_few_or_none_had(header: Callable, make_header: Callable, tumor: CategoricalField) -> None:
    assert unusual([volume()], header(), {"site": "South", "age": 99.0}) == ("Few training subjects had site south: 4 of 60.",)
    assert unusual([volume()], header(), {"site": "unknown", "age": "unknown"} | {"age": 3.0}) == ()
    counted = header().fingerprint.model_copy(update={"metadata": {"tumor_type": {"astrocytoma": 300, "ependymoma": 29}}, "subjects": 329})
    told = make_header(tumor, header={"fingerprint": counted})
    said = {value: unusual([volume()], told, {"tumor_type": value}) for value in tumor.values}
    assert said == {
        "astrocytoma": (),
        "ependymoma": ("Few training subjects had tumor type ependymoma: 29 of 329.",),
        "hemangioblastoma": ("No training subject had tumor type hemangioblastoma.",),
    }
    with pytest.raises(MetadataError, match="site is 'east'"):
        unusual([volume()], header(), {"site": "east", "age": 1.0})


@settings(max_examples=30, deadline=None, derandomize=True)
@given(order=st.sampled_from(ORDERS), angles=st.tuples(*[st.floats(-20, 20)] * 3))
def test_storage_order_and_tilt_change_nothing(header: Callable, make_affine: Callable, order: Any, angles: Any) -> None:
    tilted = Volume(volume(shape=(10, 40, 20)).data, make_affine(spacing=(3, 1, 1), angles=angles, origin=(-31, 12, 88)))
    reorder = Reorder(*order)
    stored = Volume(reorder.apply(tilted.data), reorder.grid(tilted.grid).affine)
    assert unusual([stored], header(), USUAL) == (
        "Voxels are 3 times as thick (R) as any in training: 3 mm, at most 1 mm there.",
        "The field of view along S is 20 mm, 0.4 of the smallest in training (about 50 mm).",
    )


def test_a_large_volume_is_judged_on_a_part_of_it(header: Callable) -> None:
    class Counted(np.ndarray[Any, Any]):
        """Counts the voxels that are taken out of it by steps."""

        taken = 0

        def __getitem__(self, index: Any) -> Any:
            part = super().__getitem__(index)
            if any(axis.step not in (None, 1) for axis in index):
                Counted.taken += part.size
            return part

    data = np.broadcast_to(np.linspace(5000, 9000, 300, dtype=np.float32), (400, 500, 300)).view(Counted)
    (line,) = unusual(
        [Volume(data, np.diag([30 / 400, 40 / 500, 50 / 300, 1]))], header(fingerprint={"spacing": [of(0.01, 1, 1)] * 3}), USUAL
    )[-1:]
    assert line.startswith("channel 0 intensities: 5027 to 8973")
    assert 100_000 < Counted.taken <= 1 << 18

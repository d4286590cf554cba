"""Prepared cases on disk: made once, never used by mistake, safe with several processes, and not held in memory."""

import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_film import nifti
from napari_film.errors import InputError
from napari_film.training.cache import Cache
from napari_film.training.cases.case import Case, data_hash
from napari_film.training.cases.reading import read_cases
from napari_film.training.prepared import open_case
from napari_film.training.recipe import Recipe, parse_recipe

from .conftest import CONTEXT_RECIPE, write_bids


def entries(cache: Cache) -> dict[str, dict[str, bytes]]:
    """Content of each entry's files."""
    return {entry.name: {file.name: file.read_bytes() for file in entry.iterdir()} for entry in (cache.folder / "cases").iterdir()}


def only_entry(cache: Cache) -> Path:
    (entry,) = (cache.folder / "cases").iterdir()
    return entry


@pytest.fixture
def case(bids: Path, context_recipe: Recipe) -> Case:
    return read_cases(context_recipe.data.all_sources(), context_recipe)[0]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(nifti, "read", refuse)


def test_what_is_kept_is_what_inference_prepares(cache: Cache, case: Case, context_recipe: Recipe) -> None:
    kept = cache.prepared(case, context_recipe)
    fresh = open_case(case, context_recipe)
    assert kept.shape == (fresh.network_shape[0], 2, *fresh.padded_shape) == kept.images.shape
    np.testing.assert_array_equal(kept.images, np.stack([fresh.image(k) for k in range(kept.shape[0])]).astype(np.float16))
    labels = fresh.labels(nifti.read(case.mask))
    np.testing.assert_array_equal(kept.labels[:, : labels.shape[1], : labels.shape[2]], labels)
    assert kept.labels.sum() == labels.sum() > 0
    assert kept.size == kept.images.nbytes + kept.labels.nbytes


def test_a_second_run_makes_nothing_and_reads_no_image(
    cache: Cache, bids: Path, context_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = read_cases(context_recipe.data.all_sources(), context_recipe)
    first = [cache.prepared(one, context_recipe) for one in cases]
    no_reading(monkeypatch)
    second = [Cache(cache.folder).prepared(one, context_recipe) for one in cases]
    for a, b in zip(first, second, strict=True):
        assert a.folder == b.folder
        assert a.measures == b.measures
        assert {label: one.tolist() for label, one in a.shown.items()} == {label: one.tolist() for label, one in b.shown.items()}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('slice_axis = "sagittal"', 'slice_axis = "axial"'),
        ('slice_axis = "sagittal"', 'slice_axis = "sagittal"\nspacing = [0, 1.5, 1.5]'),
        ('suffix = "T2w"', 'suffix = "T2w"\nscope = "volume"'),
        ("depth = 1", "depth = 5"),  # slices are padded to multiples of 32
    ],
)
def test_other_settings_are_another_entry(cache: Cache, bids: Path, context_recipe: Recipe, case: Case, old: str, new: str) -> None:
    assert old in CONTEXT_RECIPE
    changed = parse_recipe(
        CONTEXT_RECIPE.replace('"data"', f'"{bids}"').replace(old, new).replace("[16, 16]", "[32, 32]"), name="changed.toml"
    )
    first, other = cache.prepared(case, context_recipe), cache.prepared(case, changed)
    assert first.folder != other.folder
    fresh = open_case(case, changed)
    np.testing.assert_array_equal(other.images[1], fresh.image(1).astype(np.float16))
    assert cache.prepared(case, context_recipe).folder == first.folder


def test_settings_that_do_not_touch_the_slices_share_an_entry(cache: Cache, bids: Path, context_recipe: Recipe, case: Case) -> None:
    text = CONTEXT_RECIPE.replace('"data"', f'"{bids}"').replace("epochs = 2", "epochs = 7").replace("labels = [1]", "labels = [1, 2]")
    changed = parse_recipe(text, name="changed.toml")
    assert cache.prepared(case, context_recipe).folder == cache.prepared(case, changed).folder


def test_an_entry_put_in_the_place_of_another_is_not_used(cache: Cache, bids: Path, context_recipe: Recipe) -> None:
    one, two = (cache.prepared(case, context_recipe) for case in read_cases(context_recipe.data.all_sources(), context_recipe)[:2])
    expected = one.images.copy()
    assert not np.array_equal(expected, two.images)
    for file in one.folder.iterdir():
        file.unlink()
    for file in two.folder.iterdir():
        file.rename(one.folder / file.name)
    np.testing.assert_array_equal(cache.prepared(one.case, context_recipe).images, expected)


@pytest.mark.parametrize("which", ["image", "mask"])
@pytest.mark.parametrize("same_time", [False, True])
def test_a_file_with_other_content_is_prepared_anew(tmp_path: Path, which: str, same_time: bool) -> None:
    folder = write_bids(tmp_path / "data", subjects=3)
    recipe = parse_recipe(CONTEXT_RECIPE.replace('"data"', f'"{folder}"'), name="tiny.toml")
    case, other, _ = read_cases(recipe.data.all_sources(), recipe)
    cache = Cache(tmp_path / "cache")
    before = cache.prepared(case, recipe)
    images, labels = before.images.copy(), before.labels.copy()
    target, source = (case.mask, other.mask) if which == "mask" else (case.images[1], other.images[1])
    times = target.stat()
    target.write_bytes(source.read_bytes())
    if same_time:  # just written: nobody relies on the clock for that
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = cache.prepared(case, recipe)
    assert after.folder != before.folder
    assert np.array_equal(after.images, images) == (which == "mask")
    assert np.array_equal(after.labels, labels) == (which == "image")


def test_a_settled_file_is_hashed_once_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "scan.nii"
    file.write_bytes(b"first")
    os.utime(file, (1e9, 1e9))
    cache = Cache(tmp_path / "cache")
    first = cache.content_hash(file)
    opened = []
    actual = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *rest, **words: (opened.append(self), actual(self, *rest, **words))[1])
    assert Cache(tmp_path / "cache").content_hash(file) == first
    assert file not in opened
    file.write_bytes(b"other")  # as long as before
    assert Cache(tmp_path / "cache").content_hash(file) != first
    assert file in opened


def test_the_hash_of_the_data_is_the_same_by_way_of_the_cache(cache: Cache, bids: Path, context_recipe: Recipe) -> None:
    cases = read_cases(context_recipe.data.all_sources(), context_recipe)
    assert data_hash(cases, cache.content_hash) == data_hash(cases)


def test_no_name_of_a_patient_stands_in_the_cache(cache: Cache, case: Case, context_recipe: Recipe) -> None:
    for path in (*case.images, case.mask):
        os.utime(path, (1e9, 1e9))
    cache.prepared(case, context_recipe)
    assert list((cache.folder / "files").iterdir())
    for path in cache.folder.rglob("*"):
        assert case.subject not in path.name
        if path.suffix == ".json":
            assert case.subject not in path.read_text(encoding="utf-8")


def shorten(entry: Path) -> None:
    file = entry / "images.npy"
    os.truncate(file, file.stat().st_size // 2)


def overwrite(entry: Path) -> None:
    file = entry / "labels.npy"
    file.write_bytes(bytes(file.stat().st_size))
    os.utime(file, (1e9, 1e9))


def take_away(entry: Path) -> None:
    (entry / "images.npy").unlink()


def scribble(entry: Path) -> None:
    (entry / "entry.json").write_text("{", encoding="utf-8")


def forget(entry: Path) -> None:
    (entry / "entry.json").unlink()


def soft(tmp_path: Path) -> tuple[Case, Recipe, Recipe]:
    """Give a case whose mask holds thirds of voxels, a recipe that does not allow that and one that does."""
    folder = write_bids(tmp_path / "data", subjects=3)
    text = CONTEXT_RECIPE.replace('"data"', f'"{folder}"')
    hard, allowed = (parse_recipe(one, name="tiny.toml") for one in (text, text.replace("[data]", "[data]\nsoft_masks = true")))
    case = read_cases(hard.data.all_sources(), hard)[0]
    mask = nifti.read(case.mask)
    nifti.write(case.mask, mask.data.astype(np.float32) / 3, like=mask, dtype=np.float32)
    return case, hard, allowed


def test_a_soft_mask_is_refused_unless_the_recipe_allows_it(cache: Cache, tmp_path: Path) -> None:
    case, hard, allowed = soft(tmp_path)
    thirds = np.asarray(nifti.read(case.mask).data)
    with pytest.raises(InputError, match=r"^sub-01_.*_dseg\.nii\.gz holds fractional values such as 0\.\d+, .* data\.soft_masks = true"):
        cache.prepared(case, hard)
    kept = cache.prepared(case, allowed)
    assert kept.labels.sum() == (thirds > 0.5).sum() > 0
    assert set(kept.shown) == {1}


@pytest.mark.parametrize("damage", [shorten, overwrite, take_away, scribble, forget])
def test_a_damaged_entry_is_made_anew(cache: Cache, case: Case, context_recipe: Recipe, damage: Callable[[Path], None]) -> None:
    whole = cache.prepared(case, context_recipe)
    images, labels = whole.images.copy(), whole.labels.copy()
    damage(whole.folder)
    mended = cache.prepared(case, context_recipe)
    assert mended.folder == whole.folder == only_entry(cache)
    np.testing.assert_array_equal(mended.images, images)
    np.testing.assert_array_equal(mended.labels, labels)
    assert not list((cache.folder / "unfinished").iterdir())


def test_an_entry_that_goes_away_while_it_is_needed_is_told(cache: Cache, case: Case, context_recipe: Recipe) -> None:
    kept = cache.prepared(case, context_recipe)
    take_away(kept.folder)
    with pytest.raises(InputError, match=r"^The cache's entry of sub-01 went away or was damaged .* start again\.$"):
        _ = kept.images


def test_a_case_goes_to_another_process_as_a_path(cache: Cache, case: Case, context_recipe: Recipe) -> None:
    kept = cache.prepared(case, context_recipe)
    sent = pickle.dumps(kept)
    assert len(sent) < 4000 < kept.size
    np.testing.assert_array_equal(pickle.loads(sent).images, kept.images)


def test_leftovers_of_killed_writers_go_after_a_day(cache: Cache) -> None:
    old, young = (cache.folder / "unfinished" / name for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
        (folder / "images.npy").write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    Cache(cache.folder)
    assert [path.name for path in (cache.folder / "unfinished").iterdir()] == ["young"]


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"^The cache folder .* cannot be written to \(.*\); name another with --cache\.$"):
        Cache(tmp_path / "file" / "below")


def test_an_image_that_is_gone_is_told(cache: Cache, tmp_path: Path) -> None:
    folder = write_bids(tmp_path / "data", subjects=3)
    recipe = parse_recipe(CONTEXT_RECIPE.replace('"data"', f'"{folder}"'), name="tiny.toml")
    case = read_cases(recipe.data.all_sources(), recipe)[0]
    case.images[0].unlink()
    with pytest.raises(InputError, match=r"^sub-01_ce-gadolinium_T1w\.nii\.gz of sub-01 cannot be read \(No such file"):
        cache.prepared(case, recipe)


SCRIPT = """
import sys
from pathlib import Path
from napari_film.training.cache import Cache
from napari_film.training.cases.reading import read_cases
from napari_film.training.recipe import load_recipe

recipe, _ = load_recipe(sys.argv[1])
cache = Cache(Path(sys.argv[2]))
cases = read_cases(recipe.data.all_sources(), recipe)
print("ready", flush=True)
sys.stdin.readline()
{body}
"""


@pytest.fixture
def start(tmp_path: Path, write_recipe: Callable[..., Path]) -> Callable[..., subprocess.Popen[str]]:
    """Give a starter of processes that share ``cache`` and wait for a line before they do what ``body`` says."""

    def start(cache: Cache, body: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT.replace("{body}", textwrap.dedent(body)), str(write_recipe()), str(cache.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def test_processes_that_make_the_same_entries_at_once_agree(
    cache: Cache, tmp_path: Path, bids: Path, context_recipe: Recipe, start: Callable[..., subprocess.Popen[str]]
) -> None:
    made = """
    for case in cases:
        print(cache.prepared(case, recipe).images.sum(), flush=True)
    """
    processes = [start(cache, made) for _ in range(3)]
    for process in processes:
        ready(process)
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert len({out for out, _ in said}) == 1
    alone = Cache(tmp_path / "alone")
    for case in read_cases(context_recipe.data.all_sources(), context_recipe):
        alone.prepared(case, context_recipe)
    expected = entries(alone)
    found = entries(cache)
    assert set(found) == set(expected)
    for name, files in expected.items():
        assert set(found[name]) == {"images.npy", "labels.npy", "entry.json"}
        assert all(found[name][file] == files[file] for file in ("images.npy", "labels.npy"))
    assert not list((cache.folder / "unfinished").iterdir())


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_writer_leaves_no_entry(
    cache: Cache, case: Case, context_recipe: Recipe, start: Callable[..., subprocess.Popen[str]]
) -> None:
    killed = """
    import os, signal
    from napari_film.preprocessing import Prepared
    image = Prepared.image

    def image_then_death(self, k):
        if k == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return image(self, k)

    Prepared.image = image_then_death
    cache.prepared(cases[0], recipe)
    """
    process = start(cache, killed)
    process.communicate("\n")
    assert process.returncode == -signal.SIGKILL
    (left,) = (cache.folder / "unfinished").iterdir()
    assert (left / "images.npy").is_file()
    assert not entries(cache)
    made = cache.prepared(case, context_recipe)
    np.testing.assert_array_equal(made.images[3], open_case(case, context_recipe).image(3).astype(np.float16))


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of resources here")
def test_a_full_disk_is_told_and_nothing_is_left(cache: Cache, start: Callable[..., subprocess.Popen[str]]) -> None:
    full = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        cache.prepared(cases[0], recipe)
    except ValueError as error:
        print(type(error).__name__, error)
    """
    process = start(cache, full)
    said, errors = process.communicate("\n")
    wanted = (
        r"InputError sub-01 could not be put into the cache .* \(File too large\); make room there, or name another folder with --cache\."
    )
    assert re.fullmatch(wanted, said.splitlines()[-1]), errors
    assert not entries(cache)
    assert not list((cache.folder / "unfinished").iterdir())


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="tells its memory elsewhere")
def test_many_volumes_need_no_more_memory_than_few(tmp_path: Path) -> None:
    """Anonymous memory, which page cache is not part of, from ten cases to three hundred: an epoch of draws and a validation of each."""
    script = """
    import sys
    from pathlib import Path
    import numpy as np
    from napari_film import nifti
    from napari_film.training.cache import Cache
    from napari_film.training.cases.case import Case, data_hash
    from napari_film.training.dataset import TrainingSlices, ValidationCases, prepare_cases
    from napari_film.training.recipe import load_recipe
    from napari_film.training.sampling import BalancedSampler, make_pools
    from napari_film.volume import Volume

    recipe, _ = load_recipe(sys.argv[1])
    folder = Path(sys.argv[2])

    def cases(first, last):
        found = []
        for number in range(first, last):
            rng = np.random.default_rng(number)
            image = rng.integers(0, 1000, (6, 192, 192), dtype=np.int16)
            mask = (image > 990).astype(np.uint8)
            paths = [folder / f"{number}-{name}.nii" for name in ("t1", "t2", "mask")]
            for path, data in zip(paths, (image, image[:, ::-1], mask)):
                nifti.write(path, data, like=Volume(data, np.diag([3.0, 1, 1, 1])))
            metadata = {"tumor_type": "ependymoma"}
            found.append(Case(f"sub-{number}", tuple(paths[:2]), paths[2], metadata, ("ependymoma",)))
        return found

    def anonymous():
        status = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in status if line.startswith("RssAnon")).split()[1])

    cache = Cache(folder / "cache")
    prepared = ()
    for many in (10, 300):
        prepared += prepare_cases(cases(len(prepared), many), recipe, cache)
        pools = make_pools([{value: one.shows(recipe, value) for value in one.case.values} for one in prepared])
        slices = TrainingSlices(prepared, recipe)
        total = 0.0
        for sample in BalancedSampler(pools, samples=600, foreground=0.75, seed=0):
            total += float(slices[sample][2].sum())
        validation = ValidationCases(prepared)
        for one in (validation[number] for number in range(len(validation))):
            total += float(one.images[0].sum()) + float(one.truth(recipe, "ependymoma").sum())
        print(many, sum(one.size for one in prepared), anonymous(), flush=True)
    """
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(CONTEXT_RECIPE, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(recipe), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    few, many = (tuple(map(int, line.split())) for line in ended.stdout.splitlines())
    assert many[1] - few[1] > 300e6
    assert many[2] - few[2] < 20e6, ended.stdout

"""CLEVR-Seg: bodies against what is inside of them, pictures against their instance maps, rules, answers, and files."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, stats

from napari_film.errors import InputError
from napari_film.sample_data import write_phantom
from napari_film.sample_data.clevr import bodies, dataset, layout, renderer, scene
from napari_film.sample_data.clevr.layout import Layout, Thing
from napari_film.sample_data.clevr.scene import Scene, draw_scene

SCENES = 700
QUADRANTS = {"upper left": 1, "upper right": 2, "lower left": 4, "lower right": 8}


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(11, index) for index in range(SCENES)]


@pytest.fixture(scope="module")
def objects(scenes: list[Scene]) -> list[list[dict[str, object]]]:
    return [drawn.rows() for drawn in scenes]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom("clevr_seg", tmp_path_factory.mktemp("clevr"), subjects=5, seed=3)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture)


def solid(shape: layout.Shape, *, size: layout.Size = "large", place: tuple[float, float] = (0.0, 0.0), **given: str) -> Thing:
    middle = np.array([*place, layout.half_height(shape, size)])
    return Thing(shape, size, given.get("colour", "red"), given.get("material", "rubber"), middle, 0.4)  # type: ignore[arg-type]


def view(*things: Thing) -> Layout:
    """Things seen from in front, lit from the upper left, from behind the camera and from behind them."""
    camera = layout.Camera.looking_at(np.array([0.0, 0.0, 0.3]), -math.pi / 2, math.radians(32), 17.0, math.radians(26))
    lamps = [([-5.0, -1.0, 6.0], 0.7), ([1.0, -9.0, 5.0], 0.15), ([1.0, 6.0, 7.0], 0.15)]
    return Layout(camera, things, tuple(layout.Lamp(np.array(at), 0.6, strength) for at, strength in lamps))


def inside(thing: Thing, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points (..., 3) lie in the body, by its definition."""
    x, y, z = np.moveaxis(points - thing.centre, -1, 0)
    if thing.shape == "sphere":
        return x**2 + y**2 + z**2 < thing.radius**2
    if thing.shape == "cylinder":
        return (x**2 + y**2 < thing.radius**2) & (abs(z) < thing.radius)
    side = thing.radius * math.sqrt(2)
    along = abs(x * math.cos(thing.angle) + y * math.sin(thing.angle))
    across = abs(y * math.cos(thing.angle) - x * math.sin(thing.angle))
    return (along < side / 2) & (across < side / 2) & (abs(z) < side / 2)


# Bodies


@pytest.mark.parametrize("shape", layout.SHAPES)
def test_a_ray_meets_a_body_where_it_first_comes_inside(shape: layout.Shape) -> None:
    rng = np.random.default_rng(4)
    thing = solid(shape, place=(0.3, -0.2))
    origin = thing.centre + 3 * (toward := rng.normal(size=(400, 3))) / np.linalg.norm(toward, axis=1, keepdims=True)
    way = thing.centre + rng.uniform(-1, 1, (400, 3)) - origin
    met = bodies.distance(thing, origin.T.astype(np.float32), way.T.astype(np.float32))
    steps = np.linspace(0, 2, 4001)
    marched = inside(thing, origin[:, None] + steps[:, None] * way[:, None])
    first = np.where(marched.any(1), steps[marched.argmax(1)], np.inf)
    grazing = marched.sum(1) < 40  # the march may step over a corner
    assert (np.isfinite(met) == np.isfinite(first))[~grazing | ~marched.any(1)].mean() > 0.99
    both = np.isfinite(met) & np.isfinite(first) & ~grazing
    assert both.sum() > 100
    np.testing.assert_allclose(met[both], first[both], atol=2e-3)


@pytest.mark.parametrize("shape", layout.SHAPES)
def test_a_normal_leads_out_of_a_body_and_is_at_right_angles_to_it(shape: layout.Shape) -> None:
    rng = np.random.default_rng(5)
    thing = solid(shape)
    origin = thing.centre + np.array([0.2, -4.0, 3.0]) + rng.normal(0, 1, (300, 3))
    way = thing.centre + rng.uniform(-0.4, 0.4, (300, 3)) - origin
    met = bodies.distance(thing, origin.T.astype(np.float32), way.T.astype(np.float32))
    points = origin + met[:, None] * way
    normals = bodies.normal(thing, points.T.astype(np.float32)).T
    np.testing.assert_allclose((normals**2).sum(1), 1, atol=1e-4)
    assert inside(thing, points - 0.02 * normals).mean() > 0.99
    assert not inside(thing, points + 0.02 * normals).any()
    aside = np.cross(normals, [0.3, 0.5, 0.81])
    assert not inside(thing, points + 0.001 * normals + 0.01 * aside).any()


def test_a_place_of_the_image_and_a_point_of_the_floor_belong_together() -> None:
    camera = draw_scene(1, 0).layout.camera
    for row, column in itertools.product((20.0, 100.0, 181.5), (3.0, 100.0, 150.0)):
        point = camera.on_level(row, column, 0.7)
        assert point[2] == pytest.approx(0.7)
        np.testing.assert_allclose(camera.project(point)[:2], (row, column), atol=1e-6)
    up = camera.project(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
    assert up[0, 0] < up[1, 0], "what is higher stands further up in the image"


# Pictures


def test_the_picture_changes_where_the_instance_map_has_the_object() -> None:
    things = (solid("cube", place=(-1.2, 0.5)), solid("cylinder", place=(0.4, 0.9)), solid("sphere", place=(0.6, -0.9)))
    before = view(*things)
    owner = renderer.instances(before)
    assert set(np.unique(owner)) == {0, 1, 2, 3}
    for number in (1, 2, 3):
        painted = [dataclasses.replace(thing, colour="cyan") if k == number else thing for k, thing in enumerate(things, 1)]
        changed = (renderer.render(before) != renderer.render(view(*painted))).any(-1)
        shown = owner == number
        assert changed[shown].all()
        assert not changed[~ndimage.binary_dilation(shown, np.ones((3, 3)))].any()


def test_what_is_nearer_hides_what_is_behind() -> None:
    behind, before = solid("cube", place=(0.0, 1.2)), solid("cylinder", place=(0.2, -0.4))
    one = renderer.instances(view(behind, before))
    other = renderer.instances(view(before, behind))
    alone = renderer.unoccluded(view(behind, before))
    assert (one == 2).sum() == alone[1], "the one before is whole"
    assert 40 < (one == 1).sum() < 0.8 * alone[0]
    np.testing.assert_array_equal(other, np.array([0, 2, 1])[one])


def test_a_shadow_falls_away_from_the_lamp() -> None:
    thing = solid("cylinder")
    empty, drawn = renderer.render(view()).astype(float).mean(-1), renderer.render(view(thing)).astype(float).mean(-1)
    camera = view().camera

    def darkened(x: float, y: float) -> float:
        row, column, _ = camera.project(np.array([x, y, 0.0]))
        return float(1 - drawn[int(row), int(column)] / empty[int(row), int(column)])

    assert darkened(1.15, 0.23) > 0.15  # straight away from the key lamp
    assert abs(darkened(-1.6, -0.3)) < 0.03
    assert abs(darkened(2.9, 0.6)) < 0.03, "the shadow ends, as the lamp stands high"


def test_metal_shows_its_neighbour_and_rubber_does_not() -> None:
    def differs(material: str) -> int:
        first, second = (
            view(solid("sphere", material=material, place=(-0.8, 0.0)), solid("cube", colour=colour, place=(0.8, -0.3)))
            for colour in ("yellow", "blue")
        )
        mine = renderer.instances(first) == 1
        return int((renderer.render(first) != renderer.render(second)).any(-1)[ndimage.binary_erosion(mine, iterations=2)].sum())

    assert differs("rubber") == 0
    assert differs("metal") > 30


# Rules


def test_scenes_keep_the_rules(scenes: list[Scene], objects: list[list[dict[str, object]]]) -> None:
    counts = [len(drawn.things) for drawn in scenes]
    assert set(counts) == set(range(3, 11))
    assert stats.chisquare(np.bincount(counts)[3:]).pvalue > 1e-3
    assert min(int(thing["visible_pixels"]) for rows in objects for thing in rows) >= 40  # type: ignore[call-overload]
    assert all(set(np.unique(drawn.instances)) == set(range(len(drawn.things) + 1)) for drawn in scenes)


def test_bodies_stand_on_the_floor_and_apart(scenes: list[Scene]) -> None:
    for drawn in scenes[:100]:
        for thing in drawn.things:
            assert inside(thing, thing.centre * [1, 1, 1e-3]), "its lowest part is at the floor"
            assert not inside(thing, thing.centre * [1, 1, -1e-3])
        for one, two in itertools.combinations(drawn.things, 2):
            assert math.dist(one.centre[:2], two.centre[:2]) >= one.radius + two.radius + 0.05 - 1e-9


def test_objects_hide_one_another(scenes: list[Scene], objects: list[list[dict[str, object]]]) -> None:
    """In at least a quarter of the scenes an object lacks more than a tenth of the pixels that it has alone."""
    hidden = [any(int(t["visible_pixels"]) < 0.9 * int(t["unoccluded_pixels"]) for t in rows) for rows in objects]  # type: ignore[call-overload]
    assert np.mean(hidden) > 0.25
    for drawn in scenes[:60]:
        for number, thing in enumerate(drawn.things, 1):
            alone = renderer.instances(Layout(drawn.layout.camera, (thing,), ())) == 1
            seen = drawn.instances == number
            assert not (seen & ~alone).any()
            assert (drawn.instances[alone] > 0).all(), "what is hidden is hidden by an object"


@pytest.mark.parametrize("attribute", ["shape", "size", "colour", "material"])
def test_attributes_are_distributed_alike_in_the_quadrants(attribute: str, objects: list[list[dict[str, object]]]) -> None:
    found = [
        (str(thing[attribute]), float(str(thing["row"])) > 100, float(str(thing["column"])) > 100) for rows in objects for thing in rows
    ]
    values = sorted({value for value, _, _ in found})
    counts = np.array([[sum(f == (v, lower, right) for f in found) for lower in (False, True) for right in (False, True)] for v in values])
    assert counts.sum() > 4000
    assert counts.min() > 50
    assert stats.chi2_contingency(counts).pvalue > 0.01, "placed on the floor and not in the image, sizes would have 0.003"
    assert stats.chisquare(counts.sum(1)).pvalue > 1e-3, "and each value is as frequent as the others"


# Answers


def test_every_quadrant_is_asked_and_answered(scenes: list[Scene]) -> None:
    different = 0
    for drawn in scenes:
        answer = drawn.answer("quadrant")
        centres = ndimage.center_of_mass(drawn.instances > 0, drawn.instances, range(1, len(drawn.things) + 1))
        for bit, (vertical, horizontal) in zip((1, 2, 4, 8), itertools.product((-1, 1), repeat=2), strict=True):
            wanted = np.zeros_like(answer, bool)
            for number, (row, column) in enumerate(centres, 1):
                if vertical * (row + 0.5 - 100) > -10 and horizontal * (column + 0.5 - 100) > -10:
                    wanted |= drawn.instances == number
            assert wanted.any()
            np.testing.assert_array_equal(answer & bit > 0, wanted)
        different += len({(answer & bit > 0).tobytes() for bit in (1, 2, 4, 8)}) > 1
        assert set(np.unique(answer)) <= {0, *dataset.POSSIBLE}
    assert different > 0.98 * len(scenes), "what is asked matters"


@pytest.mark.parametrize(("row", "column", "labels"), [(89, 20, 1), (91, 20, 5), (109, 20, 5), (111, 20, 4), (100, 100, 15), (20, 111, 2)])
def test_a_quadrant_reaches_ten_pixels_over_its_midlines(row: float, column: float, labels: int) -> None:
    assert layout.quadrants(row, column) == labels


@pytest.mark.parametrize("question", ["colour", "shape", "size"])
def test_an_answer_labels_the_objects_by_kind(question: str, scenes: list[Scene]) -> None:
    for drawn in scenes[:50]:
        answer = drawn.answer(question)
        for number, thing in enumerate(drawn.things, 1):
            (label,) = np.unique(answer[drawn.instances == number])
            assert scene.LABELS[question][label - 1] == getattr(thing, question)
        np.testing.assert_array_equal(answer > 0, drawn.instances > 0)


def test_a_place_means_what_is_near_and_never_nothing(scenes: list[Scene]) -> None:
    fallen_back = 0
    for index, drawn in enumerate(scenes[:100]):
        for place in scene.draw_places(11, index):
            row, column = (place.y + 1) * 100, (place.x + 1) * 100
            away = [math.hypot(row - r, column - c) for r, c in drawn.centroids]
            meant = {number for number, distance in enumerate(away, 1) if distance <= 40} or {1 + int(np.argmin(away))}
            fallen_back += min(away) > 40
            answer = drawn.at(place)
            assert answer.any()
            np.testing.assert_array_equal(answer > 0, np.isin(drawn.instances, sorted(meant)))
    assert fallen_back > 0


def test_places_are_spread_evenly_over_the_image() -> None:
    places = np.array([(place.x, place.y) for index in range(300) for place in scene.draw_places(2, index)])
    for axis in range(2):
        assert stats.kstest(places[:, axis], "uniform", (-1, 2)).pvalue > 1e-3


# Files


def test_pictures_and_answers_are_png_of_one_size(written: Path) -> None:
    for index in range(1, 6):
        stem = written / "scenes" / f"scene-{index:05d}"
        assert pixels(stem.with_suffix(".png")).shape == (200, 200, 3)
        answers = ["instances", *dataset.QUESTIONS[:-1], *(f"location-{number}" for number in range(1, 5))]
        for answer in answers:
            found = pixels(stem.with_name(f"{stem.name}_{answer}.png"))
            assert (found.shape, found.dtype) == ((200, 200), np.uint8)
            assert found.any()


def test_tables_lead_to_files_and_say_what_these_hold(written: Path) -> None:
    for question in dataset.QUESTIONS:
        rows = table(written / f"{question}.tsv")
        assert len(rows) == (20 if question == "location" else 5)
        for row in rows:
            assert row["image"] == f"scenes/{row['subject']}.png"
            answer, shown = pixels(written / row["mask"]), pixels(written / "scenes" / f"{row['subject']}_instances.png")
            assert not answer[shown == 0].any()
            if "present" in row:
                present = [scene.LABELS[question][label - 1] for label in np.unique(answer[answer > 0])]
                assert row["present"].split(";") == present
    place = table(written / "location.tsv")[0]
    meant = draw_scene(3, 0).at(scene.Place(float(place["x"]), float(place["y"])))
    np.testing.assert_array_equal(pixels(written / place["mask"]), meant)


def test_no_picture_tells_which_quadrant_is_asked_for(written: Path) -> None:
    """Each picture stands once, all four questions are asked of it, and nothing else about it is said."""
    rows = table(written / "quadrant.tsv")
    assert sorted(row["image"] for row in rows) == sorted(f"scenes/scene-{index:05d}.png" for index in range(1, 6))
    assert set(rows[0]) == {"subject", "image", "mask", "split"}
    labels = {row["value"]: row["labels"].split(";") for row in table(written / "labels.tsv") if row["question"] == "quadrant"}
    assert {name: {int(label) for label in found} for name, found in labels.items()} == {
        name: {label for label in dataset.POSSIBLE if label & bit} for name, bit in QUADRANTS.items()
    }
    for row in rows:
        answer = pixels(written / row["mask"])
        assert all(np.isin(answer, [int(label) for label in found]).any() for found in labels.values())


def test_attributes_are_those_of_the_instance_map(written: Path) -> None:
    rows = table(written / "scene-attributes.tsv")
    assert len({(row["subject"], row["instance"]) for row in rows}) == len(rows)
    for row in rows:
        mine = pixels(written / "scenes" / f"{row['subject']}_instances.png") == int(row["instance"])
        assert mine.sum() == int(row["visible_pixels"]) <= int(row["unoccluded_pixels"])
        np.testing.assert_allclose((float(row["row"]), float(row["column"])), np.argwhere(mine).mean(0) + 0.5, atol=0.006)
        bits = int(pixels(written / "scenes" / f"{row['subject']}_quadrant.png")[mine][0])
        assert row["quadrants"].split(";") == [name for name, bit in QUADRANTS.items() if bits & bit]


def test_same_bytes_from_several_processes_whatever_the_number_of_scenes(written: Path, tmp_path: Path) -> None:
    again = write_phantom("clevr_seg", tmp_path / "again", subjects=7, seed=3, processes=2)

    def digests(folder: Path) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("scenes/*"))}

    more, fewer = digests(again), digests(written)
    assert len(fewer) == 50
    assert {name: more[name] for name in fewer} == fewer
    for name in ("scene-attributes", *dataset.QUESTIONS):
        assert (again / f"{name}.tsv").read_text().startswith((written / f"{name}.tsv").read_text())
    assert len(set(more[f"scene-{index:05d}.png"] for index in range(1, 8))) == 7


def test_another_seed_is_another_picture(written: Path, tmp_path: Path) -> None:
    other = write_phantom("clevr_seg", tmp_path / "other", subjects=1, seed=4)
    assert (other / "scenes/scene-00001.png").read_bytes() != (written / "scenes/scene-00001.png").read_bytes()


def test_it_says_that_it_is_a_phantom(written: Path) -> None:
    described = json.loads((written / "dataset_description.json").read_text())
    assert described["Name"] == "PHANTOM (synthetic): clevr_seg"
    assert described["GeneratedBy"][0]["Parameters"] == {"kind": "clevr_seg", "seed": 3}
    assert (written / "README").read_text().startswith("PHANTOM")


def test_four_thousand_scenes_are_split_as_in_the_paper() -> None:
    parts = [dataset.split(index) for index in range(4000)]
    assert {part: parts.count(part) for part in ("train", "validation", "test")} == {"train": 2880, "validation": 320, "test": 800}
    assert set(parts[:3]) == {"train", "validation", "test"}, "three scenes are enough to try it out"


def test_an_interruption_leaves_no_tables(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        write_phantom("clevr_seg", tmp_path / "new", subjects=3, seed=0, progress=stop)
    assert not list((tmp_path / "new").glob("*.tsv"))


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written \(File too large\); make room, or name another folder"):
            write_phantom("clevr_seg", tmp_path / "new", subjects=1, seed=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("subjects", [0, 10_001])
def test_the_number_of_scenes_has_bounds(tmp_path: Path, subjects: int) -> None:
    with pytest.raises(InputError, match=rf"Got {subjects} subjects; the phantom clevr_seg has 1 to 10000\."):
        write_phantom("clevr_seg", tmp_path / "new", subjects=subjects, seed=0)
    assert not (tmp_path / "new").exists()


def test_a_folder_with_something_in_it_is_refused(written: Path) -> None:
    with pytest.raises(InputError, match=r"already exists and is not empty"):
        write_phantom("clevr_seg", written, subjects=1, seed=0)


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from napari_film.training.cli import main

    with pytest.raises(SystemExit, match=r"^0$"):
        main(["phantom", "clevr_seg", str(tmp_path / "new"), "--subjects", "2", "--jobs", "1"])
    assert "2 subjects are in" in capsys.readouterr().out
    assert len(table(tmp_path / "new" / "quadrant.tsv")) == 2

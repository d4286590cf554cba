"""A header says everything about a model but its weights, and is read without torch."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_film.fields import CategoricalField, ContinuousField
from napari_film.header import CheckpointError, Header, Range, parse_header, read_header


def content_of(header: Header) -> dict[str, Any]:
    return json.loads(header.to_json())


def test_a_header_survives_its_file(make_checkpoint: Callable, make_header: Callable, tumor: Any, site: Any, age: Any) -> None:
    options = {
        "channels": 2,
        "classes": ("core", "oedema"),
        "preprocessing": {"spacing": (1.0, None, 0.5), "fourth_axis": "channels", "tile": 64},
        "header": {
            "licence": "CC0-1.0",
            "thresholds": [{"when": {"tumor_type": "ependymoma"}, "classes": (100, 101)}],
            "fingerprint": {
                "subjects": 3,
                "spacing": [{"low": 1, "median": 1, "high": 2}] * 3,
                "size": [{"low": 10, "median": 20, "high": 30}] * 3,
                "intensity": [{"low": 0, "median": 0.5, "high": 1e6}] * 2,
                "metadata": {"tumor_type": {"ependymoma": 3}},
            },
            "provenance": {"seed": 7, "scores": {"Dice": {"ependymoma": {"ependymoma": 0.9, "astrocytoma": None}}}},
        },
    }
    path = make_checkpoint(tumor, site, age, **options)
    assert read_header(path) == make_header(tumor, site, age, **options)
    assert read_header(str(path)) == read_header(path)


def test_reading_a_header_loads_no_torch(make_checkpoint: Callable, tumor: Any) -> None:
    path = make_checkpoint(tumor)
    code = (
        "import sys; from napari_film import read_header; "
        f"print(read_header({str(path)!r}).name, 'torch' in sys.modules, any('safetensors' in name for name in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["tiny", "False", "False"]


def test_keys_of_a_newer_minor_format_are_ignored_everywhere(make_header: Callable, tumor: Any, age: Any) -> None:
    header = make_header(tumor, age, preprocessing={"spacing": (1.0, 2.0, None)}, header={"thresholds": [{"when": {}, "classes": (9,)}]})
    content = content_of(header)

    def spread(value: Any) -> None:
        """Put a key that nobody knows into every object whose keys are not a person's own."""
        if isinstance(value, dict):
            for key, inner in value.items():
                if key not in {"synonyms", "when", "scores", "versions"}:
                    spread(inner)
            value["of_the_future"] = {"x": 1}
        elif isinstance(value, list):
            for inner in value:
                spread(inner)

    spread(content)
    content["format"] = [1, 99]
    assert parse_header(json.dumps(content), name="m") == header.model_copy(update={"format": (1, 99)})


def test_a_wrong_value_of_a_known_preprocessing_key_is_told(make_header: Callable) -> None:
    content = content_of(make_header())
    content["preprocessing"]["slice_axis"] = "oblique"
    with pytest.raises(CheckpointError, match=r"^m has a header that is not valid \(preprocessing\.slice_axis: .*\); ask .*\.$"):
        parse_header(json.dumps(content), name="m")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ([3, 0], r"m is of checkpoint format 3, and this version of napari-film reads formats 1 and 2; update napari-film\."),
        ([0, 9], r"m is of checkpoint format 0, .* save it again with a current version\."),
        ("1.0", "m has a header that is not valid; ask"),
        ("10", "m has a header that is not valid"),
        ([1], "m has a header that is not valid; ask"),
        ([], "m has a header that is not valid; ask"),
        (None, "m has a header that is not valid; ask"),
        (["one", "two"], "m has a header that is not valid; ask"),
        ([float("inf"), 0], "m has a header that is not valid; ask"),
    ],
)
def test_another_format_is_refused(make_header: Callable, version: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        parse_header(json.dumps(content_of(make_header()) | {"format": version}), name="m")


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "3", '"format"', "{}", '{"format": [1, 0]}', '{"format": [1, 0], "preprocessing": 1}']
)
def test_damaged_json_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(CheckpointError, match=r"^m has a header that is not valid.*\.$"):
        parse_header(text, name="m")


def test_json_nested_without_end_is_told_in_a_sentence() -> None:
    with pytest.raises(CheckpointError, match="m has a header that is not valid"):
        parse_header("[" * 1_000_000, name="m")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": []}, "0 channel names for an architecture that has 1"),
        ({"classes": ["a", "b"]}, "2 class names for an architecture that has 1"),
        ({"metadata_schema": {"fields": []}}, "0 columns of the metadata schema for an architecture that has 3"),
        ({"thresholds": [{"when": {}, "classes": [1, 2]}]}, "a threshold does not have 1 classes"),
        ({"thresholds": [{"when": {}, "classes": [0]}]}, "not between 1 and 255"),
        ({"thresholds": [{"when": {}, "classes": [256]}]}, "not between 1 and 255"),
        ({"thresholds": [{"when": {"tumor_type": "HB"}, "classes": [1]}]}, "which the metadata schema spells otherwise"),
        ({"thresholds": [{"when": {"tumor_type": "glioma"}, "classes": [1]}]}, "one of: astrocytoma"),
        ({"thresholds": [{"when": {"organ": "liver"}, "classes": [1]}]}, "no field 'organ'"),
    ],
)
def test_parts_that_do_not_agree_are_refused(make_header: Callable, tumor: Any, change: dict, message: str) -> None:
    content = content_of(make_header(tumor)) | change
    with pytest.raises(CheckpointError, match=message):
        parse_header(json.dumps(content), name="m")


def test_more_parts_that_do_not_agree_are_refused(make_header: Callable) -> None:
    with pytest.raises(ValueError, match="slices are padded to multiples of 6, not of 4"):
        make_header(preprocessing={"divisor": 6})
    with pytest.raises(ValueError, match="two classes have one name"):
        make_header(classes=("a", "a"))
    with pytest.raises(ValueError, match="1 channel normalisations for an architecture that has 2"):
        make_header(channels=2, preprocessing={"normalisation": ({},)})
    many = CategoricalField(name="structure", role="target", values=tuple(f"s{i}" for i in range(128)))
    with pytest.raises(ValueError, match="128 target values of 2 classes are more than the 254 labels of a mask"):
        make_header(many, classes=("a", "b"))
    with pytest.raises(ValueError, match="finite"):
        Range(low=0, median=float("nan"), high=1)


def test_thresholds_are_those_of_the_entry_that_matches_in_most_fields(make_header: Callable, tumor: Any, site: Any) -> None:
    entries = [
        {"when": {}, "classes": (10, 11)},
        {"when": {"tumor_type": "ependymoma"}, "classes": (20, 21)},
        {"when": {"tumor_type": "ependymoma", "site": "unknown"}, "classes": (30, 31)},
    ]
    header = make_header(tumor, site, classes=("a", "b"), header={"thresholds": entries})
    assert header.thresholds_for({"tumor_type": "astrocytoma", "site": "north"}) == (10, 11)
    assert header.thresholds_for({"tumor_type": "ependymoma", "site": "north"}) == (20, 21)
    assert header.thresholds_for({"tumor_type": "ependymoma", "site": "unknown"}) == (30, 31)
    assert make_header(tumor, site, classes=("a", "b")).thresholds_for({"tumor_type": "ependymoma", "site": "north"}) == (128, 128)


def test_a_missing_file_and_a_folder_are_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^gone\.safetensors does not exist; check the path of the checkpoint\.$"):
        read_header(tmp_path / "gone.safetensors")
    (tmp_path / "models").mkdir()
    with pytest.raises(CheckpointError, match=r"^models cannot be read \(.*\); choose a checkpoint file\.$"):
        read_header(tmp_path / "models")


def test_slices_whose_position_is_told_are_not_resampled(make_header: Callable, tumor: CategoricalField) -> None:
    position = ContinuousField(name="slice_position", minimum=0, maximum=1, per_slice="position")
    for slice_axis, along in (("axial", 2), ("coronal", 1), ("sagittal", 0), ("acquired", 2)):
        for axis in range(3):
            spacing = tuple(1.5 if other == axis else None for other in range(3))
            preprocessing = {"slice_axis": slice_axis, "spacing": spacing}
            make_header(tumor, preprocessing=preprocessing)
            if axis != along:
                make_header(tumor, position, preprocessing=preprocessing)
                continue
            with pytest.raises(ValueError, match="slice_position is per slice, but the slices are resampled along their axis"):
                make_header(tumor, position, preprocessing=preprocessing)

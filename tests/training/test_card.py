"""Whatever a card says stands in the header or in the scores: change these, and it changes."""

import shlex
from importlib.resources import as_file, files
from typing import Any

import pytest
import typer

from napari_film.cli import app
from napari_film.header import Fingerprint, Header, read_header
from napari_film.training.card import model_card

SCORES: dict[str, Any] = {
    "best_epoch": 31,
    "subjects": {"train": ["sub-secret1"], "validation": ["sub-secret2"], "test": ["sub-secret3"]},
    "test": [
        {"subject": f"sub-secret{number}", "true": true, "class": "tumour core", "voxels": voxels, "dice": {}}
        for number, (true, voxels) in enumerate([("astrocytoma", 5), ("astrocytoma", 9), ("ependymoma", 7), ("ependymoma", 0)])
    ],
}


def bundled(name: str) -> Header:
    """Header of a model that comes with the package."""
    with as_file(files("napari_film.sample_data") / "checkpoints" / f"{name}.safetensors") as path:
        return read_header(path)


@pytest.fixture(scope="module")
def header() -> Header:
    return bundled("spinal_tumor")


def section(card: str, title: str) -> str:
    """What stands under a heading."""
    return card.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def changed(header: Header, path: str, value: object) -> Header:
    """The header with one entry, named by a dotted path, replaced."""
    content = header.model_dump(mode="json")
    *steps, last = path.split(".")
    inner: Any = content
    for step in steps:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    inner[int(last) if isinstance(inner, list) else last] = value
    return Header.model_validate(content)


def test_a_card_has_the_sections_that_cards_have(header: Header) -> None:
    card = model_card(header, SCORES)
    titles = [line[3:] for line in card.splitlines() if line.startswith("## ")]
    assert titles == ["Intended use", "How to run it", "Metadata", "Data", "Training", "Scores", "Thresholds", "Limits", "Cite"]
    assert card.startswith("# spinal_tumor\n")
    assert "**Not for clinical use.**" in card


@pytest.mark.parametrize(
    ("path", "value", "told", "place"),
    [
        ("name", "another_name", "# another_name", None),
        ("description", "Cats on photographs.", "Cats on photographs.", None),
        ("licence", "MIT-0", "- Licence: MIT-0", None),
        ("channels.1.name", "STIR", "STIR", None),
        ("channels.1.name", "STIR", "STIR.nii.gz", "How to run it"),
        ("classes", ["cyst"], "to segment cyst", "Intended use"),
        ("preprocessing.slice_axis", "coronal", "on coronal slices", None),
        ("preprocessing.spacing", [None, 0.7, 0.9], "spacing own x 0.7 x 0.9 mm", "Training"),
        ("preprocessing.normalisation.0", {"method": "window", "window": [-50, 60]}, "Gd-e T1w window -50 to 60", "Training"),
        ("metadata_schema.fields.0.description", "What it is", "**tumor_type** (who and how was scanned): What it is", "Metadata"),
        ("fingerprint.metadata.tumor_type.ependymoma", 23, "| ependymoma | 23 |", "Metadata"),
        ("fingerprint.metadata.tumor_type.ependymoma", 2, "- tumor_type ependymoma: fewer than 5 training subjects", "Limits"),
        ("fingerprint.subjects", 71, "The 71 training subjects' images", "Data"),
        ("fingerprint.spacing.0.high", 6.25, "| spacing R, mm | 3.3 | 3.6 | 6.25 |", "Data"),
        ("fingerprint.intensity.1.high", 4321.0, "4321", "Data"),
        ("provenance.data", "ours: 3 training, 1 validation and 1 test cases", "Ours: 3 training, 1 validation", "Data"),
        ("provenance.data_hash", "abc123", "`abc123`", "Data"),
        ("provenance.seed", 77, "- Seed 77", "Training"),
        ("provenance.versions", {"torch": "9.9"}, "- Made with: torch 9.9\n", None),
        (
            "provenance.recipe",
            "[training]\nepochs = 7\nsamples = 9\nloss = 'dice+bce'",
            "cross-entropy, at most 7 epochs of 9 slices",
            "Training",
        ),
        ("provenance.recipe", "[training]\nprior = 'none'", "A control: it was never told any metadata", "Training"),
        ("provenance.recipe", "[training]\nsplit = 'same'", "over the very cases that it was trained on", "Scores"),
        ("provenance.scores.test, tumour core.astrocytoma.unknown", 0.125, "| 0.125 |", "Scores"),
        ("provenance.scores.test, tumour core.astrocytoma.unknown", None, "| 0.372 | - |", "Scores"),
        ("thresholds.0.classes", [64], "| tumor_type astrocytoma | 0.250 |", "Thresholds"),
        ("architecture.width", 24, "depth 3 and width 24, FiLM at 8 of its 8 places", None),
    ],
)
def test_what_the_header_says_stands_in_the_card(header: Header, path: str, value: object, told: str, place: str | None) -> None:
    before, after = (model_card(one, SCORES) for one in (header, changed(header, path, value)))
    assert told not in before
    assert told in (after if place is None else section(after, place))


def test_scores_tell_the_epoch_and_how_many_cases_each_row_is_of(header: Header) -> None:
    card = model_card(header, SCORES)
    assert "- The network is that of epoch 31" in card
    assert "| astrocytoma | 2 | **0.834** | 0.829 |" in card
    assert "| ependymoma | 1 | 0.850 | **0.876** |" in card  # one of its two cases has nothing to segment
    assert "| hemangioblastoma | - | 0.202 |" in card
    without = model_card(header, {})
    assert "epoch" not in section(without, "Training").replace("epochs", "")
    assert "| astrocytoma | **0.834** | 0.829 |" in without


def test_no_subject_and_no_path_is_in_it(header: Header) -> None:
    card = model_card(header, SCORES)
    assert "secret" not in card
    assert not any(word.startswith(("/", "~", "C:\\")) for word in card.split())


def test_the_command_is_one_that_runs(header: Header) -> None:
    (line,) = [line for line in model_card(header, {}, checkpoint="my model.safetensors").splitlines() if line.startswith("napari-film ")]
    words = shlex.split(line)
    assert words[words.index("--model") + 1] == "my model.safetensors"
    options = {option for word in words if (option := word).startswith("--")}
    command = typer.main.get_command(app)
    known = {name for parameter in command.commands["predict"].params for name in parameter.opts}  # type: ignore[attr-defined]
    assert options <= known
    told = dict(word.split("=", 1) for word, before in zip(words[1:], words, strict=False) if before == "--metadata")
    assert header.metadata_schema.resolve(told).values == {"tumor_type": "astrocytoma"}


def test_a_target_field_says_which_structures_there_are() -> None:
    card = model_card(bundled("abdomen"), {})
    assert "- Segments: liver, spleen, kidneys" in card
    assert "to segment liver, spleen or kidneys" in card
    assert "**organ** (what to segment)" in card
    assert "Off the diagonal stands the overlap with another structure's truth" in card
    assert "*unknown*" not in card


def test_a_plain_network_needs_no_paper_and_has_no_metadata(header: Header) -> None:
    content = header.model_dump(mode="json") | {"metadata_schema": {"fields": []}, "thresholds": [], "fingerprint": None, "provenance": {}}
    content["architecture"] |= {"places": ["none"] * len(header.architecture.places), "condition": 0}
    card = model_card(Header.model_validate(content), {})
    for word in ("Lemay", "## Metadata", "## Scores", "## Thresholds", "--metadata", "metadata changes", "The whole recipe"):
        assert word not in card
    assert "no FiLM: it takes no metadata" in card
    assert "Lemay" in model_card(header, {})


def test_names_do_not_break_a_table(header: Header) -> None:
    odd = changed(header, "channels.1.name", "T2|w")
    assert "| intensity, T2\\|w | 3 |" in model_card(odd, {})
    assert isinstance(odd.fingerprint, Fingerprint)


def test_a_model_for_pictures_is_run_on_one_and_cites_its_method() -> None:
    card = model_card(bundled("clevr_seg"), {})
    assert "napari-film predict image.png --model best.safetensors --metadata 'quadrant=upper left' --output mask.png" in card
    assert "INSIDE at 1 of its 6 places" in card
    assert "Steering Spatial Attention" in card
    assert "Lemay" not in card
    assert "Guide Me" not in card
    guided = model_card(changed(bundled("clevr_seg"), "architecture.places.2", "guide"), {})
    assert "the guiding block at 1 of its 6 places" in guided
    assert "Guide Me" in guided
    heart = model_card(bundled("cardiac"), {})
    assert "--metadata 'slice_position=by slice' --output mask.nii.gz" in heart
    assert "spacing 1.8 x 1.8 x own mm (columns, rows, slices)" in heart
    assert "- slice_position is filled in from a slice's place" in section(heart, "Limits")
    assert "slice_position has to be told" not in heart

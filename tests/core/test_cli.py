"""The command line from outside: files in, files out, and one line for what a person gets wrong."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pytest

from napari_film import cli, nifti
from napari_film.checkpoint import load_checkpoint
from napari_film.fields import ContinuousField
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import ENGINE
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.predictor import Predictor

POSITION = ContinuousField(name="slice_position", minimum=2, maximum=4, per_slice="position")
VALUES = ("astrocytoma", "ependymoma", "hemangioblastoma")
COMMAND = (sys.executable, "-c", "from napari_film.cli import main; main()")


class Outcome(NamedTuple):
    """What a person sees."""

    code: int
    out: str
    err: str


class Desk:
    """A folder that names a patient, with an image and a model in it, and the command line in front of it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "Doe^John"
        self.folder.mkdir()
        self.model = self.folder / "tiny.safetensors"
        self.image = self.folder / "t2.nii.gz"
        self.mask = self.folder / "mask.nii.gz"
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def run(self, *words: object) -> Outcome:
        self._monkeypatch.setattr(sys, "argv", ["/opt/bin/napari-film", *map(str, words)])
        with pytest.raises(SystemExit, match=r"^\d+$") as end:
            cli.main()
        return Outcome(int(end.value.code), *self._capsys.readouterr())

    def words(self, *words: object, value: str | None = "ependymoma", output: Path | None = None) -> list[str]:
        metadata = [] if value is None else ["--metadata", f"tumor_type={value}"]
        return [*map(str, ("predict", self.image, "--model", self.model, "--output", output or self.mask, *metadata, *words))]

    def predict(self, *words: object, value: str | None = "ependymoma", output: Path | None = None) -> Outcome:
        return self.run(*self.words("--device", "cpu", *words, value=value, output=output))

    def sidecar(self, name: str = "mask.json") -> dict[str, Any]:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def instead(self, name: str) -> list[str]:
        """Words of `predict` with another file for the image."""
        return [str(self.folder / name) if word == str(self.image) else word for word in self.words()]

    def files(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file()}


@pytest.fixture
def desk(
    tmp_path: Path,
    make_checkpoint: Callable,
    make_volume: Callable,
    make_affine: Callable,
    tumor: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    desk = Desk(tmp_path, capsys, monkeypatch)
    thresholds = [{"when": {"tumor_type": "astrocytoma"}, "classes": (100,)}]
    desk.model.write_bytes(make_checkpoint(tumor, seed=1, header={"thresholds": thresholds, "licence": "CC0-1.0"}).read_bytes())
    volume = make_volume((14, 10, 5), make_affine((1, 2, 0), (True, False, True), spacing=(0.9, 1.1, 3.0), angles=(4, 5, 6)))
    nifti.write(desk.image, volume.data, volume)
    return desk


@pytest.fixture
def context_desk(desk: Desk, make_checkpoint: Callable, tumor: Any, site: Any) -> Desk:
    """Give the desk with a model that has a context field too, of which thresholds depend."""
    thresholds = [{"when": {"site": "north"}, "classes": (100,)}, {"when": {"site": "south"}, "classes": (151,)}]
    desk.model.write_bytes(make_checkpoint(tumor, site, seed=1, header={"thresholds": thresholds}).read_bytes())
    return desk


def array(path: Path) -> np.ndarray:
    return np.asanyarray(nibabel.load(path).dataobj)


def test_a_mask_and_its_sidecar(desk: Desk) -> None:
    outcome = desk.predict(value="HB")
    assert outcome.code == 0, outcome.err
    image, written = nibabel.load(desk.image), nibabel.load(desk.mask)
    np.testing.assert_array_equal(written.affine, image.affine)
    expected = Predictor(load_checkpoint(desk.model), device="cpu").predict([nifti.read(desk.image)], {"tumor_type": "HB"})
    np.testing.assert_array_equal(array(desk.mask), expected.mask())
    assert 0 < expected.mask().mean() < 1
    assert nifti.label_names(desk.mask) == {1: "hemangioblastoma"}
    content = desk.sidecar()
    assert content["Metadata"] == {"tumor_type": "hemangioblastoma"}
    assert content["Sources"] == ["t2.nii.gz"]
    volume = content["VolumesMl"]["hemangioblastoma"]
    assert volume == pytest.approx(expected.mask().sum() * 0.9 * 1.1 * 3 / 1000, abs=1e-3)
    assert outcome.out == f"mask.nii.gz: hemangioblastoma {volume:.2f} ml\n"
    assert outcome.err == ""
    assert set(desk.files()) == {"mask.json", "mask.nii.gz", "t2.nii.gz", "tiny.safetensors"}


@pytest.mark.parametrize("joined", [False, True])
def test_no_folder_is_named_in_the_sidecar(desk: Desk, joined: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    words = desk.words("--probabilities", desk.folder / "p.nii.gz", "--device", "cpu", "--threshold", "0.25")
    if joined:  # --option=value, and a path that is not spelled as it is stored
        words = [words[0], "--model=" + str(desk.folder.parent) + "//Doe^John/./tiny.safetensors", "--metadata=tumor_type=ependymoma"]
        words += [
            f"--output={desk.mask}",
            f"--probabilities={desk.folder}/p.nii.gz",
            "--device=cpu",
            "--threshold=0.25",
            "--",
            str(desk.image),
        ]
    assert desk.run(*words).code == 0
    text = (desk.folder / "mask.json").read_text(encoding="utf-8")
    for part in desk.mask.parent.parts[1:]:
        assert part not in text
    assert "/" not in text.replace(desk.sidecar()["GeneratedBy"][0]["CodeURL"], "")
    assert desk.sidecar()["Command"] == (
        "napari-film predict t2.nii.gz --model tiny.safetensors --output mask.nii.gz --metadata tumor_type=ependymoma "
        "--probabilities p.nii.gz --threshold 0.25 --device cpu"
    )


def test_a_recorded_plan_replays_to_the_byte(desk: Desk) -> None:
    assert desk.predict("--precision", "bfloat16", "--probabilities", desk.folder / "p.nii.gz").code == 0
    again = desk.folder / "again.nii.gz"
    replay = desk.words("--plan", desk.folder / "mask.json", "--probabilities", desk.folder / "p2.nii.gz", output=again)
    assert desk.run(*replay).code == 0
    assert again.read_bytes() == desk.mask.read_bytes()
    assert (desk.folder / "p2.nii.gz").read_bytes() == (desk.folder / "p.nii.gz").read_bytes()
    assert desk.sidecar("again.json")["Plan"] == desk.sidecar()["Plan"]
    assert desk.sidecar()["Plan"]["precision"] == "bfloat16"
    assert desk.sidecar("again.json")["Command"].endswith("--plan mask.json")


def test_probabilities_and_the_threshold_make_the_mask(desk: Desk) -> None:
    probabilities = desk.folder / "p.nii"
    assert desk.predict("--probabilities", probabilities, "--threshold", "0.25").code == 0
    p = array(probabilities)
    assert p.dtype == np.float32
    np.testing.assert_array_equal(p * 256, np.floor(p * 256))
    np.testing.assert_array_equal(array(desk.mask), p >= 0.25)
    assert desk.sidecar()["Thresholds"] == [0.25]
    np.testing.assert_array_equal(nibabel.load(probabilities).affine, nibabel.load(desk.image).affine)
    for value, threshold in (("astrocytoma", 100 / 256), ("ependymoma", 0.5)):  # the checkpoint's own
        assert desk.predict("--probabilities", probabilities, value=value).code == 0
        np.testing.assert_array_equal(array(desk.mask), array(probabilities) >= threshold)
        assert desk.sidecar()["Thresholds"] == [threshold]


def test_all_values_in_one_mask(desk: Desk) -> None:
    probabilities = desk.folder / "p.nii.gz"
    assert desk.predict("--all-values", "--probabilities", probabilities, value=None).code == 0
    p, mask = array(probabilities), array(desk.mask)
    assert p.shape == (*mask.shape, 3)
    passing = np.where(p >= np.array([100 / 256, 0.5, 0.5]), p, 0)
    np.testing.assert_array_equal(mask, np.where(passing.any(axis=-1), 1 + passing.argmax(axis=-1), 0))
    assert set(np.unique(mask)) == {0, 1, 2, 3}
    content = desk.sidecar()
    assert content["Labels"] == {"1": VALUES[0], "2": VALUES[1], "3": VALUES[2]}
    assert list(content["VolumesMl"]) == list(VALUES)
    assert [metadata["tumor_type"] for metadata in content["Metadata"]] == list(VALUES)
    assert nifti.label_names(desk.mask) == dict(enumerate(VALUES, start=1))
    assert "--all-values" in content["Command"]


WEIGHTS = "site: north=35, south=65"


@pytest.mark.parametrize("mode", ["expected", "blended"])
def test_weights_make_an_expected_mask_or_one_of_the_blended_metadata(context_desk: Desk, mode: str) -> None:
    desk, probabilities = context_desk, context_desk.folder / "p.nii"
    outcome = desk.predict("--weights", WEIGHTS, *(["--blend"] if mode == "blended" else []), "--probabilities", probabilities)
    assert outcome.code == 0, outcome.err
    mixture = Mixture(field="site", percent={"north": 35, "south": 65}, mode=mode)
    predictor = Predictor(load_checkpoint(desk.model), device="cpu")
    expected = predictor.predict_mixture([nifti.read(desk.image)], {"tumor_type": "ependymoma"}, mixture)
    np.testing.assert_array_equal(array(probabilities), expected.probabilities()[0])
    np.testing.assert_array_equal(array(desk.mask), array(probabilities) >= 133 / 256)  # 0.35 * 100 + 0.65 * 151 = 133.15
    content = desk.sidecar()
    assert content["Metadata"] == {"tumor_type": "ependymoma"}
    assert content["MetadataOrigin"] == {"tumor_type": "command line", "site": "command line"}
    assert content["Mixture"]["Mode"] == mode
    assert content["Thresholds"] == [133 / 256]
    assert f"--weights '{WEIGHTS}'" in content["Command"]
    told = "napari-film: The values of site are blended: no image was trained with such metadata, so the mask is off the distribution.\n"
    assert outcome.err == (told if mode == "blended" else "")


def test_weights_go_with_all_values_of_the_target(context_desk: Desk) -> None:
    desk = context_desk
    assert desk.predict("--all-values", "--weights", WEIGHTS, value=None).code == 0
    content = desk.sidecar()
    assert [metadata["tumor_type"] for metadata in content["Metadata"]] == list(VALUES)
    assert content["MetadataOrigin"] == {"site": "command line"}
    assert content["Thresholds"] == [133 / 256] * 3
    assert set(np.unique(array(desk.mask))) == {0, 1, 2, 3}


def test_a_mask_is_cleaned_up(desk: Desk) -> None:
    probabilities = desk.folder / "p.nii.gz"
    words = ("--threshold", "0.25", "--largest-component", "--min-volume", "20.5", "--fill-holes", "--probabilities", probabilities)
    assert desk.predict(*words).code == 0
    clean = Postprocessing(threshold=64, largest_component=True, smallest_mm3=20.5, fill_holes=True)
    raw = (array(probabilities) >= 64 / 256).astype(np.uint8)
    mask = array(desk.mask)
    np.testing.assert_array_equal(mask, clean.apply(raw, 0.9 * 1.1 * 3.0))
    assert (mask != raw).any()
    content = desk.sidecar()
    assert content["Postprocessing"] == {
        "Threshold": 64 / 256,
        "LargestComponent": True,
        "SmallestMm3": 20.5,
        "FillHoles": True,
        "CleanedUp": True,
    }
    assert content["VolumesMl"]["ependymoma"] == pytest.approx(mask.sum() * 0.00297, abs=1e-4)
    assert "--largest-component --min-volume 20.5 --fill-holes" in content["Command"]


def test_a_plan_in_words_and_a_file_of_that_name_wins(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "device=cpu,precision=bfloat16,batch=3,tile=none"
    assert desk.run(*desk.words("--plan", words)).code == 0
    assert desk.sidecar()["Plan"] == {"device": "cpu", "precision": "bfloat16", "batch": 3, "tile": None, "engine": ENGINE}
    assert desk.sidecar()["Command"].endswith(f"--plan {words}")
    monkeypatch.chdir(desk.folder)
    (desk.folder / words).write_text(json.dumps({"Plan": {"device": "cpu", "batch": 2}}))
    assert desk.run(*desk.words("--plan", words)).code == 0
    assert desk.sidecar()["Plan"]["batch"] == 2


def test_a_number_that_is_clamped_is_told(desk: Desk, make_checkpoint: Callable, age: Any) -> None:
    desk.model.write_bytes(make_checkpoint(age).read_bytes())
    outcome = desk.predict("--metadata", "age=140", value=None)
    assert outcome.err == "napari-film: age is 140, outside of what this model was trained on; 100 is used instead.\n"
    assert desk.sidecar()["Metadata"] == {"age": 100}


AGAIN = "give one number per slice, one for all of them, or 'by slice'."
TAKEN = "give a number from 2 to 4, or 'by slice', or one number per slice, with commas between."


@pytest.fixture
def stack_desk(desk: Desk, make_checkpoint: Callable, tumor: Any) -> Desk:
    """Give the desk with a model of acquired slices that is told where in the stack each slice is; the image has 5."""
    path = make_checkpoint(tumor, POSITION, seed=6, preprocessing={"slice_axis": "acquired"})
    desk.model.write_bytes(path.read_bytes())
    return desk


def test_what_is_known_per_slice_is_filled_in_slice_by_slice(stack_desk: Desk) -> None:
    found = {}
    output = stack_desk.folder / "p.nii.gz"
    for name, told in {
        "left out": None,
        "by slice": "by slice",
        "numbers": "2,2.5,3,3.5,4",
        "spaces": " 2, 2.5,3,3.5, 4",
        "middle": "3",
        "reversed": "4,3.5,3,2.5,2",
    }.items():
        outcome = stack_desk.predict("--probabilities", output, *([] if told is None else ["--metadata", f"slice_position={told}"]))
        assert (outcome.code, outcome.err) == (0, "")
        found[name] = array(output)
        expected = {"left out": "by slice", "spaces": "2,2.5,3,3.5,4", "middle": 3.0}.get(name, told)
        assert stack_desk.sidecar()["Metadata"] == {"tumor_type": "ependymoma", "slice_position": expected}
    for name in ("by slice", "numbers", "spaces"):
        np.testing.assert_array_equal(found[name], found["left out"])
    np.testing.assert_array_equal(found["middle"][..., 2], found["left out"][..., 2])
    np.testing.assert_array_equal(found["reversed"][..., 2], found["left out"][..., 2])
    assert (found["middle"][..., 0] != found["left out"][..., 0]).any()
    assert (found["reversed"][..., 4] != found["left out"][..., 4]).any()
    predictor = Predictor(load_checkpoint(stack_desk.model), device="cpu")
    for numbers in ([2, 2.5, 3, 3.5, 4], np.linspace(2, 4, 5, dtype=np.float32)):
        prediction = predictor.predict([nifti.read(stack_desk.image)], {"tumor_type": "ependymoma", "slice_position": numbers})
        assert prediction.metadata.values["slice_position"] == "2,2.5,3,3.5,4"
        np.testing.assert_array_equal(prediction.probabilities()[0], found["left out"])


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("2,3,4", f"slice_position came with 3 numbers, and the image has 5 slices; {AGAIN}"),
        ("2,3,,3,4", "slice_position has no number for slice 3; give one for each slice, or 'by slice'."),
        ("2,3,9,3,4", "slice_position is 9, outside of what this model was trained on; give a number from 2 to 4."),
        ("base", f"slice_position is 'base', which is no number; {TAKEN}"),
        ("", f"slice_position is '', which is no number; {TAKEN}"),
    ],
)
def test_numbers_per_slice_that_do_not_fit_are_one_sentence(stack_desk: Desk, told: str, sentence: str) -> None:
    before = stack_desk.files()
    outcome = stack_desk.predict("--metadata", f"slice_position={told}")
    assert (outcome.code, outcome.out, outcome.err) == (2, "", f"napari-film: {sentence}\n")
    assert stack_desk.files() == before


def test_an_image_smaller_than_the_network_halves_is_filled_up_and_that_is_told(
    desk: Desk, make_checkpoint: Callable, make_volume: Callable, tumor: Any
) -> None:
    desk.model.write_bytes(make_checkpoint(tumor, depth=4, places=("none",) * 4 + ("inside",) + ("none",) * 5).read_bytes())
    volume = make_volume((7, 20, 3))
    nifti.write(desk.image, volume.data, volume)
    outcome = desk.predict()
    sentence = (
        "t2.nii.gz has slices of 20 x 7 pixels, and this network needs 16 x 16 or more: "
        "they were filled up with the pixels of their edges, so trust the mask less."
    )
    assert (outcome.code, outcome.err) == (0, f"napari-film: {sentence}\n")
    assert array(desk.mask).shape == (7, 20, 3)
    assert desk.sidecar()["Notices"] == [sentence]


def test_a_model_without_fields_needs_no_metadata(desk: Desk, make_checkpoint: Callable) -> None:
    desk.model.write_bytes(make_checkpoint().read_bytes())
    assert desk.predict(value=None).code == 0
    assert desk.sidecar()["Metadata"] == {}
    assert desk.sidecar()["Labels"] == {"1": "lesion"}


def test_running_on_the_cpu_for_want_of_a_gpu_is_told(desk: Desk) -> None:
    outcome = desk.run(*desk.words())
    assert outcome.code == 0
    if desk.sidecar()["Plan"]["device"] == "cpu":
        assert outcome.err == "napari-film: No GPU was found; running on the CPU.\n"
        assert desk.sidecar()["Notices"] == ["No GPU was found; running on the CPU."]


def spoiled(desk: Desk) -> None:
    (desk.folder / "text.nii.gz").write_text("no NIfTI")
    (desk.folder / "cut.safetensors").write_bytes(desk.model.read_bytes()[:-9])
    (desk.folder / "folder.nii").mkdir()
    (desk.folder / "old.json").write_text('{"Plan": {"device": "cpu", "engine": "eager-0"}}')
    nan = np.full((4, 4, 2), np.nan, np.float32)
    nibabel.save(nibabel.Nifti1Image(nan, np.eye(4)), desk.folder / "nan.nii")


MISTAKES: dict[str, tuple[Callable[[Desk], list[str]], str]] = {
    "a value outside": (lambda desk: desk.words(value="glioma"), "'glioma'.*one of: astrocytoma, ependymoma, hemangioblastoma"),
    "unknown": (lambda desk: desk.words(value="unknown"), "not trained without it"),
    "no metadata": (lambda desk: desk.words(value=None), "tumor_type is missing; give one of: astrocytoma"),
    "no KEY=VALUE": (lambda desk: desk.words("--metadata", "ependymoma", value=None), "KEY=VALUE, for example tumor_type=astro"),
    "a foreign field": (lambda desk: desk.words("--metadata", "organ=liver"), "no field 'organ'; its fields are tumor_type"),
    "a field twice": (lambda desk: desk.words("--metadata", "tumor_type=HB"), "tumor_type is given twice"),
    "all values and one": (lambda desk: desk.words("--all-values"), "together with --all-values"),
    "a threshold of 0": (lambda desk: desk.words("--threshold", "0"), "The threshold is 0; give a probability between 0 and 1"),
    "a threshold of 1": (lambda desk: desk.words("--threshold", "1"), "The threshold is 1; give a probability"),
    "a threshold that is none": (lambda desk: desk.words("--threshold", "nan"), "The threshold is nan; give a probability"),
    "an infinite threshold": (lambda desk: desk.words("--threshold", "inf"), "The threshold is inf; give a probability"),
    "weights that are none": (lambda desk: desk.words("--weights", "a=60, b=40", value=None), "weights are given as 'a=60, b=40'; write"),
    "weights of the target": (lambda desk: desk.words("--weights", "tumor_type: HB=100", value=None), "tumor_type is what is looked for"),
    "weights of no field": (lambda desk: desk.words("--weights", "site: north=100"), "no field 'site'"),
    "a blend of nothing": (lambda desk: desk.words("--blend"), "--blend says how --weights are meant"),
    "a negative volume": (lambda desk: desk.words("--min-volume", "-1"), "The smallest volume is -1; give a volume in mm3, 0 or more"),
    "an infinite volume": (lambda desk: desk.words("--min-volume", "inf"), "The smallest volume is inf; give a volume"),
    "no threshold's number": (lambda desk: desk.words("--threshold", "half"), "--threshold"),
    "too many images": (lambda desk: [*desk.words(), str(desk.image)], "2 channel"),
    "an image that is not there": (lambda desk: [*desk.words(), "gone.nii"], "gone.nii"),
    "an image that is none": (lambda desk: desk.instead("text.nii.gz"), "text.nii.gz"),
    "voxels that are no numbers": (lambda desk: desk.instead("nan.nii"), "nan.nii holds 32 of 32"),
    "a model that is not there": (lambda desk: [*desk.words(), "--model", "gone.safetensors"], "There is no checkpoint gone.safetensors"),
    "a model that is cut": (lambda desk: [*desk.words(), "--model", str(desk.folder / "cut.safetensors")], "cut.safetensors is cut off"),
    "a model that is an image": (lambda desk: [*desk.words(), "--model", str(desk.image)], "t2.nii.gz is not a .safetensors file"),
    "a name too long for a model": (lambda desk: [*desk.words(), "--model", "m" * 5000], "There is no checkpoint m"),
    "a name too long for a mask": (lambda desk: desk.words(output=desk.folder / ("m" * 300 + ".nii")), "m+.nii cannot"),
    "an ending of another format": (lambda desk: desk.words(output=desk.folder / "mask.mha"), "give a name that ends in .nii"),
    "no folder": (lambda desk: desk.words(output=desk.folder / "gone" / "mask.nii"), "The folder of mask.nii does not exist"),
    "a folder as a mask": (lambda desk: desk.words(output=desk.folder / "folder.nii"), "folder.nii is a folder"),
    "a mask over the image": (lambda desk: desk.words(output=desk.image), "has the name of one of the images"),
    "a sidecar over the image's": (lambda desk: desk.words(output=desk.folder / "t2.nii"), "has the name of one of the images"),
    "two outputs of one name": (lambda desk: desk.words("--probabilities", desk.mask), "but for endings that is one name; give two"),
    "a plan that is not there": (lambda desk: desk.words("--plan", "gone.json"), "gone.json cannot be read"),
    "a plan that is none": (lambda desk: desk.words("--plan", desk.image), "t2.nii.gz holds no plan"),
    "a plan of another engine": (lambda desk: desk.words("--plan", desk.folder / "old.json"), "made for the engine 'eager-0'"),
    "a plan of bad words": (lambda desk: desk.words("--plan", "device=cpu,speed=high"), "'speed=high' is no part of a plan"),
    "a plan of a bad number": (lambda desk: desk.words("--plan", "device=cpu,batch=0"), "The plan's batch is '0'; give a whole number"),
    "a plan of another engine in words": (lambda desk: desk.words("--plan", "device=cpu,engine=old-1"), "made for the engine 'old-1'"),
    "a plan that is a folder": (lambda desk: desk.words("--plan", desk.folder), "cannot be read; give the JSON"),
    "a plan and a device": (lambda desk: desk.words("--plan", desk.folder / "old.json", "--device", "cpu"), "leave out --device"),
    "an unknown device": (lambda desk: desk.words("--device", "abacus"), "'abacus' is not one of 'auto', 'cuda', 'mps', 'cpu'"),
    "an unknown option": (lambda desk: desk.words("--speed", "high"), "No such option: --speed.*; see napari-film predict --help"),
    "a missing option": (lambda desk: ["predict", str(desk.image)], "Missing option.*; see napari-film predict --help"),
    "no image": (lambda desk: ["predict"], "Missing argument"),
    "no value for an option": (lambda desk: ["predict", "--model"], "requires an argument"),
    "an unknown command": (lambda desk: ["segment"], "No such command 'segment'; see napari-film --help"),
    "a line break in a name": (lambda desk: [*desk.words(), "--model", "one\ntwo"], "There is no checkpoint one two"),
    "info on nothing": (lambda desk: ["info", "gone"], "There is no checkpoint gone"),
    "info on an image": (lambda desk: ["info", str(desk.image)], "t2.nii.gz is not a .safetensors file"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_code_2_and_leaves_no_trace(desk: Desk, mistake: str) -> None:
    spoiled(desk)
    desk.mask.write_bytes(b"what stood here")
    (desk.folder / "mask.json").write_bytes(b"and here")
    before = desk.files()
    words, sentence = MISTAKES[mistake]
    outcome = desk.run(*words(desk))
    assert outcome.code == 2
    assert re.fullmatch(rf"napari-film: .*{sentence}.*\.\n", outcome.err)
    assert outcome.out == ""
    assert desk.files() == before


WEIGHTY: dict[str, tuple[Callable[[Desk], list[str]], str]] = {
    "the field's value too": (
        lambda desk: desk.words("--weights", WEIGHTS, "--metadata", "site=north"),
        "site is given by --metadata and by --weights; leave one of them out",
    ),
    "the field's value too, and blended": (
        lambda desk: desk.words("--weights", WEIGHTS, "--blend", "--metadata", "site=north"),
        "site is given by --metadata and by --weights",
    ),
    "another field is missing": (lambda desk: desk.words("--weights", WEIGHTS, value=None), "tumor_type is missing; give one of"),
    "too little": (lambda desk: desk.words("--weights", "site: north=35, south=60"), "The weights of site sum to 95"),
    "no whole percent": (lambda desk: desk.words("--weights", "site: north=0.5, south=0.5"), "The weight of north is '0.5'"),
    "twice": (lambda desk: desk.words("--weights", "site: north=50, North=50"), "north has two weights"),
    "a value outside": (lambda desk: desk.words("--weights", "site: west=100"), "site is 'west', which this model does not know"),
    "unknown": (lambda desk: desk.words("--weights", "site: unknown=50, north=50"), "site is 'unknown' as a whole or not at all"),
    "the target with all values": (
        lambda desk: desk.words("--all-values", "--weights", "tumor_type: HB=100", "--metadata", "site=north", value=None),
        r"tumor_type is what is looked for; weights are for context fields \(site\)",
    ),
}


@pytest.mark.parametrize("mistake", WEIGHTY)
def test_weights_that_contradict_are_one_line_and_leave_no_trace(context_desk: Desk, mistake: str) -> None:
    before = context_desk.files()
    words, sentence = WEIGHTY[mistake]
    outcome = context_desk.run(*words(context_desk))
    assert (outcome.code, outcome.out) == (2, "")
    assert re.fullmatch(rf"napari-film: .*{sentence}.*\.\n", outcome.err)
    assert context_desk.files() == before


def test_a_full_disk_leaves_what_stood_there(desk: Desk) -> None:
    resource = pytest.importorskip("resource")
    assert desk.predict().code == 0
    before = desk.files()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # There is room for the mask, and not for the probabilities.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        outcome = desk.predict("--probabilities", desk.folder / "p.nii", value="astrocytoma")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert outcome.code == 2
    assert outcome.err == "napari-film: p.nii cannot be written (File too large); make room or name another file.\n"
    assert desk.files() == before


def test_the_process_ends_with_the_code_and_no_traceback(desk: Desk) -> None:
    good = subprocess.run([*COMMAND, *desk.words("--device", "cpu")], capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    bad = subprocess.run([*COMMAND, *desk.words(value="glioma")], capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert bad.stdout == ""
    assert len(bad.stderr.splitlines()) == 1
    assert "Traceback" not in bad.stderr


def test_help_is_no_mistake(desk: Desk) -> None:
    for words in (["--help"], ["predict", "--help"], ["info", "--help"]):
        outcome = desk.run(*words)
        assert (outcome.code, outcome.err) == (0, "")
        assert "Usage" in outcome.out


def test_info_describes_a_checkpoint(desk: Desk, make_checkpoint: Callable, tumor: Any, age: Any) -> None:
    scores = {"Dice": {"ependymoma": {"ependymoma": 0.91, "astrocytoma": None}, "astrocytoma": {"ependymoma": 0.5, "astrocytoma": 0.8}}}
    path = make_checkpoint(
        tumor,
        age,
        preprocessing={"spacing": (1.0, None, 0.5), "slice_axis": "sagittal"},
        header={"description": "For tests :warning: only.", "licence": "CC0-1.0", "provenance": {"scores": scores}},
    )
    outcome = desk.run("info", path)
    assert (outcome.code, outcome.err) == (0, "")
    for line in (
        "tiny",
        "For tests :warning: only.",
        "Channels: channel 0",
        "Slices: sagittal; spacing R x A x S: 1 x any x 0.5 mm",
        "Classes: lesion",
        "Field tumor_type (target): one of: astrocytoma, ependymoma, hemangioblastoma",
        "Field age (context): a number from 0 to 100 years",
        "Licence: CC0-1.0",
    ):
        assert line in outcome.out.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in outcome.out.splitlines() if line.startswith(VALUES)}
    assert rows == {"ependymoma": ["0.910", "-"], "astrocytoma": ["0.500", "0.800"]}


def test_info_as_json_is_the_header(desk: Desk) -> None:
    outcome = desk.run("info", desk.model, "--json")
    assert json.loads(outcome.out) == json.loads(load_checkpoint(desk.model).header.to_json())


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_info_loads_no_torch(desk: Desk, run_python: Callable, words: list[str]) -> None:
    code = "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); from napari_film.cli import main; main()"
    ran = run_python(code, "info", desk.model, *words)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "False"
    assert "tiny" in ran.stdout


REAL = ["ct_abdomen/ct_first_30_slices.nii.gz", "mri_spine_bids/sub-unf01/anat/sub-unf01_T2w.nii.gz"]


@pytest.mark.parametrize("name", REAL)
def test_real_images_from_end_to_end(name: str, shared: Path, desk: Desk, make_checkpoint: Callable, tumor: Any) -> None:
    desk.image = shared / name
    preprocessing = {"slice_axis": "sagittal", "spacing": (None, 2.5, 2.5)}
    desk.model.write_bytes(make_checkpoint(tumor, seed=1, preprocessing=preprocessing).read_bytes())
    outcome = desk.predict()
    assert outcome.code == 0, outcome.err
    image, mask = nibabel.load(desk.image), nibabel.load(desk.mask)
    assert mask.shape == image.shape
    np.testing.assert_array_equal(mask.affine, image.affine)
    for code in ("sform_code", "qform_code"):
        assert mask.header[code] == image.header[code]
    assert 0 < array(desk.mask).mean() < 1
    again = desk.folder / "again.nii.gz"
    assert desk.run(*desk.words("--plan", desk.folder / "mask.json", output=again)).code == 0
    assert again.read_bytes() == desk.mask.read_bytes()

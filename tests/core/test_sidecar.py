"""The file beside a mask says how it was made, names no folder, and is the plan for the next run."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_film.checkpoint import Checkpoint, load_checkpoint
from napari_film.errors import InputError
from napari_film.inference import sidecar
from napari_film.inference.masks import NOT_COMPUTED
from napari_film.inference.mixture import Mixture
from napari_film.inference.plan import Plan
from napari_film.inference.postprocessing import Postprocessing
from napari_film.inference.prediction import Prediction, joint_mask
from napari_film.inference.predictor import Predictor
from napari_film.volume import Volume


@pytest.fixture(scope="module")
def volume(make_volume: Callable, make_affine: Callable) -> Volume:
    return make_volume((12, 10, 4), make_affine((2, 0, 1), spacing=(0.5, 2.0, 3.0)))


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint: Callable, tumor: Any, site: Any) -> Checkpoint:
    return load_checkpoint(make_checkpoint(tumor, site, seed=1))


def predict(checkpoint: Checkpoint, volume: Volume, value: str, **options: Any) -> Prediction:
    return Predictor(checkpoint, device="cpu").predict([volume], {"tumor_type": value, "site": "unknown"}, **options)


def describe(predictions: list[Prediction], checkpoint: Checkpoint, **options: Any) -> dict[str, Any]:
    content = sidecar.describe(
        predictions,
        joint_mask(predictions),
        checkpoint.header,
        model=checkpoint.name,
        model_hash=checkpoint.hash,
        sources=["t2.nii"],
        **options,
    )
    return json.loads(sidecar.to_json(content))


def test_a_sidecar_says_what_by_what_and_how(checkpoint: Checkpoint, volume: Volume) -> None:
    prediction = predict(checkpoint, volume, "HB")
    content = describe([prediction], checkpoint, command="napari-film predict")
    mask = prediction.mask()
    assert content["Sources"] == ["t2.nii"]
    assert content["Model"] == {"Name": "tiny", "File": "tiny.safetensors", "SHA256": checkpoint.hash}
    assert content["Metadata"] == {"tumor_type": "hemangioblastoma", "site": "unknown"}
    assert content["Labels"] == {"1": "hemangioblastoma"}
    assert content["Thresholds"] == [0.5]
    assert content["Plan"] == {"device": "cpu", "precision": "float32", "batch": 1, "tile": None, "engine": prediction.plan.engine}
    assert content["Coverage"] == {"SliceAxis": "axial", "Slices": 12, "SlicesComputed": 12, "ChannelOverlap": [1.0]}
    assert content["VolumesMl"] == {"hemangioblastoma": pytest.approx(int((mask == 1).sum()) * 0.5 * 2 * 3 / 1000, abs=1e-4)}
    assert content["VolumesMl"]["hemangioblastoma"] > 0
    assert content["Command"] == "napari-film predict"
    made = content["GeneratedBy"][0]
    assert (made["Name"], made["Version"]) == ("napari-film", content["Versions"]["napari-film"])
    assert made["CodeURL"].startswith("https://")
    assert (content["SpatialReference"], content["Type"], content["Manual"]) == ("orig", "ROI", False)
    assert {"python", "torch", "numpy", "scipy", "nibabel"} <= set(content["Versions"])
    assert not {"Notices", "Postprocessing", "Mixture", "MetadataOrigin"} & set(content)


def test_what_is_incomplete_claims_no_volume(checkpoint: Checkpoint, volume: Volume) -> None:
    prediction = predict(checkpoint, volume, "ependymoma", order=[1, 2])
    content = describe([prediction], checkpoint)
    assert "VolumesMl" not in content
    assert content["Coverage"]["SlicesComputed"] == 2
    assert content["Labels"] == {"1": "ependymoma", str(NOT_COMPUTED): "not computed"}


def test_what_was_done_after_the_network_is_said(checkpoint: Checkpoint, volume: Volume) -> None:
    prediction = predict(checkpoint, volume, "HB")
    content = describe([replace(prediction, postprocessing=Postprocessing(threshold=64))], checkpoint)
    assert content["Postprocessing"] == {"Threshold": 0.25}
    assert content["Thresholds"] == [0.25]
    clean = replace(prediction, postprocessing=Postprocessing(threshold=250, smallest_mm3=400, fill_holes=True))
    content = describe([clean], checkpoint)
    assert content["Postprocessing"] == {
        "Threshold": 250 / 256,
        "LargestComponent": False,
        "SmallestMm3": 400,
        "FillHoles": True,
        "CleanedUp": True,
    }
    raw = replace(prediction, postprocessing=Postprocessing(threshold=250))
    assert 0 < describe([raw], checkpoint)["VolumesMl"]["hemangioblastoma"] < 0.4
    assert content["VolumesMl"] == {"hemangioblastoma": 0}


def test_a_clean_up_that_was_left_out_is_told(checkpoint: Checkpoint, volume: Volume) -> None:
    part = predict(checkpoint, volume, "HB", order=[1, 2])
    content = describe([replace(part, postprocessing=Postprocessing(largest_component=True))], checkpoint)
    assert content["Postprocessing"] == {"LargestComponent": True, "SmallestMm3": 0, "FillHoles": False, "CleanedUp": False}
    assert content["Notices"] == ["The mask is not cleaned up, because not every slice was computed."]


@pytest.mark.parametrize("mode", ["expected", "blended"])
def test_weights_stand_in_place_of_their_field(mode: str, checkpoint: Checkpoint, volume: Volume) -> None:
    mixture = Mixture(field="site", percent={"north": 30, "south": 70}, mode=mode)
    predictor = Predictor(checkpoint, device="cpu")
    prediction = predictor.predict_mixture([volume], {"tumor_type": "HB"}, mixture)
    content = describe([prediction], checkpoint, origins={"tumor_type": "participants.tsv", "site": "you", "other": "default"})
    blended = mode == "blended"
    assert content["Metadata"] == {"tumor_type": "hemangioblastoma"}
    assert content["MetadataOrigin"] == {"tumor_type": "participants.tsv", "site": "you"}
    assert content["Mixture"] == {"Field": "site", "Percent": {"north": 30, "south": 70}, "Mode": mode} | (
        {"OffTrainingDistribution": True} if blended else {}
    )
    assert ("Notices" in content) is blended
    # Made elsewhere, with a value that does not count and no notice, it says the same.
    elsewhere = replace(
        prediction, notices=(), metadata=replace(prediction.metadata, values={"tumor_type": "hemangioblastoma", "site": "north"})
    )
    assert describe([elsewhere], checkpoint, origins={"tumor_type": "participants.tsv", "site": "you"}) == content


def test_several_values_are_labels_of_their_own(checkpoint: Checkpoint, volume: Volume) -> None:
    predictions = [predict(checkpoint, volume, value) for value in ("ependymoma", "astrocytoma")]
    content = describe(predictions, checkpoint)
    assert content["Labels"] == {"1": "ependymoma", "2": "astrocytoma"}
    assert [metadata["tumor_type"] for metadata in content["Metadata"]] == ["ependymoma", "astrocytoma"]
    assert len(content["Thresholds"]) == 2
    counts = np.bincount(joint_mask(predictions).ravel(), minlength=3)
    assert list(content["VolumesMl"].values()) == [pytest.approx(count * 0.003, abs=1e-4) for count in counts[1:3]]


def test_labels_of_several_classes_name_value_and_class(make_checkpoint: Callable, volume: Volume, tumor: Any, age: Any) -> None:
    checkpoint = load_checkpoint(make_checkpoint(tumor, classes=("core", "oedema")))
    predictions = [Predictor(checkpoint, device="cpu").predict([volume], {"tumor_type": value}) for value in tumor.values[:2]]
    assert sidecar.label_names(checkpoint.header, [each.metadata for each in predictions]) == {
        1: "astrocytoma core",
        2: "astrocytoma oedema",
        3: "ependymoma core",
        4: "ependymoma oedema",
    }
    plain = load_checkpoint(make_checkpoint(age, classes=("core", "oedema")))
    prediction = Predictor(plain, device="cpu").predict([volume], {"age": 200})
    assert sidecar.label_names(plain.header, [prediction.metadata]) == {1: "core", 2: "oedema"}
    assert describe([prediction], plain)["Notices"] == ["age is 200, outside of what this model was trained on; 100 is used instead."]


@pytest.mark.parametrize(
    ("mask", "beside"),
    [("a.nii", "a.json"), ("a.nii.gz", "a.json"), ("a.gz.nii", "a.gz.json"), ("sub-1_T2w.v2.nii.gz", "sub-1_T2w.v2.json")],
)
def test_a_sidecar_stands_beside_its_mask(mask: str, beside: str) -> None:
    assert sidecar.sidecar_path(Path("folder") / mask) == Path("folder") / beside


def test_the_plan_is_read_back(checkpoint: Checkpoint, volume: Volume, tmp_path: Path) -> None:
    plan = Plan(device="cpu", precision="bfloat16", batch=2)
    prediction = Predictor(checkpoint, plan=plan).predict([volume], {"tumor_type": "HB", "site": "north"}, order=[0])
    path = tmp_path / "mask.json"
    path.write_text(json.dumps(describe([prediction], checkpoint)))
    assert sidecar.read_plan(path) == plan


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '"Plan"', "{}", '{"Plan": 1}', '{"Plan": {"device": "abacus"}}', '{"Plan": {}}', "\udcff", "[" * 10**6]
)
def test_a_file_without_a_plan_is_told(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mask.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"^mask\.json holds no plan; give the JSON file beside a mask that napari-film wrote\.$"):
        sidecar.read_plan(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.json", tmp_path):
        with pytest.raises(InputError, match=rf"^{path.name} cannot be read; give the JSON file beside a mask that napari-film wrote\.$"):
            sidecar.read_plan(path)

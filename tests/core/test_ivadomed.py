"""Networks that ivadomed trained give here what they gave there."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_film.architecture import Architecture
from napari_film.errors import InputError
from napari_film.models.ivadomed import convert_state
from napari_film.models.unet import ConditionedUNet

MODELS = ["filmed_unet_all_layers", "filmed_unet_decoder_only", "filmed_unet_two_classes"]


def load(folder: Path) -> tuple[dict[str, torch.Tensor], Architecture, dict[str, Any]]:
    configuration = json.loads((folder / f"{folder.name}.json").read_text())
    reference = dict(np.load(folder / "reference.npz"))
    state = load_file(folder / "state_dict.safetensors")
    classes = reference["output_0"].shape[1]
    architecture = Architecture(
        depth=configuration["default_model"]["depth"],
        width=configuration["default_model"]["n_filters"],
        channels=reference["input"].shape[1],
        classes=classes,
        condition=reference["condition"].shape[1],
        places=tuple("film" if flag else "none" for flag in configuration["FiLMedUnet"]["film_layers"]),
        hidden_biases="per place",
        background=classes > 1,
    )
    return state, architecture, reference


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_ivadomed_s(name: str, shared: Path) -> None:
    state, architecture, reference = load(shared / "ivadomed_models" / name)
    network = ConditionedUNet(architecture)
    network.load_state_dict(convert_state(state, architecture))
    network.eval()
    images = torch.from_numpy(reference["input"])
    outputs = []
    for label, condition in enumerate(reference["condition"]):
        conditions = torch.from_numpy(condition).float().expand(len(images), -1)
        with torch.no_grad():
            outputs.append(network(images, conditions).numpy())
        assert outputs[-1].dtype == np.float32
        np.testing.assert_allclose(outputs[-1], reference[f"output_{label}"], rtol=0, atol=1e-5)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-4  # the label matters, so that the comparison says something


def test_a_state_dict_that_lacks_a_tensor_is_refused_by_its_name(shared: Path) -> None:
    state, architecture, _ = load(shared / "ivadomed_models" / MODELS[0])
    del state["encoder.down_path.3.conv2_bn.running_var"]
    with pytest.raises(InputError, match=r"encoder\.down_path\.3\.conv2_bn\.running_var is missing .* depth 3"):
        convert_state(state, architecture)


def test_generators_that_share_no_weights_are_refused(shared: Path) -> None:
    state, architecture, _ = load(shared / "ivadomed_models" / MODELS[0])
    state["decoder.last_film.generator.linear2.weight"] = state["decoder.last_film.generator.linear2.weight"] + 1
    with pytest.raises(InputError, match="do not share the weights of hidden layer 2"):
        convert_state(state, architecture)


def test_without_film_no_generator_is_wanted(shared: Path) -> None:
    state, architecture, _ = load(shared / "ivadomed_models" / MODELS[0])
    plain = architecture.model_copy(update={"places": ("none",) * len(architecture.places)})
    ConditionedUNet(plain).load_state_dict(convert_state({name: value for name, value in state.items() if "generator" not in name}, plain))

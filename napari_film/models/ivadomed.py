"""Weights of ivadomed's FiLMed U-Net under this project's names.

In ivadomed's state dict ``encoder.down_path`` holds unit, FiLM layer and pool of each level in turn, and
``decoder.up_path`` unit and FiLM layer. Each FiLM layer has a generator of its own whose two hidden weights equal
those of the others, since sharing happens in the first forward pass; the hidden biases differ.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from napari_film.architecture import Architecture
from napari_film.errors import InputError


def convert_state(state: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """Rename ``state`` for a ``ConditionedUNet`` of ``architecture``, whose hidden biases are per place; none without FiLM.

    Raises
    ------
    InputError
        If a tensor that the architecture needs is missing, or the generators do not share their hidden weights.
    """
    depth = architecture.depth
    units = {f"encoder.{i}": f"encoder.down_path.{3 * i}" for i in range(depth)}
    units["bottom"] = "encoder.conv_bottom"
    units |= {f"decoder.{i}": f"decoder.up_path.{2 * i}.downconv" for i in range(depth)}
    generators = [f"encoder.down_path.{3 * i + 1}" for i in range(depth)]
    generators += ["encoder.film_bottom", *(f"decoder.up_path.{2 * i + 1}" for i in range(depth)), "decoder.last_film"]
    try:
        converted = {f"head.{kind}": state[f"decoder.last_conv.{kind}"] for kind in ("weight", "bias")}
        for ours, theirs in units.items():
            for number in (1, 2):
                converted |= {f"{ours}.conv{number}.{kind}": state[f"{theirs}.conv{number}.{kind}"] for kind in ("weight", "bias")}
                converted |= {
                    f"{ours}.norm{number}.{kind}": state[f"{theirs}.conv{number}_bn.{kind}"]
                    for kind in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
                }
        filmed = [place for place, word in zip(generators, architecture.places, strict=True) if word == "film"]
        for layer in (1, 2, 3) if filmed else ():
            weights = [state[f"{place}.generator.linear{layer}.weight"] for place in filmed]
            biases = [state[f"{place}.generator.linear{layer}.bias"] for place in filmed]
            if layer == 3:
                converted |= {"generator.weight3": torch.cat(weights), "generator.bias3": torch.cat(biases)}
                continue
            if any(not torch.equal(weights[0], weight) for weight in weights):
                raise InputError(f"The generators of this model do not share the weights of hidden layer {layer}; it cannot be converted.")
            converted |= {f"generator.weight{layer}": weights[0], f"generator.bias{layer}": torch.stack(biases)}
    except KeyError as error:
        raise InputError(f"{error.args[0]} is missing from this state dict; a FiLMed U-Net of depth {depth} has it.") from error
    return converted

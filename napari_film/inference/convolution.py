"""3x3 convolutions for inference: weights laid out once for the device, ReLU and sums in the same pass where it can do that.

On a CPU these are oneDNN's, called through the operators that torch's own compiler emits; elsewhere, and where this
build of torch lacks them, the same is put together from plain operators.

Axes: B batch, C channels, H height, W width.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

_ONE = [1, 1]  # stride and dilation
_USUAL = 64  # side of the image that the layout of the weights is chosen for; others work with it too


@cache
def has_fused(dtype: torch.dtype) -> bool:
    """Whether this build of torch has oneDNN's fused convolutions for ``dtype``, tried on a small one."""
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        convolution = _Fused(torch.ones(2, 2, 3, 3, dtype=dtype), torch.zeros(2, dtype=dtype))
        ones = torch.ones(1, 2, 4, 4, dtype=dtype).contiguous(memory_format=torch.channels_last)
        once = convolution(ones, (0, 0), relu=True)
        twice = convolution.add_to(once.clone(), ones, (0, 0))
        return bool((once == 18).all() and (twice == 36).all())
    except (AttributeError, RuntimeError, TypeError):  # operators that only torch's compiler promises to itself
        return False


class Convolution:
    """A 3x3 convolution of stride 1; (B, in, H, W) -> (B, out, H + 2·pad - 2, W + 2·pad - 2).

    Parameters
    ----------
    weight, bias
        (out, in, 3, 3) and (out,), float32 on the CPU; None for no bias.
    device, dtype
        What it runs on and in; inputs are expected there and in it.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, *, device: torch.device, dtype: torch.dtype) -> None:
        bias = torch.zeros(len(weight)) if bias is None else bias
        kind = _Fused if device.type == "cpu" and has_fused(dtype) else _Plain
        self._run = kind(weight.to(device, dtype), bias.to(device, dtype))

    def __call__(self, features: Tensor, padding: tuple[int, int], *, relu: bool = False) -> Tensor:
        """Convolve; zeros stand outside, ``padding`` rows and columns of them."""
        return self._run(features, padding, relu=relu)

    def add_to(self, out: Tensor, features: Tensor, padding: tuple[int, int]) -> Tensor:
        """Add the convolution to ``out`` in place, apply ReLU, and give it."""
        return self._run.add_to(out, features, padding)


class _Fused:
    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        size = [1, weight.shape[1], _USUAL, _USUAL]
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(weight, [0, 0], _ONE, _ONE, 1, size)
        self._bias = bias

    def __call__(self, features: Tensor, padding: tuple[int, int], *, relu: bool) -> Tensor:
        attribute = "relu" if relu else "none"
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            features, self._weight, self._bias, list(padding), _ONE, _ONE, 1, attribute, [], ""
        )
        return result

    def add_to(self, out: Tensor, features: Tensor, padding: tuple[int, int]) -> Tensor:
        result: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            out, features, self._weight, self._bias, list(padding), _ONE, _ONE, 1, "add", 1.0, "relu", [], ""
        )
        return result


class _Plain:
    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight = weight.contiguous(memory_format=torch.channels_last)
        self._bias = bias

    def __call__(self, features: Tensor, padding: tuple[int, int], *, relu: bool) -> Tensor:
        result = functional.conv2d(features, self._weight, self._bias, padding=padding)
        return result.relu_() if relu else result

    def add_to(self, out: Tensor, features: Tensor, padding: tuple[int, int]) -> Tensor:
        return out.add_(functional.conv2d(features, self._weight, self._bias, padding=padding)).relu_()

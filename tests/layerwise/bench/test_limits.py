"""Operations and bytes of Table I's layers, by hand."""
from __future__ import annotations

import pytest

from layerwise.alexnet import layers_above
from layerwise.bench import limits
from layerwise.depths import DEPTHS, LAYERS

CONV1 = 2 * 96 * 55 * 55 * 3 * 11 * 11       # 96 filters of 3x11x11 at 55x55 places
FC6 = 2 * 4096 * 9216
FC7 = 2 * 4096 * 4096
FC8 = 2 * 2 * 4096


def test_conv1_fc6_and_a_layer_of_two_groups() -> None:
    assert limits.flops("conv1") == CONV1 == 210_830_400
    assert limits.flops("fc6") == FC6 == 75_497_472
    assert limits.flops("conv2") == 2 * 256 * 27 * 27 * 48 * 5 * 5
    assert limits.flops("fc8", classes=3) == 2 * 3 * 4096


def test_only_what_is_tuned_has_gradients() -> None:
    forward = sum(map(limits.flops, LAYERS))
    assert limits.training_flops(DEPTHS["fc8"]) == forward + FC8
    assert limits.training_flops(DEPTHS["fc7"]) == forward + (FC7 + FC8) + FC8
    assert limits.training_flops(DEPTHS["conv1"]) == 3 * forward - CONV1
    assert limits.training_flops(DEPTHS["scratch-gaussian"]) == 3 * forward - CONV1


def test_above_stored_activations() -> None:
    assert layers_above("fc6") == ("fc7", "fc8")
    assert layers_above("pool2") == LAYERS[2:]
    assert limits.training_flops(DEPTHS["fc8"], "fc6") == FC7 + 2 * FC8
    assert limits.training_flops(DEPTHS["fc6"], "pool5") == 2 * (FC6 + FC7 + FC8) + FC7 + FC8


def test_an_update_moves_five_floats_for_each_tuned_parameter_of_the_fc_layers() -> None:
    fc8, fc7, fc6 = 2 * 4097, 4096 * 4097, 4096 * 9217
    assert limits.update_bytes(DEPTHS["fc8"]) == 20 * fc8
    assert limits.update_bytes(DEPTHS["fc7"]) == 20 * (fc7 + fc8)
    assert limits.update_bytes(DEPTHS["fc6"]) == limits.update_bytes(DEPTHS["conv1"]) \
        == 20 * (fc6 + fc7 + fc8)


def test_the_least_time() -> None:
    """At one operation and one byte per nanosecond both counts are times in nanoseconds."""
    depth = DEPTHS["fc7"]
    nanoseconds = 8 * limits.training_flops(depth, "fc6") + limits.update_bytes(depth)
    assert limits.seconds(depth, 8, 1.0, 1.0, "fc6") == pytest.approx(nanoseconds / 1e9)

"""Where networks are cut, and what is stored for how much saved."""
from __future__ import annotations

import pytest

from layerwise import alexnet, prefix
from layerwise.depths import DEPTHS
from layerwise.frozen import Item, worth_storing


def test_multiplications_by_hand():
    """AlexNet's forward pass: 105, 224, 150, 112 and 75 million in the convolutions."""
    conv1 = 96 * 55 * 55 * 3 * 121
    conv2 = conv1 + 256 * 27 * 27 * 48 * 25
    conv3 = conv2 + 384 * 13 * 13 * 256 * 9
    assert prefix.multiplications("pool2") == conv2
    assert prefix.multiplications("conv3") == conv3
    assert prefix.multiplications("fc6") == conv3 + 169 * (384 * 192 + 256 * 192) * 9 + 4096 * 9216


def test_sizes():
    assert {blob: prefix.bytes_per_patch(blob) for blob in prefix.BOUNDARIES.values()} == {
        "pool2": 173056, "conv3": 259584, "conv4": 259584, "pool5": 36864, "fc6": 16384}


def test_the_budget_goes_where_it_saves_most():
    def chosen(items, budget):
        return {(item.name, item.blob) for item in worth_storing(items, budget)}

    items = [Item(name, blob, 1000, passes)
             for blob, many in (("fc6", 8.0), ("conv4", 4.0))
             for name, passes in (("train-100", many), ("validation-100", many), ("test", 1.0))]
    pairs = {blob: {(name, blob) for name in ("train-100", "validation-100")}
             for blob in ("fc6", "conv4")}
    one = {item.blob: item.size_bytes for item in items}
    assert chosen(items, 1e9) == {(item.name, item.blob) for item in items}
    assert chosen(items, 2 * one["fc6"]) == pairs["fc6"]
    best = pairs["fc6"] | {("test", "fc6")}
    assert chosen(items, 2 * one["fc6"] + 2 * one["conv4"]) == best
    assert chosen(items, 3 * one["fc6"] + 2 * one["conv4"]) == best | pairs["conv4"]
    assert chosen(items, 0) == set()


def test_a_test_set_worth_more_than_its_pair_comes_after_it():
    """Where training passes over less than the whole training set."""
    items = [Item(name, "fc6", 1000, passes) for name, passes in (
        ("train-100", 0.6), ("validation-100", 3.0), ("test", 2.0))]
    assert set(worth_storing(items, 1e9)) == set(items)


def test_what_no_run_could_use_is_not_stored():
    train, validation, test = items = [Item(name, "fc6", patches, 8.0) for name, patches in (
        ("train-50", 4000), ("validation-50", 1000), ("test", 2000))]
    assert worth_storing(items, train.size_bytes) == []          # validation alone would fit
    assert worth_storing(items, validation.size_bytes, [train]) == [validation]
    assert worth_storing(items, test.size_bytes, [train, validation]) == [test]
    assert worth_storing(items, test.size_bytes, [train]) == [validation]


def test_sets_that_are_read_once_are_not_stored():
    def pair(passes):
        return [Item(f"{name}-100", "fc6", 1000, passes) for name in ("train", "validation")]
    assert worth_storing(pair(1.0), 1e9) == []
    assert worth_storing(pair(1.1), 1e9) == pair(1.1)
    once = [*pair(2.0), Item("test", "fc6", 1000, 1.0)]
    assert worth_storing(once, 1e9) == pair(2.0)


@pytest.mark.parametrize("depth", prefix.BOUNDARIES)
def test_the_tail_holds_every_tuned_layer_and_the_dropouts(depth):
    net = alexnet.train_val("n", "fc8_polyp", 2, DEPTHS[depth], {})
    tail = prefix.cut(net, prefix.BOUNDARIES[depth], "list", 32)
    names = [layer.name for layer in tail.layer]
    assert names[0] == "data" and list(tail.layer[0].top) == [prefix.BOUNDARIES[depth], "label"]
    assert {"drop6", "drop7", "loss"} <= set(names)
    tuned = [layer.name for layer in net.layer if layer.param and layer.param[0].lr_mult]
    assert set(tuned) <= set(names)
    made = {"data", prefix.BOUNDARIES[depth], "label"}
    for layer in tail.layer[1:]:
        assert set(layer.bottom) <= made
        made |= set(layer.top)


@pytest.mark.parametrize("depth", prefix.BOUNDARIES)
def test_frozen_layers_of_a_tail_go_to_a_net_of_their_own(depth):
    """Only fc8's has one: dropout 6 is between the stored fc6 and the frozen fc7."""
    tail = prefix.cut(alexnet.train_val("n", "fc8_polyp", 2, DEPTHS[depth], {}),
                      prefix.BOUNDARIES[depth], "list", 32)
    parts = prefix.split(tail, 32)
    if depth != "fc8":
        assert parts is None
        return
    lower, upper = ([layer.name for layer in part.layer] for part in parts)
    assert lower == ["data", "drop6", "fc7", "relu7"]
    assert upper == ["data", "drop7", "fc8_polyp", "loss"]
    assert [list(each.dim) for each in parts[1].layer[0].input_param.shape] == [[32, 4096], [32]]

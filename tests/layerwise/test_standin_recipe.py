"""The distillation's parts, where PyTorch (an optional extra) is installed."""
from __future__ import annotations

import numpy as np
import pytest
from standin_forward import forward_reference

from layerwise.standin import load_standin

torch = pytest.importorskip("torch", reason="PyTorch, the optional extra `standin`, is absent")

from layerwise.standin_nets import CaffeLRN, forward_student, tensors  # noqa: E402
from layerwise.standin_recipe import (  # noqa: E402
    Log,
    LowRank,
    Settings,
    _autocast,
    _bfloat16_pays,
    _rescale,
    distil_classifier,
    rate_share,
)


def test_lrn_is_caffes_forward_and_backward():
    x = 80.0 * torch.randn(2, 9, 3, 3, dtype=torch.float64,
                           generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.local_response_norm(x, 5, 1e-4, 0.75, 1.0)
    assert torch.allclose(CaffeLRN.apply(x), expected, rtol=1e-12)
    assert torch.autograd.gradcheck(CaffeLRN.apply, (x.requires_grad_(),))


def test_student_is_the_network_that_caffe_gets():
    blobs = load_standin()
    x = np.random.default_rng(0).normal(0.0, 40.0, (1, 3, 227, 227)).astype(np.float32)
    conv = tensors({name: blob for name, blob in blobs.items() if name.startswith("conv")})
    found = forward_student(conv, torch.from_numpy(x))
    expected = forward_reference(blobs, x)
    for name in ("conv1", "conv3", "pool5"):
        difference = np.abs(found[name].numpy() - expected[name]).max()
        assert difference < 1e-4 * np.abs(expected[name]).max(), name


def test_rate_rises_stays_and_falls_to_nothing():
    settings = Settings(iterations=1000, warm_up=100, anneal=300)
    shares = [rate_share(iteration, settings) for iteration in range(1000)]
    assert shares[0] == pytest.approx(0.01) and shares[99] == 1.0
    assert set(shares[99:701]) == {1.0}
    assert all(later < earlier for earlier, later in zip(shares[701:], shares[702:]))
    assert shares[-1] < 1e-4
    assert shares[:700] == [rate_share(i, settings._replace(iterations=5000)) for i in range(700)]


@pytest.mark.parametrize("bfloat16, expected", [(0.1, torch.bfloat16), (9.0, torch.float32)])
def test_bfloat16_is_used_where_it_is_faster(monkeypatch, bfloat16, expected):
    monkeypatch.setattr("layerwise.standin_recipe._seconds",
                        {torch.bfloat16: bfloat16, torch.float32: 1.0}.get)
    _bfloat16_pays.cache_clear()
    try:
        with _autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected
    finally:
        _bfloat16_pays.cache_clear()


def test_rescaling_changes_norms_and_no_score():
    generator = torch.Generator().manual_seed(1)
    lower = LowRank.random(20, 30, 4, generator)
    upper = LowRank.random(30, 5, 4, generator)
    x = torch.rand(50, 20, generator=generator)
    with torch.no_grad():
        before = upper(torch.relu(lower(x)))
        response = _rescale(lower, upper, x, 7.0)
        assert float(response.norm(dim=1).mean()) == pytest.approx(7.0, rel=1e-5)
        assert torch.allclose(upper(torch.relu(lower(x))), before, rtol=1e-4, atol=1e-5)


def test_classifier_learns_the_teachers_labels_and_ends_at_the_wanted_norm(tmp_path):
    generator = torch.Generator().manual_seed(2)
    kinds = torch.arange(400) % 4
    pool5 = torch.relu(torch.randn(4, 9216, generator=generator)[kinds]
                       + 0.3 * torch.randn(400, 9216, generator=generator))
    scores = 30.0 * torch.nn.functional.one_hot(kinds, 1000).float()
    settings = Settings(rank=32, head_rank=32, epochs=20, classifier_batch=40)
    arrays = distil_classifier(pool5.half(), scores.half(), settings, Log(tmp_path / "log.csv"))
    x = pool5.numpy()
    for name in ("fc6", "fc7"):
        x = np.maximum(x @ arrays[f"{name}_in"].T @ arrays[f"{name}_out"].T
                       + arrays[f"{name}_bias"], 0.0)
    assert np.linalg.norm(x, axis=1).mean() == pytest.approx(settings.fc7_norm, rel=0.01)
    found = x @ arrays["fc8_in"].T @ arrays["fc8_out"].T + arrays["fc8_bias"]
    assert (found.argmax(1) == kinds.numpy()).mean() > 0.95
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) == 21 and rows[-1].startswith("fc,200,")

"""Initial weights have the variance that is promised."""

import pytest
import torch
from torch import nn

from convae_zoo.layers import he_normal_, lecun_normal_, xavier_uniform_

LAYERS = [
    (lambda: nn.Linear(400, 300), 400, 300),
    (lambda: nn.Conv2d(32, 64, 3), 32 * 9, 64 * 9),
    (lambda: nn.ConvTranspose2d(64, 32, 4, stride=2), 64 * 16 / 4, None),
]


@pytest.mark.parametrize(("make", "inputs", "outputs"), LAYERS)
def test_weights_have_their_variance_and_biases_their_value(make, inputs, outputs):
    torch.manual_seed(0)
    layer = make()
    for initialise, variance in ((he_normal_, 2 / inputs), (lecun_normal_, 1 / inputs)):
        initialise(layer)
        assert float(layer.weight.detach().var()) == pytest.approx(variance, rel=0.03)
        assert not layer.bias.detach().any()
    if outputs is not None:
        xavier_uniform_(layer, bias=0.25)
        assert float(layer.weight.detach().var()) == pytest.approx(2 / (inputs + outputs), rel=0.03)
        assert float(layer.weight.detach().abs().max()) <= (6 / (inputs + outputs)) ** 0.5
        assert (layer.bias.detach() == 0.25).all()


@pytest.mark.parametrize("initialise", [he_normal_, lecun_normal_, xavier_uniform_])
def test_apply_reaches_each_layer_and_leaves_other_modules(initialise):
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.Conv2d(4, 2, 1))
    nn.init.constant_(model[1].weight, 5.0)
    before = [p.clone() for p in model.parameters()]
    model.apply(initialise)
    changed = [not torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True)]
    assert changed == [True, False, False, True, True]  # weight; norm's two; weight and bias

"""Chains: what they compute agrees with plain autocast, and what they cannot compute is plain."""

import copy
import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from convae_zoo.layers import ChainedSequences, ConvTranspose2d, sequences
from convae_zoo.layers import chain as chain_module

ERROR = 1.5
"""How much larger the error of a chain may be than that of plain autocast, both against float32."""


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def run(model, x, *, chained, dtype=torch.bfloat16):
    """Return the output and the gradients of the input and of each parameter, float32."""
    model = copy.deepcopy(model)
    x = channels_last(x.clone()).requires_grad_()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype == torch.bfloat16):
        if chained:
            with ChainedSequences(model).swapped_in():
                y = model(x)
        else:
            y = model(x)
    (y.float() * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum().backward()
    return [y.float().detach(), x.grad, *(p.grad for p in model.parameters())]


def check_errors(model, x):
    """Check that the errors of chains are not much larger than those of plain autocast."""
    exact = run(model, x, chained=False, dtype=torch.float32)
    plain = run(model, x, chained=False)
    for own, autocasted, wanted in zip(run(model, x, chained=True), plain, exact, strict=True):
        assert own.dtype == wanted.dtype
        assert own.shape == wanted.shape
        allowed = ERROR * (autocasted - wanted).norm() + 0.01 * wanted.norm() + 1e-5
        assert (own - wanted).norm() <= allowed


def uses_chains(model, x):
    """Return whether a forward pass in a chain's place computes one."""
    with autocast(), ChainedSequences(model).swapped_in():
        y = model(channels_last(x))
    nodes, seen = [y.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        if node.name().startswith("_Chain"):
            return True
        seen.add(node)
        nodes += [other for other, _ in node.next_functions]
    return False


@st.composite
def networks(draw):
    """Convolutions, transposed ones and linear layers in a row, most with a ReLU after them."""
    channels, modules = draw(st.integers(1, 5)), []
    first, bias = channels, draw(st.booleans())
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([nn.Conv2d, nn.ConvTranspose2d, ConvTranspose2d]))
        groups = draw(st.sampled_from([1, 1, channels]))
        outputs = groups * draw(st.integers(1, 3))
        stride = draw(st.integers(1, 2))
        options = {"kernel_size": 3, "padding": 1, "stride": stride, "groups": groups, "bias": bias}
        if kind is not nn.Conv2d and stride > 1:
            options["output_padding"] = 1
        modules.append(kind(channels, outputs, **options))
        channels = outputs
        if draw(st.sampled_from([True, True, False])):
            modules.append(nn.ReLU())
    side = draw(st.sampled_from([7, 8]))
    network = nn.Sequential(*modules)
    if draw(st.booleans()):
        flat = network(torch.zeros(1, first, side, side)).numel()
        network.extend([nn.Flatten(), nn.Linear(flat, 5), nn.ReLU(), nn.Linear(5, 3)])
    return network, (first, side, side)


@settings(max_examples=40, deadline=None)
@given(drawn=networks(), seed=st.integers(0, 99))
def test_values_and_gradients_are_as_near_to_float32_as_those_of_plain_autocast(drawn, seed):
    model, shape = drawn
    x = torch.randn(16, *shape, generator=torch.Generator().manual_seed(seed))
    check_errors(model, x)


def small():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 3, 3, padding=1),
    )


IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_chain_replaces_the_layers_for_a_while():
    model = small()
    assert uses_chains(model, IMAGES)
    with autocast():
        assert model(IMAGES).grad_fn.name().startswith("Convolution")


def with_hook(model):
    model[2].register_forward_hook(lambda *_: None)


def with_subclass(model):
    class Own(nn.ReLU):
        def forward(self, x):
            return -x

    model[1], model[3] = Own(), Own()


def with_another_activation(model):
    model[1], model[3] = nn.SiLU(), nn.SiLU()


def with_weight_norm(model):
    for index in (0, 2, 4):
        nn.utils.parametrizations.weight_norm(model[index])


@pytest.mark.parametrize(
    "change", [with_hook, with_subclass, with_another_activation, with_weight_norm]
)
def test_what_may_compute_something_else_stays_plain(change):
    model = small()
    change(model)
    assert not uses_chains(model, IMAGES)
    for own, plain in zip(
        run(model, IMAGES, chained=True), run(model, IMAGES, chained=False), strict=True
    ):
        assert torch.equal(own, plain)


def test_a_hook_or_a_layer_that_comes_later_counts():
    model = small()
    chains = ChainedSequences(model)
    called = []
    model[0].register_forward_hook(lambda *_: called.append("hook"))
    with autocast(), chains.swapped_in():
        model(IMAGES)
    model[0] = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    with autocast(), chains.swapped_in():
        before = model(IMAGES)
    with autocast():
        assert torch.equal(before, model(IMAGES))
    assert called == ["hook"]


def test_a_forward_pass_that_someone_put_in_place_stays():
    model = small()
    model.forward = lambda x: x + 1
    with autocast(), ChainedSequences(model).swapped_in():
        assert torch.equal(model(IMAGES), IMAGES + 1)
    assert torch.equal(model(IMAGES), IMAGES + 1)


def test_an_output_without_a_relu_may_be_changed_in_place():
    model = small()
    model.append(nn.LeakyReLU(inplace=True))
    assert uses_chains(model, IMAGES)
    check_errors(model, IMAGES)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_or_autocast_the_layers_compute(mode):
    model = small()
    plain = model(IMAGES)
    with ChainedSequences(model).swapped_in():
        assert torch.equal(model(IMAGES), plain)
        with mode():
            assert torch.equal(model(IMAGES), plain)
        with mode(), autocast():
            assert not model(IMAGES).requires_grad


def test_torch_func_goes_through_the_layers():
    model = small()

    def loss(parameters, x):
        return torch.func.functional_call(model, parameters, (x[None],)).float().square().sum()

    parameters = dict(model.named_parameters())
    with autocast(), ChainedSequences(model).swapped_in():
        per_image = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, IMAGES)
    assert per_image["0.weight"].shape == (len(IMAGES), *model[0].weight.shape)


def test_frozen_layers_get_no_gradient_and_pass_it_on():
    model = small()
    model[2].requires_grad_(requires_grad=False)
    model[4].bias.requires_grad_(requires_grad=False)
    _, for_x, *for_weights = run(model, IMAGES, chained=True)
    assert [g is not None for g in for_weights] == [True, True, False, False, True, False]
    assert for_x.abs().sum() > 0
    for own, plain in zip(for_weights, run(model, IMAGES, chained=False)[2:], strict=True):
        assert (own is None) == (plain is None)


def test_frozen_first_layers_cost_no_backward_pass(monkeypatch):
    model = small()
    model[0].requires_grad_(requires_grad=False)
    calls = []
    chains = ChainedSequences(model)
    with autocast(), chains.swapped_in():
        y = model(IMAGES)
    real = chain_module.Link.mask
    monkeypatch.setattr(chain_module.Link, "mask", lambda *a: calls.append(a[0].layer) or real(*a))
    y.sum().backward()
    assert calls == [model[2]]


def test_a_layer_that_is_used_twice_gets_the_sum_of_its_gradients():
    shared, act = nn.Linear(6, 6), nn.ReLU()
    model = nn.Sequential(shared, act, shared, act)
    x = torch.rand(8, 6)
    exact = run(model, x, chained=False, dtype=torch.float32)
    for own, wanted in zip(run(model, x, chained=True), exact, strict=True):
        torch.testing.assert_close(own, wanted, rtol=0.02, atol=0.02 * wanted.abs().max().item())


def test_a_graph_that_is_retained_gives_the_same_gradients_twice():
    model = small()
    with autocast(), ChainedSequences(model).swapped_in():
        loss = model(channels_last(IMAGES)).float().square().sum()
    parameters = list(model.parameters())
    first = torch.autograd.grad(loss, parameters, retain_graph=True)
    second = torch.autograd.grad(loss, parameters)
    assert all(map(torch.equal, first, second))


def test_gradients_of_gradients_agree_with_plain_autocast():
    def penalty(model, *, chained):
        x = channels_last(IMAGES.clone()).requires_grad_()
        with autocast():
            if chained:
                with ChainedSequences(model).swapped_in():
                    y = model(x)
            else:
                y = model(x)
        (slope,) = torch.autograd.grad(y.float().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), model[0].weight)[0]

    model = small()
    plain = penalty(model, chained=False)
    own = penalty(model, chained=True)
    torch.testing.assert_close(own, plain, rtol=0.05, atol=0.02 * plain.abs().max().item())


def test_a_checkpointed_sequence_is_computed_again_in_its_backward_pass():
    model = small()
    with autocast(), ChainedSequences(model).swapped_in():
        y = checkpoint(model, channels_last(IMAGES).requires_grad_(), use_reentrant=False)
        y.float().sum().backward()
    own = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    with autocast(), ChainedSequences(model).swapped_in():
        model(channels_last(IMAGES)).float().sum().backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(own, model.parameters(), strict=True))


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (3, 8, 8)])
def test_empty_and_unbatched_input_goes_through_the_layers(shape):
    model = small()
    x = torch.ones(shape)
    with autocast():
        expected = model(x)
        with ChainedSequences(model).swapped_in():
            assert torch.equal(model(x), expected)


def test_a_failed_forward_pass_restores_the_sequence():
    model = small()
    with pytest.raises(RuntimeError), autocast(), ChainedSequences(model).swapped_in():
        model(torch.ones(2, 4, 8, 8))
    assert "forward" not in vars(model)


def test_without_the_operators_there_are_no_chains(monkeypatch):
    monkeypatch.setattr(sequences, "links_work", functools.partial(bool, 0))
    assert not uses_chains(small(), IMAGES)

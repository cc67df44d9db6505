"""A model whose passes run by `Inference`, for scores and transformers."""

import gc
import weakref

import pytest
import torch
from torch import nn

import convae_zoo as zoo
from convae_zoo.runtime.accelerated import accelerated
from tiny_runs import TINY


def build(**overrides):
    torch.manual_seed(0)
    return zoo.create_model("convae-200", **{**TINY, **overrides}).eval()


@torch.no_grad()
def test_every_pass_agrees_with_the_model_and_repeats_itself():
    model = build()
    fast = accelerated(model)
    x = torch.rand(5, *model.image_shape)
    latents = model.encode(x)
    for own, plain in (
        (fast(x), model(x)),
        (fast.encode(x), latents),
        (fast.decode(latents), model.decode(latents)),
    ):
        torch.testing.assert_close(own, plain, rtol=1e-4, atol=1e-6)
    assert torch.equal(fast(x), accelerated(build())(x))
    assert fast.name == model.name
    assert fast.device == model.device
    assert fast.dtype == model.dtype
    assert fast.encoder is model.encoder
    assert torch.equal(fast(x, sigma=None), fast(x))


@torch.no_grad()
def test_an_output_may_be_changed_in_place():
    model = build()
    output = accelerated(model)(torch.rand(2, *model.image_shape))
    output.sub_(1)


def give_new_data(model, _):
    weight = next(model.parameters())
    weight.data = weight + 1


CHANGES = {
    "in place": lambda model, _: next(model.parameters()).add_(1),
    "new data": give_new_data,
    "assigned": lambda model, other: model.load_state_dict(other.state_dict(), assign=True),
    "copied": lambda model, other: model.load_state_dict(other.state_dict()),
    "another part": lambda model, other: setattr(model, "decoder", other.decoder),
    "a vector": lambda model, other: nn.utils.vector_to_parameters(
        nn.utils.parameters_to_vector(other.parameters()), model.parameters()
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_made_once_until_the_weights_change(change):
    model = build()
    fast = accelerated(model)
    assert accelerated(model) is fast
    torch.manual_seed(1)
    with torch.no_grad():
        CHANGES[change](model, zoo.create_model("convae-200", **TINY).eval())
    x = torch.rand(2, *model.image_shape)
    torch.testing.assert_close(accelerated(model)(x), model(x).detach(), rtol=1e-4, atol=1e-5)
    assert accelerated(model) is not fast


def test_a_model_that_was_built_in_inference_mode_comes_back_itself():
    with torch.inference_mode():
        model = build()
    assert accelerated(model) is model


def test_it_does_not_keep_the_model():
    model = build()
    accelerated(model)
    known = weakref.ref(model)
    del model
    gc.collect()
    assert known() is None


@pytest.mark.parametrize("change", ["double", "train"])
def test_what_it_cannot_run_comes_back_itself(change):
    model = getattr(build(), change)()
    assert accelerated(model) is model

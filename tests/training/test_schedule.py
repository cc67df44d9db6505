"""The learning rate of a step."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import convae_zoo as zoo
from convae_zoo.registry.specs import Recipe
from convae_zoo.training.schedule import learning_rate_at
from tiny_runs import TINY, image_set, tiny_train


def rates(steps, **settings):
    recipe = Recipe(learning_rate=0.5, **settings)
    return [learning_rate_at(recipe, step, steps) for step in range(steps)]


def test_a_constant_schedule_keeps_the_rate():
    assert rates(5) == [0.5] * 5


def test_the_warm_up_rises_linearly_to_the_full_rate():
    assert rates(6, warmup_steps=4) == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5, 0.5])


def test_the_cosine_schedule_equals_pytorchs():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.5)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert rates(20, schedule="cosine") == pytest.approx(expected)


def test_a_linear_schedule_ends_one_step_above_zero():
    assert rates(4, schedule="linear") == pytest.approx([0.5, 0.375, 0.25, 0.125])


@given(st.integers(1, 300), st.integers(0, 400), st.sampled_from(["constant", "cosine", "linear"]))
def test_every_rate_is_positive_and_at_most_the_full_rate(steps, warmup, schedule):
    """A warm-up longer than the run is a run that warms up throughout."""
    found = rates(steps, schedule=schedule, warmup_steps=warmup)
    assert all(0 < rate <= 0.5 for rate in found)
    peak = min(warmup, steps)
    assert found[:peak] == sorted(found[:peak])
    assert found[warmup:] == sorted(found[warmup:], reverse=True)


def test_training_follows_the_schedule():
    """SGD on one image with rate zero at the end moves less than with a constant rate."""
    data = image_set(8)

    def weights_after(**settings):
        torch.manual_seed(0)
        model = zoo.create_model("convae-200", **TINY)
        tiny_train(model, dataset=(data, data), epochs=1, batch_size=8, optimizer="sgd", **settings)
        return torch.cat([p.flatten() for p in model.parameters()])

    full = weights_after(learning_rate=0.01)
    warming = weights_after(learning_rate=0.02, warmup_steps=2)
    torch.testing.assert_close(warming, full)
    assert not torch.equal(weights_after(learning_rate=0.02), full)

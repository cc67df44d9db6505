"""The variational encoder: its draws, its term of the loss, its samples."""

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

import convae_zoo as zoo
from convae_zoo.errors import UsageError


@pytest.fixture
def model(small_model):
    """A small variational model whose variances differ."""
    model = small_model("variational-200", beta=0.3)
    torch.nn.init.normal_(model.encoder.log_variance.weight, std=0.3)
    return model


def test_the_kl_term_is_that_of_torch_distributions(model, smooth_images):
    x = model.preprocess(smooth_images(7))
    mean, log_variance = model.encoder.distribution(x)
    posterior = Independent(Normal(mean, (log_variance / 2).exp()), 1)
    prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    nats = kl_divergence(posterior, prior).mean()
    _, terms = model.forward_with_terms(x)
    assert list(terms) == ["kl"]
    torch.testing.assert_close(terms["kl"], 0.3 * nats / (3 * 8 * 8))


def test_mse_and_the_term_are_the_negative_elbo_up_to_scale_and_constant(model, smooth_images):
    """With Gaussian noise of variance beta/2: -ELBO = loss · values/beta + constant."""
    x = model.preprocess(smooth_images(7))
    values, variance = 3 * 8 * 8, 0.3 / 2
    torch.manual_seed(0)
    y, terms = model.forward_with_terms(x)
    loss = torch.nn.functional.mse_loss(y, x) + terms["kl"]
    likelihood = Normal(y, variance**0.5).log_prob(x).sum((1, 2, 3)).mean()
    nats = terms["kl"] * values / 0.3
    constant = values / 2 * torch.tensor(2 * torch.pi * variance).log()
    torch.testing.assert_close(nats - likelihood, loss * values / 0.3 + constant)


def test_training_draws_latents_around_the_means_that_eval_gives(model, smooth_images):
    x = model.preprocess(smooth_images(1))
    mean, log_variance = model.encoder.distribution(x)
    torch.manual_seed(0)
    draws = model.train().encode(x.expand(20_000, -1, -1, -1))
    assert torch.equal(model.eval().encode(x), mean)
    deviation = (log_variance / 2).exp()[0]
    assert ((draws.mean(0) - mean[0]).abs() < 0.05 * deviation).all()
    torch.testing.assert_close(draws.std(0), deviation, rtol=0.03, atol=0)


def test_samples_have_the_models_shape_and_range_and_follow_the_generator(model):
    def draw(seed):
        return model.sample(16, generator=torch.Generator().manual_seed(seed))

    images = draw(1)
    assert images.shape == (16, 3, 8, 8)
    assert images.min() >= -1
    assert images.max() <= 1
    assert not images.requires_grad
    assert torch.equal(images, draw(1))
    assert not torch.equal(images, draw(2))
    assert not torch.equal(images[0], images[1])


def test_a_model_without_a_prior_says_that_it_cannot_draw_samples(small_model):
    with pytest.raises(UsageError, match=r"'residual-200' cannot sample images.*variational"):
        small_model("residual-200").sample(16)


def test_no_samples_are_refused(model):
    with pytest.raises(UsageError, match="count must be at least 1, got 0"):
        model.sample(0)


def test_the_report_gives_the_kl_and_the_floats_in_use(model, smooth_images):
    images = smooth_images(30)
    with torch.no_grad():
        model.encoder.mean.weight[:3] = 0
        model.encoder.log_variance.weight[:3] = 0
        model.encoder.log_variance.bias[:3] = 0
    figures = model.report(images, batch_size=7)
    _, terms = model.forward_with_terms(model.preprocess(images))
    assert figures["kl_nats"] == pytest.approx(terms["kl"].item() * 3 * 64 / 0.3, rel=1e-4)
    assert figures["active_latents"] == pytest.approx(9 / 12)
    assert model.training


def test_a_model_whose_parts_have_no_figures_reports_none(small_model, smooth_images):
    assert small_model("residual-200").report(smooth_images(3)) == {}


def test_beta_may_be_zero_but_not_negative():
    with pytest.raises(zoo.ZooError, match="beta must be a number from 0"):
        zoo.create_model("variational-200", beta=-1.0)
    model = zoo.create_model("variational-200", beta=0.0, width=4)
    _, terms = model.forward_with_terms(torch.rand(2, 3, 32, 32))
    assert terms["kl"] == 0

"""The linear path: cosines without data, PCA with it, and what is learnt beside it."""

import pytest
import torch
from convae_architectures.basis import cosine_basis, principal_basis
from sklearn.decomposition import PCA

import convae_zoo as zoo


def pca_mse(train, held_out, components):
    """Mean squared error of scikit-learn's PCA in [-1, 1]."""
    train, held_out = (x.flatten(1).double().numpy() / 127.5 - 1 for x in (train, held_out))
    pca = PCA(components, svd_solver="full").fit(train)
    return float(((pca.inverse_transform(pca.transform(held_out)) - held_out) ** 2).mean())


def model_mse(model, images):
    x = model.preprocess(images)
    with torch.no_grad():
        return float((model(x) - x).square().mean())


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_that_starts_from_data_is_pca(small_model, smooth_images, channels):
    """On images it has not seen, 1.00 ± 1e-3 of PCA's error."""
    train, held_out = (
        smooth_images(400, channels=channels),
        smooth_images(100, channels=channels, seed=1),
    )
    model = small_model("linear-residual-200", in_channels=channels)
    before = model_mse(model, held_out)
    model.start_from_data(train)
    expected = pca_mse(train, held_out, 12)
    assert model_mse(model, held_out) == pytest.approx(expected, rel=1e-3)
    assert before > 1.02 * expected


def test_training_by_name_starts_from_the_training_images(image_set):
    """With a learning rate of almost nothing the validation loss is PCA's."""
    sets = (image_set(300), image_set(100, split="val", seed=1))
    result = zoo.train(
        "linear-residual-200",
        dataset=sets,
        overrides={"image_size": 8, "latent_dim": 12, "hidden": 8, "width": 2},
        epochs=1,
        learning_rate=1e-12,
        device="cpu",
        precision="fp32",
    )
    expected = pca_mse(sets[0].images, sets[1].images, 12)
    assert result.val_losses[0] == pytest.approx(expected, rel=1e-3)


def test_training_learns_what_pca_misses(small_model, image_set):
    """Grey images with four degrees of freedom, which bend, into four floats."""
    sets = (image_set(512, channels=1), image_set(100, split="val", seed=1, channels=1))
    model = small_model("linear-residual-200", in_channels=1, latent_dim=4, hidden=64, width=8)
    model.start_from_data(sets[0].images)
    result = zoo.train(
        model,
        dataset=sets,
        epochs=12,
        batch_size=16,
        learning_rate=2e-3,
        schedule="cosine",
        shuffle=True,
        device="cpu",
        precision="fp32",
    )
    expected = pca_mse(sets[0].images, sets[1].images, 4)
    assert result.val_losses[-1] < 0.9 * expected


def test_a_model_that_is_given_keeps_its_weights(small_model, image_set):
    sets = (image_set(64), image_set(16, split="val", seed=1))
    model = small_model("linear-residual-200")
    before = model.encoder.linear.weight.detach().clone()
    zoo.train(model, dataset=sets, epochs=1, learning_rate=1e-12, device="cpu")
    torch.testing.assert_close(model.encoder.linear.weight.detach(), before)


def test_latents_of_the_training_images_have_mean_zero_and_variance_one(small_model, smooth_images):
    images = smooth_images(500)
    model = small_model("linear-residual-200")
    model.start_from_data(images)
    with torch.no_grad():
        z = model.encode(model.preprocess(images))
    torch.testing.assert_close(z.mean(0), torch.zeros(12), rtol=0, atol=1e-3)
    torch.testing.assert_close(z.T @ z / len(z), torch.eye(12), rtol=0, atol=2e-3)


def test_without_data_a_model_is_the_projection_onto_low_frequencies(small_model, smooth_images):
    model = small_model("linear-residual-200")
    x = model.preprocess(smooth_images(20))
    with torch.no_grad():
        once = model(x)
        torch.testing.assert_close(model(once), once, rtol=0, atol=1e-5)
        grey = torch.full((1, 3, 8, 8), 0.3)
        torch.testing.assert_close(model(grey), grey, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("channels", "size"), [(1, 4), (3, 8), (4, 12)])
def test_the_cosines_are_orthonormal_and_whole(channels, size):
    values = channels * size**2
    basis = cosine_basis(values, channels, size)
    torch.testing.assert_close(
        basis.directions @ basis.directions.T, torch.eye(values), rtol=0, atol=1e-5
    )
    assert torch.equal(cosine_basis(5, channels, size).directions, basis.directions[:5])


def test_a_basis_is_the_same_every_time(smooth_images):
    images = smooth_images(100)
    first, again = principal_basis(images, 5, (0.0, 1.0)), principal_basis(images, 5, (0.0, 1.0))
    assert first is again
    anew = principal_basis(images.clone(), 5, (0.0, 1.0))
    assert torch.equal(anew.directions, first.directions)


def test_a_basis_is_not_kept_for_images_that_were_changed_in_place(smooth_images):
    images = smooth_images(100)
    before = principal_basis(images, 5, (0.0, 1.0))
    images.copy_(255 - images)
    after = principal_basis(images, 5, (0.0, 1.0))
    torch.testing.assert_close(after.mean, 1 - before.mean)


def test_fewer_images_than_latent_floats_start_what_they_can(small_model, smooth_images):
    images = smooth_images(6)
    model = small_model("linear-residual-200")
    model.start_from_data(images)
    assert model_mse(model, images) < 1e-6
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_images_that_are_all_alike_start_finite(small_model):
    images = torch.full((20, 3, 8, 8), 7, dtype=torch.uint8)
    model = small_model("linear-residual-200")
    model.start_from_data(images)
    assert model_mse(model, images) < 1e-6

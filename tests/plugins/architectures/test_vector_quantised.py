"""The vector-quantised encoder: codes, gradients, moving averages, usage."""

import math

import pytest
import torch
from convae_architectures.codebook import Codebook
from safetensors.torch import load_file, save_file
from torch import distributed, multiprocessing


@pytest.fixture
def model(small_model, smooth_images):
    """A small model whose codes have been placed."""
    model = small_model("vector-quantised-512")
    for seed in range(3):
        model.train().forward_with_terms(model.preprocess(smooth_images(32, seed=seed)))
    return model.eval()


def nearest_one_by_one(vectors, codes):
    return torch.tensor(
        [
            min(range(len(codes)), key=lambda k: float((v - codes[k]).square().sum()))
            for v in vectors
        ]
    )


def test_every_vector_gets_its_nearest_code():
    torch.manual_seed(0)
    book = Codebook(codes=9, dim=5, decay=0.9)
    x = torch.randn(200, 5)
    indices = book.nearest(x)
    assert torch.equal(indices, nearest_one_by_one(x, book.vectors))
    assert torch.equal(book.look_up(indices)[3], book.vectors[indices[3]])


def test_bf16_autocast_finds_the_same_codes():
    torch.manual_seed(0)
    book = Codebook(codes=64, dim=16, decay=0.9)
    x = torch.randn(500, 16)
    with torch.autocast("cpu", torch.bfloat16):
        found = book.nearest(x)
    assert torch.equal(found, nearest_one_by_one(x, book.vectors))


def test_the_latent_consists_of_codes_and_the_indices_hold_all_of_it(model, smooth_images):
    x = model.preprocess(smooth_images(5))
    z = model.encode(x)
    indices = model.encoder.to_codes(z)
    assert torch.equal(indices, model.encoder.encode_indices(x))
    assert model.encoder.code_count == len(model.encoder.codebook.vectors)
    assert indices.shape == (5, 2, 2)
    torch.testing.assert_close(z, model.encoder.from_codes(indices))
    for n, i, j in [(0, 0, 0), (1, 0, 1), (4, 1, 1)]:
        torch.testing.assert_close(z[n, :, i, j], model.encoder.codebook.vectors[indices[n, i, j]])


def test_the_commitment_term_is_that_of_a_plain_loop(model, smooth_images):
    x = model.preprocess(smooth_images(4))
    features = model.encoder.head(model.encoder.trunk(x)).detach()
    codes = model.encoder.codebook.vectors
    total, count = 0.0, 0
    for image in features:
        for i in range(2):
            for j in range(2):
                vector = image[:, i, j]
                total += min(float((vector - code).square().sum()) for code in codes)
                count += len(vector)
    _, terms = model.forward_with_terms(x)
    assert list(terms) == ["commitment"]
    assert terms["commitment"].item() == pytest.approx(0.25 * total / count, rel=1e-5)


def test_gradients_go_straight_through_to_the_features(model, smooth_images):
    """What arrives at the features is what arrived at the latent, and the term's own part."""
    x = model.preprocess(smooth_images(4))
    kept = {}

    def keep(_module, _inputs, output):
        output.retain_grad()
        kept["features"] = output

    handle = model.encoder.head.register_forward_hook(keep)
    latent, terms = model.encoder.forward_with_terms(x)
    handle.remove()
    arriving = torch.randn_like(latent)
    (latent * arriving).sum().backward(retain_graph=True)
    features = kept["features"]
    torch.testing.assert_close(features.grad, arriving)
    features.grad = None
    terms["commitment"].backward()
    expected = 0.25 * 2 * (features - latent).detach() / features.numel()
    torch.testing.assert_close(features.grad, expected, rtol=1e-4, atol=1e-7)


def test_codes_are_the_moving_averages_of_the_vectors_that_chose_them():
    """Against a loop over codes; every code is chosen, so none is put elsewhere."""
    torch.manual_seed(0)
    book = Codebook(codes=4, dim=3, decay=0.8)
    counts, sums = [0.0] * 4, [torch.zeros(3)] * 4
    for _ in range(5):
        x = torch.cat([book.vectors, torch.randn(60, 3)])
        indices = book.nearest(x)
        for k in range(4):
            mine = x[indices == k]
            counts[k] = 0.8 * counts[k] + 0.2 * len(mine)
            sums[k] = 0.8 * sums[k] + 0.2 * mine.sum(0)
        book.follow(x, indices)
        expected = torch.stack([s / c for s, c in zip(sums, counts, strict=True)])
        torch.testing.assert_close(book.vectors, expected)


def _follow_in_shares(rank, shares, store, out):
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=len(shares)
    )
    book = _shared_book()
    book.follow(shares[rank], book.nearest(shares[rank]))
    save_file(book.state_dict(), out / f"{rank}.safetensors")
    distributed.destroy_process_group()


def _shared_book():
    torch.manual_seed(0)
    return Codebook(codes=4, dim=3, decay=0.8)


@pytest.mark.slow
def test_two_processes_move_the_codes_as_one_would(tmp_path):
    whole = _shared_book()
    x = torch.cat([whole.vectors, torch.randn(33, 3), whole.vectors])
    shares = (x[:30].clone(), x[30:].clone())
    multiprocessing.spawn(_follow_in_shares, (shares, tmp_path / "store", tmp_path), nprocs=2)
    whole.follow(x, whole.nearest(x))
    for rank in range(2):
        found = load_file(tmp_path / f"{rank}.safetensors")
        torch.testing.assert_close(found, dict(whole.state_dict()))


def test_the_first_batch_places_every_code_among_its_vectors():
    torch.manual_seed(0)
    book = Codebook(codes=6, dim=2, decay=0.99)
    x = 100 + torch.rand(50, 2)
    book.follow(x, book.nearest(x))
    assert (book.vectors >= 100).all()
    assert (book.vectors <= 101).all()


def test_a_code_that_nothing_chooses_any_more_is_put_onto_a_vector():
    torch.manual_seed(0)
    book = Codebook(codes=2, dim=1, decay=0.9)
    near, far = torch.zeros(10, 1), torch.full((10, 1), 50.0)
    for _ in range(5):
        x = torch.cat([near, far])
        book.follow(x, book.nearest(x))
    assert book.vectors.flatten().sort().values.tolist() == pytest.approx([0, 50])
    for _ in range(80):
        book.follow(near, book.nearest(near))
    assert book.vectors.abs().max() < 1


def test_only_training_with_terms_moves_the_codes(model, smooth_images):
    x = model.preprocess(smooth_images(16, seed=9))
    before = model.encoder.codebook.vectors.clone()
    model.eval().forward_with_terms(x)
    model.train()(x)
    assert torch.equal(model.encoder.codebook.vectors, before)
    model.forward_with_terms(x)
    assert not torch.equal(model.encoder.codebook.vectors, before)


def test_the_report_counts_codes_over_all_images(model, smooth_images):
    images = smooth_images(40, seed=5)
    figures = model.report(images, batch_size=7)
    indices = model.encoder.encode_indices(model.preprocess(images)).flatten().tolist()
    shares = [indices.count(k) / len(indices) for k in range(10)]
    assert figures["codebook_usage"] == pytest.approx(len(set(indices)) / 10)
    entropy = -sum(p * math.log(p) for p in shares if p)
    assert figures["codebook_perplexity"] == pytest.approx(math.exp(entropy))
    assert figures["latent_bits"] == pytest.approx(4 * math.log2(10))

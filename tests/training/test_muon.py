"""Muon: its direction against plain steps in float64, and its updates."""

import copy

import pytest
import torch
from torch import nn

from convae_zoo.training.muon import BLOCK, COEFFICIENTS, STEPS, Muon, is_matrix, orthogonalize


def newton_schulz(matrix):
    """The steps as they are published, in float64."""
    linear, cubic, quintic = COEFFICIENTS
    x = matrix.double()
    x = x.T if x.shape[0] > x.shape[1] else x
    x = x / x.norm()
    for _ in range(STEPS):
        gram = x @ x.T
        x = linear * x + (cubic * gram + quintic * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


@pytest.mark.parametrize("shape", [(2, 9), (5, 5), (16, 27), (27, 16), (64, 576), (300, 40)])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_the_direction_is_that_of_the_plain_steps(shape, scale):
    matrix = scale * torch.randn(shape, generator=torch.Generator().manual_seed(1))
    expected = newton_schulz(matrix)
    (found,) = orthogonalize([matrix])
    assert (found - expected).norm() <= 1e-3 * expected.norm()


def test_matrices_of_different_shapes_do_not_affect_each_other():
    draw = torch.Generator().manual_seed(6)
    matrices = [torch.randn(shape, generator=draw) for shape in ((4, 6), (6, 4), (4, 9), (3, 3))]
    for found, matrix in zip(orthogonalize(matrices), matrices, strict=True):
        torch.testing.assert_close(found, *orthogonalize([matrix]))


def decaying(rows, columns, draw):
    """A matrix with one large singular value and a long tail, as the momentum of a bottleneck."""
    matrix = torch.randn(rows, columns, generator=draw)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.logspace(-0.5, -3, min(rows, columns))
    values[0] = 1
    return left @ values.diag() @ right


@pytest.mark.parametrize("shape", [(100, 3000), (3000, 100), (2 * BLOCK, 600)])
def test_bf16_gives_the_direction_of_the_rounded_matrix(shape):
    matrix = decaying(*shape, torch.Generator().manual_seed(8))
    (expected,) = orthogonalize([matrix.bfloat16().float()])
    (found,) = orthogonalize([matrix.bfloat16()])
    assert found.dtype == torch.bfloat16
    assert 0 < (found - expected).norm() <= 0.06 * expected.norm()
    assert torch.linalg.matrix_norm(found.float(), 2) < 1.8  # two blocks may add up


@pytest.mark.parametrize("is_tall", [False, True])
@pytest.mark.parametrize("rows", [2 * BLOCK, 2 * BLOCK - 1])
def test_many_rows_are_orthogonalised_in_blocks(rows, is_tall):
    matrix = torch.randn(rows, 600, generator=torch.Generator().manual_seed(4))
    expected = torch.cat([newton_schulz(block) for block in matrix.split(BLOCK)])
    (found,) = orthogonalize([matrix.T if is_tall else matrix])
    found = found.T if is_tall else found
    assert found.shape == matrix.shape
    assert (found - expected).norm() <= 1e-3 * expected.norm()


@pytest.mark.parametrize("rank", [1, 2, 15])
def test_the_direction_of_a_rank_deficient_matrix_is_bounded(rank):
    draw = torch.Generator().manual_seed(2)
    low = torch.randn(16, rank, generator=draw) @ torch.randn(rank, 40, generator=draw)
    (found,) = orthogonalize([low])
    values = torch.linalg.svdvals(found)
    assert values[0] < 1.5
    assert (values[:rank] > 0.3).sum() == rank


def test_a_zero_gradient_gives_a_zero_direction():
    (found,) = orthogonalize([torch.zeros(4, 6)])
    assert found.abs().max() == 0


def test_a_unit_without_gradients_leaves_no_subnormal_numbers():
    weight = nn.Parameter(torch.ones(4, 6))
    muon = Muon([weight])
    weight.grad = torch.randn(4, 6, generator=torch.Generator().manual_seed(5))
    muon.step()
    momentum = muon.state[weight]["momentum"]
    momentum[0] = 1e-20
    weight.grad[0] = 0
    before = weight[0].clone()
    muon.step()
    assert momentum[0].tolist() == [0] * 6
    assert weight[0].tolist() == before.tolist()


def test_two_dimensional_weights_are_updated_like_pytorchs_muon():
    draw = torch.Generator().manual_seed(3)
    start = torch.randn(20, 50, generator=draw)
    mine, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    ours = Muon([mine], lr=0.02, momentum=0.9, weight_decay=0.1)
    reference = torch.optim.Muon([theirs], lr=0.02, momentum=0.9, weight_decay=0.1)
    for _ in range(5):
        gradient = torch.randn(20, 50, generator=draw)
        mine.grad, theirs.grad = gradient.clone(), gradient.clone()
        ours.step()
        reference.step()
    moved = (theirs - start).norm()
    assert (mine - theirs).norm() <= 0.03 * moved  # theirs works in bf16 throughout


def test_biases_and_single_rows_are_updated_like_adam():
    draw = torch.Generator().manual_seed(4)
    starts = [torch.randn(shape, generator=draw) for shape in ((7,), (1, 9), (9, 1), ())]
    assert not any(map(is_matrix, starts))
    mine = [nn.Parameter(s.clone()) for s in starts]
    theirs = [nn.Parameter(s.clone()) for s in starts]
    ours, reference = Muon(mine, lr=0.02, adam_ratio=0.05), torch.optim.Adam(theirs, lr=0.001)
    for _ in range(5):
        for a, b in zip(mine, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=draw)
            b.grad = a.grad.clone()
        ours.step()
        reference.step()
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_in_bf16_the_update_of_a_large_matrix_is_nearly_the_same():
    draw = torch.Generator().manual_seed(9)
    plain, fast = (nn.Parameter(torch.zeros(128, 2048)) for _ in range(2))
    optimizers = Muon([plain]), Muon([fast], bf16=True)
    for _ in range(3):
        plain.grad = decaying(128, 2048, draw).bfloat16().float()
        fast.grad = plain.grad.clone()
        for each in optimizers:
            each.step()
    assert 0 < (plain - fast).norm() <= 0.1 * plain.norm()


def network():
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.ConvTranspose2d(4, 3, 5), nn.Linear(8, 8)
    )


def step(model, optimizer, seed):
    x = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    (model(x) - x).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_state_dict_continues_bit_for_bit(layout):
    model = network().to(memory_format=layout)
    optimizer = Muon(model.parameters(), lr=0.01)
    for seed in range(3):
        step(model, optimizer, seed)
    other = copy.deepcopy(model)
    resumed = Muon(other.parameters(), lr=0.5)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for seed in range(3, 6):
        step(model, optimizer, seed)
        step(other, resumed, seed)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_parameter_without_a_gradient_is_not_changed():
    model = network()
    model[0].requires_grad_(requires_grad=False)
    before = copy.deepcopy(model[0].state_dict())
    step(model, Muon(model.parameters()), 0)
    assert all(torch.equal(v, before[k]) for k, v in model[0].state_dict().items())


def test_a_closure_is_evaluated_and_its_loss_returned():
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = Muon([weight])

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return float(loss)

    assert optimizer.step(closure) == 4
    assert not torch.equal(weight, torch.ones(2, 2))

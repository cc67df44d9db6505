"""The benchmark of a training step: its candidates train, and its ratios are of the same rows."""

import math

import pytest
import torch

from benchmarks import train_step


@pytest.mark.parametrize("name", ["by hand, bf16", "plain, fp32", "zoo, fp32", "zoo, bf16"])
def test_a_candidate_trains(name):
    step = train_step.CANDIDATES[name]()
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    losses = [float(step(images)) for _ in range(4)]
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]


def test_ratios_compare_the_loops_with_the_zoo():
    rows = {
        "by hand, bf16": train_step.row([0.030, 0.032, 0.040]),
        "zoo, bf16": train_step.row([0.015, 0.016, 0.019]),
        "plain, fp32": train_step.row([0.060, 0.060, 0.060]),
    }
    assert rows["zoo, bf16"]["q1"] == 15.5
    assert train_step.ratios(rows) == {"bf16": 2.0}
    assert train_step.ratios(rows, "min") == {"bf16": 2.0}

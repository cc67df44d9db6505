"""Images for `Inference`, and its output compared with the model's."""

import torch

TOLERANCES = {"fp32": 1e-5, "bf16": 0.02, "auto": 0.02}
"""Of the output's largest value. The weights are random, so the model amplifies rounding."""


def images(model, count, seed=1):
    """Return noise in the model's value range, count×C×H×W."""
    low, high = model.value_range
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *model.image_shape, generator=generator) * (high - low) + low


def close(got, expected, precision="fp32"):
    """Assert that an output is the expected one, as far as the precision allows."""
    assert got.dtype == torch.float32
    assert not got.requires_grad
    scale = expected.abs().max().item()
    torch.testing.assert_close(got, expected, rtol=0, atol=TOLERANCES[precision] * scale)

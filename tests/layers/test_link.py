"""A layer with its ReLU: the form that is chosen by the processor computes the same."""

import pytest
import torch
from torch.nn import functional

from convae_zoo.layers import ConvTranspose2d, link


@pytest.mark.parametrize("has_amx", [True, False])
def test_few_output_channels_agree_with_and_without_amx(monkeypatch, has_amx):
    monkeypatch.setattr(link, "_has_amx", lambda: has_amx)
    torch.manual_seed(0)
    layer = ConvTranspose2d(5, 3, 3, padding=1).to(torch.bfloat16)
    x = torch.randn(2, 5, 6, 8, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        y = link.create_link(layer, relu=False).forward(x, layer.weight, layer.bias)
        exact = functional.conv_transpose2d(
            x.float(), layer.weight.float(), layer.bias.float(), padding=1
        )
    torch.testing.assert_close(y.float(), exact, rtol=0.01, atol=0.01)
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_asking_for_the_operators_leaves_the_random_generator_as_it_was():
    link.links_work.cache_clear()
    before = torch.get_rng_state()
    with torch.device("meta"):
        assert isinstance(link.links_work(), bool)
    assert torch.equal(torch.get_rng_state(), before)
